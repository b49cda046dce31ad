/** `azukari-device work …`: tries a unit of work by itself, as the device would run it (W4, docs/jobs.md). */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { systemClock } from '@azukari/protocol/adapters/clock'
import type { Command, Values } from '@azukari/protocol/adapters/command'
import { integer, text, UsageError } from '@azukari/protocol/adapters/command-line'
import type { Checkpoint, UnitResult } from './compute/unit.ts'
import { restFromC as standardRestFromC } from './work/model.ts'
import type { WorkAccount, WorkNote } from './work/note.ts'
import type { Redeemed } from './work/points.ts'
import type { Totals } from './work/record.ts'
import type { WorkSetting } from './work/setting.ts'

const mebibyte = 1024 * 1024
/** A person's input is read whole; a job's is a transfer with limits of its own. */
const inputMaxBytes = 256 * mebibyte
const outputMaxBytes = 64 * mebibyte
const stateMaxBytes = 64 * mebibyte

const folder = { type: 'string', what: 'the device’s folder', default: './azukari-device' } as const

export const workCommands: Record<string, Command> = {
  'work join': {
    what: 'Takes part in work with its owner’s code: computes while nobody needs the board, and earns points.',
    positionals: 'CODE',
    options: { folder },
    async run(values, [code = '', ...more]) {
      if (more.length > 0 || !/^[a-z2-7]{16}$/.test(code))
        throw new UsageError('the code has 16 letters and digits; azukari-gateway work owner add shows it')
      await keepSetting(text(values, 'folder'), { ...(await keptSetting(text(values, 'folder'))), code })
      return { json: { joined: true }, text: 'this board takes part; see azukari-device work status' }
    },
  },

  'work leave': {
    what: 'Takes no part in work any more; what was earned stays.',
    options: { folder },
    async run(values) {
      const { code: _, ...setting } = await keptSetting(text(values, 'folder'))
      await keepSetting(text(values, 'folder'), setting)
      return { json: { joined: false }, text: 'this board takes no part any more' }
    },
  },

  'work pause': {
    what: 'Pauses work on this board at once, until it is resumed.',
    options: { folder },
    run: (values) => pausing(text(values, 'folder'), true),
  },

  'work resume': {
    what: 'Goes on with work where it was paused.',
    options: { folder },
    run: (values) => pausing(text(values, 'folder'), false),
  },

  'work rules': {
    what: 'Says when this board may compute: hours of the day, on battery, up to which temperature.',
    options: {
      folder,
      hours: { type: 'string', what: 'such as 22:00-07:00, by the board’s clock; or always' },
      battery: { type: 'string', what: 'yes: it computes on battery, too; no: it rests' },
      heat: { type: 'string', what: 'at how many °C it rests, 30 to 120' },
    },
    async run(values) {
      const path = text(values, 'folder')
      const setting = { ...(await keptSetting(path)) }
      if (values['hours'] === 'always') delete setting.hours
      else if (values['hours'] !== undefined) setting.hours = hoursIn(text(values, 'hours'))
      if (values['battery'] !== undefined) setting.isOnBatteryToo = yesIn(values, 'battery')
      if (values['heat'] !== undefined) setting.restFromC = integer(values, 'heat', 30, 120)
      await keepSetting(path, setting)
      const { code: _, ...rules } = setting
      return { json: rules, text: rulesText(setting) }
    },
  },

  'work status': {
    what: 'Says whether this board takes part in work, and what it has computed; also while it runs.',
    options: { folder },
    async run(values) {
      const path = text(values, 'folder')
      const setting = await keptSetting(path)
      const { code, isPaused } = setting
      const { computed, valid, wrong, fuel } = await recordOf(path)
      const now = await nowOf(path)
      const part = code === undefined ? 'takes no part' : isPaused ? 'paused by its owner' : 'takes part'
      const lines = [part, `rules: ${rulesText(setting)}`]
      if (now) lines.push(`now ${now.is}${now.why === undefined ? '' : ` (${restWords[now.why] ?? now.why})`}`)
      lines.push(`${computed} units computed, fuel ${fuel}`)
      if (now?.account) lines.push(accountText(now.account))
      return {
        json: { takesPart: code !== undefined, isPaused, computed, valid, wrong, fuel, now },
        text: lines.join('\n'),
      }
    },
  },

  'work redeem': {
    what: 'Turns points into stored value of the member that the owner is; the board must run.',
    positionals: 'POINTS',
    options: { folder },
    async run(values, [given = '', ...more]) {
      const points = /^[1-9]\d{0,8}$/.test(given) ? Number(given) : 0
      if (points === 0 || more.length > 0) throw new UsageError('say how many whole points, such as 500')
      const { askBoard } = await import('./adapters/local-socket.ts')
      const { redeemed } = await askBoard<{ redeemed?: Redeemed }>(text(values, 'folder'), { do: 'redeem', points })
      if (!redeemed)
        return {
          json: { waits: true },
          text: 'the redemption waits for the line to the site; see azukari-device work status',
        }
      const { minor, currency, leftMicroPoints } = redeemed
      return {
        json: redeemed,
        text: `${points} points become ${minor} ${currency} of stored value; ${leftMicroPoints / 1e6} are left`,
      }
    },
  },
  'work try': {
    what: 'Runs a module as a unit of work in the sandbox: counts its fuel, writes its output, goes on from a checkpoint.',
    positionals: 'MODULE',
    options: {
      input: { type: 'string', what: 'file of its input; else it has none' },
      output: { type: 'string', what: 'file that its output is written to', default: './work-output' },
      checkpoint: {
        type: 'string',
        what: 'file that keeps its last checkpoint: the next call goes on from there; removed when it has ended',
      },
      fuel: { type: 'string', what: 'how many instructions it may run', default: '10000000000' },
      memory: { type: 'string', what: 'what its memory may grow to, MiB', default: '256' },
      seconds: { type: 'string', what: 'how long it may take', default: '600' },
    },
    async run(values, positionals) {
      if (positionals.length !== 1) throw new UsageError('name one file of a module')
      const limits = {
        fuel: integer(values, 'fuel', 1, Number.MAX_SAFE_INTEGER),
        memoryMaxBytes: integer(values, 'memory', 1, 1024) * mebibyte,
        wallMs: integer(values, 'seconds', 1, 24 * 60 * 60) * 1000,
        outputMaxBytes,
        stateMaxBytes,
      }
      const { startUnit } = await import('./compute/adapters/compute-child.ts')
      const { readNamedFile } = await import('@azukari/protocol/adapters/named-file')
      const { beginning } = await import('./compute/unit.ts')
      const { openCheckpoint, sealCheckpoint } = await import('./compute/checkpoint-file.ts')
      const module = readNamedFile(positionals[0]!)
      const input = values['input'] === undefined ? new Uint8Array() : readNamedFile(text(values, 'input'))
      if (input.length > inputMaxBytes) throw new UsageError(`the input has more than ${inputMaxBytes} bytes`)
      const kept = optionalFile(values, 'checkpoint')
      const from = kept && existsSync(kept) ? openCheckpoint(readNamedFile(kept), module, input) : beginning
      const run = startUnit(
        { module, input, from, limits },
        {
          clock: systemClock,
          onCheckpoint: (checkpoint) => {
            if (kept) replaceFile(kept, sealCheckpoint(checkpoint, module, input))
          },
        },
      )
      const stop = () => run.stop()
      process.once('SIGINT', stop)
      process.once('SIGTERM', stop)
      const result = await run.result.finally(() => {
        process.off('SIGINT', stop)
        process.off('SIGTERM', stop)
      })
      replaceFile(text(values, 'output'), result.output)
      if (kept) rmSync(kept, { force: true })
      return answer(text(values, 'output'), result, from)
    },
  },
}

function answer(file: string, result: UnitResult, from: Checkpoint) {
  const { output, fuelUsed, memoryPeakBytes, checkpoints, wallMs } = result
  const json = {
    output: file,
    outputBytes: output.length,
    outputHash: createHash('sha256').update(output).digest('hex'),
    fuelUsed,
    memoryPeakBytes,
    checkpoints,
    resumedFrom: from.checkpoints,
    wallMs: Math.round(wallMs),
  }
  const lines = [
    `${file}: ${output.length} bytes, SHA-256 ${json.outputHash}`,
    `fuel ${fuelUsed}, memory at most ${memoryPeakBytes} bytes, ${json.wallMs} ms, ${checkpoints} checkpoints`,
  ]
  if (from.checkpoints > 0) lines.push(`went on from checkpoint ${from.checkpoints}`)
  return { json, text: lines.join('\n') }
}

function optionalFile(values: Values, name: string): string | undefined {
  return values[name] === undefined ? undefined : text(values, name)
}

/** Why it rests or waits, as its owner reads it. */
const restWords: Readonly<Record<string, string>> = {
  paused: 'by its owner: azukari-device work resume',
  'in-use': 'somebody is at the board',
  hours: 'outside of its hours: azukari-device work rules --hours always',
  battery: 'on battery: azukari-device work rules --battery yes',
  heat: 'too warm: azukari-device work rules --heat',
  none: 'there is no unit for it now',
  quota: 'it has computed what it may today',
  'link.offline': 'no line to the site',
}

function hoursIn(given: string): NonNullable<WorkSetting['hours']> {
  const found = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(given)
  if (!found) throw new UsageError(`--hours ${given}: such as 22:00-07:00, or always`)
  const [fromHour, from, toHour, to] = found.slice(1).map(Number)
  return { fromMinute: fromHour! * 60 + from!, toMinute: toHour! * 60 + to! }
}

function yesIn(values: Values, name: string): boolean {
  const given = text(values, name)
  if (given !== 'yes' && given !== 'no') throw new UsageError(`--${name} is yes or no`)
  return given === 'yes'
}

function rulesText({ hours, isOnBatteryToo = false, restFromC = standardRestFromC }: WorkSetting): string {
  const time = (minute: number) =>
    `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
  const when = hours ? `${time(hours.fromMinute)}-${time(hours.toMinute)}` : 'always'
  return `${when}; ${isOnBatteryToo ? 'on battery, too' : 'rests on battery'}; rests from ${restFromC} °C`
}

async function nowOf(path: string): Promise<WorkNote | undefined> {
  const { runningNote } = await import('./main.ts')
  const { notePath, parseNote } = await import('./work/note.ts')
  if (!runningNote(path) || !existsSync(notePath(path))) return undefined
  return parseNote(readFileSync(notePath(path)))
}

function accountText(account: WorkAccount): string {
  const { owner, valid, wrong, waiting, microPoints, ownerMicroPoints, leftMicroPoints, redemptions = [] } = account
  const left = leftMicroPoints === undefined ? '' : `, ${leftMicroPoints / 1e6} left to redeem`
  return [
    `${owner}: ${valid} valid, ${wrong} wrong, ${waiting} not confirmed yet; ${microPoints / 1e6} points here, ${ownerMicroPoints / 1e6} on all boards${left}`,
    ...redemptions.map(
      ({ points, minor, currency, state, problem }) =>
        `  ${points} points: ${minor} ${currency}, ${bookingWords[state]}${problem === undefined ? '' : ` (${problem})`}`,
    ),
  ].join('\n')
}

const bookingWords = { due: 'not booked yet', booked: 'booked', refused: 'refused: the points are back' } as const

async function keptSetting(path: string): Promise<WorkSetting> {
  const { noPart, parseSetting, settingPath } = await import('./work/setting.ts')
  const file = settingPath(path)
  return existsSync(file) ? parseSetting(readFileSync(file)) : noPart
}

/** @throws {UsageError} when the folder is not there: a setting that no board reads would look like success */
async function keepSetting(path: string, setting: WorkSetting): Promise<void> {
  if (!existsSync(path))
    throw new UsageError(`${path} is no device’s folder: name it with --folder, or start the device once (run)`)
  const { settingPath } = await import('./work/setting.ts')
  replaceFile(settingPath(path), new TextEncoder().encode(`${JSON.stringify(setting)}\n`))
}

async function pausing(path: string, isPaused: boolean) {
  await keepSetting(path, { ...(await keptSetting(path)), isPaused })
  return { json: { isPaused }, text: isPaused ? 'work is paused' : 'work goes on' }
}

async function recordOf(path: string): Promise<Totals> {
  const { openDeviceDatabase } = await import('./adapters/database.ts')
  const { noTotals, totalsIn } = await import('./work/record.ts')
  if (!existsSync(`${path}/device.db`)) return noTotals
  const database = await openDeviceDatabase(`${path}/device.db`)
  try {
    return await totalsIn(database)
  } finally {
    await database.close()
  }
}

/** The file is the old one or the new one, whole, whenever the call ends. */
function replaceFile(path: string, bytes: Uint8Array): void {
  writeFileSync(`${path}.new`, bytes, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
