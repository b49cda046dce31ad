/**
 * `npm run test:hil`: all hardware-in-the-loop tests, one file after the other since they share the machine's daemons, and
 * one report (`hil-report/report.json`, `report.html`). What is skipped counts as failed.
 *
 *   npm run test:hil -- [--map FILE] [--only NAME] [--out FOLDER]
 *
 * With a map of real hardware only the conformance suites are run, on that.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { arch, platform, release } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type HilFile, type HilReport, readTap, reportPage } from './hil-report.ts'

const root = resolve(import.meta.dirname, '..')
const folder = 'sim/src/hil'
const fileMs = 300_000
/** A person before a board takes longer. */
const mappedMs = 3_600_000
const saidMax = 8_000

const { values } = parseArgs({
  options: { map: { type: 'string' }, only: { type: 'string' }, out: { type: 'string', default: 'hil-report' } },
})

async function run(file: string): Promise<HilFile> {
  const startedMs = performance.now()
  const env = { ...process.env, ...(values.map ? { AZUKARI_HARDWARE_MAP: resolve(values.map) } : {}) }
  const child = spawn(process.execPath, ['--import', 'tap', join(folder, file)], {
    cwd: root,
    env,
    stdio: ['inherit', 'pipe', values.map ? 'inherit' : 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (said += text.toString()))
  const limit = setTimeout(() => child.kill('SIGKILL'), values.map ? mappedMs : fileMs)
  const code = await new Promise<number | null>((done) => child.once('close', done))
  clearTimeout(limit)
  const { tests, checks } = readTap(said)
  const isWhole = code === 0 && checks > 0 && tests.length > 0 && tests.every(({ state }) => state === 'passed')
  return {
    file,
    state: isWhole ? 'passed' : 'failed',
    ms: Math.round(performance.now() - startedMs),
    checks,
    tests,
    ...(isWhole ? {} : { said: said.slice(-saidMax) || `ended with ${code} and said nothing` }),
  }
}

const found = readdirSync(join(root, folder)).filter((name) => name.endsWith('.hil.ts'))
const wanted = values.map
  ? ['conformance.hil.ts']
  : found.filter((name) => !values.only || name.startsWith(values.only))
const files: HilFile[] = []
for (const file of wanted) {
  process.stdout.write(`${file} … `)
  const done = await run(file)
  files.push(done)
  console.log(`${done.state}: ${done.tests.length} tests, ${done.checks} checks, ${(done.ms / 1000).toFixed(1)} s`)
  if (done.said) console.error(done.said)
}
const count = (state: string) => files.flatMap(({ tests }) => tests).filter((test) => test.state === state).length
const report: HilReport = {
  at: new Date().toISOString(),
  map: values.map ?? 'simulator and protocol stack',
  system: `${platform()} ${release()} ${arch()}`,
  node: process.version,
  passed: count('passed'),
  failed: count('failed'),
  skipped: count('skipped'),
  files,
}
const out = resolve(root, values.out)
mkdirSync(out, { recursive: true })
writeFileSync(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`)
writeFileSync(join(out, 'report.html'), reportPage(report))
console.log(`${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped; ${values.out}/report.html`)
process.exitCode = files.length > 0 && files.every(({ state }) => state === 'passed') ? 0 : 1
