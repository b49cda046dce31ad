/**
 * B14: how long programs take to start: commands and a data server beside bare Node, and `npm start` to its page with the
 * memory of the idle site. Compiled code is kept between starts, as it is for those who use them.
 */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { leanEnvironment } from '@azukari/protocol/adapters/lean-memory'
import { InternalError } from '@azukari/protocol/problem'
import { gatewayCommand, startGatewayCommand } from '../site/processes.ts'
import { cpuSecondsOf, Measured, memoryOf } from './process.ts'
import { type BenchContext, median, type Row, rounded, spread } from './row.ts'

const commandTargetMs = 200
const serverTargetMs = 500
const pageTargetMs = 10_000

const doors = { gateway: '@azukari/gateway/cli', sim: '@azukari/sim/cli', device: '@azukari/device/cli' }
const programOf = (name: keyof typeof doors) =>
  fileURLToPath(new URL(`azukari-${name}.js`, import.meta.resolve(doors[name])))

export async function run({ quick, folder, tell }: BenchContext): Promise<Row[]> {
  const site = join(folder, 'site')
  const cache = { NODE_COMPILE_CACHE: join(folder, 'compiled'), XDG_STATE_HOME: join(site, 'state') }
  const gateway = programOf('gateway')
  const at = ['--folder', site]
  await gatewayCommand(['init', ...at])
  const running = await startGatewayCommand(['run', ...at, '--port', '0'], { logFile: join(folder, 'gateway.log') })
  // Signs in.
  await gatewayCommand(['device', 'list', ...at])
  const calls: [what: string, words: string[], isSimple: boolean][] = [
    ['azukari-gateway --help', [gateway, '--help'], true],
    ['azukari-gateway service', [gateway, 'service', '--folder', '/var/lib/azukari'], true],
    ['azukari-gateway acl', [gateway, 'acl'], true],
    ['azukari-gateway device list', [gateway, 'device', 'list', ...at], false],
    ['azukari-gateway claim new', [gateway, 'claim', 'new', '--region', 'JP-13', ...at], false],
    ['azukari-device --help', [programOf('device'), '--help'], true],
    ['azukari-sim --help', [programOf('sim'), '--help'], true],
  ]
  const rounds = quick ? 2 : 9
  const bare: number[] = []
  const taken = calls.map(() => [] as number[])
  for (const [, words] of calls) timed(words, cache)
  for (let round = 0; round < rounds; round++) {
    tell(`round ${round + 1} of ${rounds}`)
    bare.push(timed(['-e', '0'], cache))
    for (const [at, [, words]] of calls.entries()) taken[at]!.push(timed(words, cache))
  }
  await running.stop()
  const bareMs = median(bare)
  const rows: Row[] = calls.map(([what, , isSimple], at) => {
    const ms = median(taken[at]!)
    return {
      row: 'B14',
      what,
      value: rounded(ms, 0),
      unit: 'ms',
      peer: rounded(bareMs, 0),
      ratio: rounded(ms / bareMs),
      target: `≤ ${commandTargetMs} ms`,
      met: ms <= commandTargetMs,
      note: `${spread(taken[at]!)} ms; beside it node -e 0${isSimple ? '' : '; opens the site’s database'}`,
    }
  })
  rows.push(await dataServer(gateway, site, cache, quick ? 1 : 5, bareMs))
  tell('npm start')
  rows.push(...(await page(join(folder, 'start'), cache)))
  return rows
}

/** Wall time of a call, ms. */
function timed(words: readonly string[], environment: Record<string, string>): number {
  const { NODE_OPTIONS: _, ...inherited } = process.env
  const startedMs = performance.now()
  const { status, stderr } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    env: { ...leanEnvironment, ...inherited, ...environment },
  })
  if (status !== 0) throw new InternalError(`${words.join(' ')} ended with ${status}: ${stderr.slice(-500)}`)
  return performance.now() - startedMs
}

async function dataServer(
  gateway: string,
  site: string,
  cache: Record<string, string>,
  rounds: number,
  bareMs: number,
): Promise<Row> {
  const usedMs: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const server = new Measured([gateway, 'data-server', '--folder', site, '--id', 'tokyo'], cache)
    await server.said('ready')
    // The first makes its certificate and compiles.
    if (round > 0) usedMs.push(cpuSecondsOf(server.pid) * 1_000)
    await server.end()
  }
  const ms = median(usedMs)
  return {
    row: 'B14',
    what: 'a data server ready',
    value: rounded(ms, 0),
    unit: 'ms of processor',
    peer: rounded(bareMs, 0),
    ratio: rounded(ms / bareMs),
    target: `≤ ${serverTargetMs} ms`,
    met: ms <= serverTargetMs,
    note: `${spread(usedMs)} ms; beside it node -e 0, wall`,
  }
}

/** `npm start`, as the script of package.json runs it, to the line that names its page. */
async function page(folder: string, cache: Record<string, string>): Promise<Row[]> {
  const { NODE_OPTIONS: _, ...inherited } = process.env
  const startedMs = performance.now()
  const child = spawn(process.execPath, [programOf('sim'), 'site', '--folder', folder, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...leanEnvironment, ...inherited, ...cache },
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const address = new Promise<void>((resolve) => {
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (/Open http/.test(said)) resolve()
    })
  })
  try {
    await Promise.race([
      address,
      ended.then((code) => Promise.reject(new InternalError(`the site ended with ${code} before its page was there`))),
    ])
    const ms = performance.now() - startedMs
    const processes = [child.pid!, ...childrenOf(child.pid!)]
    const memoryMb = processes.reduce((sum, pid) => sum + memoryOf(pid).nowMb, 0)
    const without = { peer: null, ratio: null }
    return [
      {
        row: 'B14',
        what: 'npm start to its page',
        value: rounded(ms / 1_000, 1),
        unit: 's',
        ...without,
        target: `≤ ${pageTargetMs / 1_000} s`,
        met: ms <= pageTargetMs,
        note: 'once, with a new site',
      },
      {
        row: 'B14',
        what: 'memory of the idle site',
        value: rounded(memoryMb, 0),
        unit: 'MB',
        ...without,
        target: '',
        met: null,
        note: `${processes.length} processes, resident, shared pages counted in each`,
      },
    ]
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

function childrenOf(pid: number): number[] {
  const own = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  return own.flatMap((child) => [child, ...childrenOf(child)])
}
