/**
 * Feeds parsers with changed inputs: `node scripts/fuzz.ts --target cap --seconds 60 --seed 1`. A finding is printed, and
 * kept as a file with `--keep`; exit code 1. The same seed and number of runs give the same inputs.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type CampaignOptions, campaign } from './fuzz/campaign.ts'
import { targets } from './fuzz/targets.ts'

/** Targets that run in this process and stop at the first finding. */
const whole: Record<string, () => Promise<{ run(seed: number, seconds: number): Promise<object> }>> = {
  apdu: () => import('./fuzz/apdu.ts'),
  cbor: () => import('./fuzz/cbor.ts'),
  envelope: () => import('./fuzz/envelope.ts'),
  jpeg: () => import('./fuzz/jpeg.ts'),
  mqtt: () => import('./fuzz/mqtt.ts'),
}

const usage = `node scripts/fuzz.ts --target ${[...Object.keys(targets), ...Object.keys(whole)].join('|')}|all [--seconds N | --runs N] [--seed N] [--corpus DIR]… [--keep DIR]`

function number(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  console.error(`--${name} ${text} is no number\n${usage}`)
  process.exit(2)
}

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    seconds: { type: 'string' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    corpus: { type: 'string', multiple: true },
    keep: { type: 'string' },
  },
})
const names = values.target === 'all' ? [...Object.keys(targets), ...Object.keys(whole)] : [values.target ?? '']
const unknown = names.find((name) => !(name in targets || name in whole))
if (unknown !== undefined) {
  console.error(`${unknown ? `${unknown} is no target\n` : ''}${usage}`)
  process.exit(2)
}
const seed = number(values.seed, 'seed') ?? 1
const runs = number(values.runs, 'runs')
const seconds = number(values.seconds, 'seconds') ?? (runs === undefined ? 60 : undefined)
for (const target of names) {
  const module = whole[target]
  if (module) {
    console.log(`${target}: ${JSON.stringify(await (await module()).run(seed, seconds ?? 60))}`)
    continue
  }
  const options: CampaignOptions = {
    target,
    seed,
    ...(seconds === undefined ? {} : { seconds }),
    ...(runs === undefined ? {} : { runs }),
    corpus: values.corpus ?? [],
  }
  const { runs: done, inputs, problems, slowestMs, peakRssMb, failed } = await campaign(options)
  console.log(
    `${target}: ${done} inputs from ${inputs} whole ones, seed ${seed}: ${problems} answered with a problem, slowest ${Math.round(slowestMs)} ms, at most ${peakRssMb} MB`,
  )
  if (!failed) continue
  process.exitCode = 1
  console.error(`${target}: ${failed.fault}`)
  if (values.keep === undefined) console.error(Buffer.from(failed.input).toString('base64'))
  else {
    mkdirSync(values.keep, { recursive: true })
    const file = `${values.keep}/${target}-${Date.now()}`
    writeFileSync(file, failed.input)
    console.error(`kept as ${file}`)
  }
}
