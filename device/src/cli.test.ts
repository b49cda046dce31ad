import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import t from 'tap'
import { consoleLog } from './adapters/console-log.ts'
import { loadBoard } from './adapters/load-board.ts'
import { examine, statusOf } from './doctor.ts'
import { closeBoard } from './drivers.ts'
import { runDevice } from './main.ts'

const folder = mkdtempSync(join(tmpdir(), 'azukari-device-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const ports = {
  clock: systemClock,
  random: systemRandom,
  files: systemFiles(),
  log: consoleLog('test', 'silent'),
  directory: folder,
}
const board = join(folder, 'board.mjs')
writeFileSync(
  board,
  `export const board = ({ directory }) => ({ model: 'test', camera: { model: 'eye', close: async () => undefined,
    capture: async () => { throw new Error(directory) } } })`,
)

t.test('D2: a board is a module named at start', async (t) => {
  t.match(await loadBoard(board, ports), { model: 'test', camera: { model: 'eye' } }, 'a file')
  for (const [name, what] of [
    ['pc-kiosk', 'a name in @azukari/boards'],
    ['@azukari/boards/pc-kiosk', 'a package’s module'],
  ] as const) {
    const made = await loadBoard(name, ports)
    t.match(made, { model: 'pc-kiosk' }, what)
    await closeBoard(made)
  }
  await t.rejects(loadBoard('no-such-board', ports), { code: 'config.invalid', detail: /no board module/ })
  const written = join(folder, 'board.json')
  writeFileSync(
    written,
    JSON.stringify({ model: 'mine', what: '', parts: { printer: { driver: 'folder', folder: 'out' } } }),
  )
  t.match(await loadBoard(written, ports), { model: 'mine', printer: { model: 'folder printer' } }, 'a board as data')
  writeFileSync(written, JSON.stringify({ model: 'mine', what: '', parts: { printer: { driver: 'lens' } } }))
  await t.rejects(loadBoard(written, ports), { code: 'driver.missing', detail: /no driver lens for a printer/ })
  await t.rejects(loadBoard(join(folder, 'none.json'), ports), { code: 'config.invalid', detail: /none.json/ })
  writeFileSync(join(folder, 'empty.mjs'), 'export {}')
  await t.rejects(loadBoard(join(folder, 'empty.mjs'), ports), { code: 'config.invalid', detail: /no function/ })
  writeFileSync(join(folder, 'broken.mjs'), 'throw new Error("no such pin")')
  await t.rejects(loadBoard(join(folder, 'broken.mjs'), ports), { code: 'config.invalid', detail: /no such pin/ })
})

t.test('status and doctor say what a device’s folder holds and what is missing', async (t) => {
  const path = join(folder, 'device')
  t.strictSame(await statusOf(path), { outbox: { rows: 0, bytes: 0 }, saves: {}, epoch: 0 }, 'nothing yet')
  const listener = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await new Promise((resolve) => listener.once('listening', resolve))
  const { port } = listener.address() as { port: number }
  const broker = `mqtt://127.0.0.1:${port}`
  const running = await runDevice({
    board,
    broker,
    site: 'site',
    folder: path,
    version: '0.1.0',
    log: consoleLog('test', 'silent'),
  })
  const state = async (what: string, from = { folder: path, board, broker }) =>
    (await examine(from)).find((finding) => finding.what === what)
  t.equal((await statusOf(path)).device, running.runtime.identity.device)
  t.match(await state('identity'), { state: 'problem', todo: /claim/ }, 'it must be enrolled')
  t.match(await state('line'), { state: 'ok' })
  await running.stop()
  t.equal(running.runtime.state, 'stopped')
  t.match(await state('runtime'), { state: 'absent' })
  t.match(await state('reader'), { state: 'absent' })
  t.match(await state('camera'), { state: 'absent', fact: 'eye: not tried', todo: /--try/ })
  t.match(await state('PIN entry'), { state: 'problem', fact: /No PIN can be entered/, todo: /keypad/ })
  t.match(await state('PIN entry', { folder: path, board: 'pc-kiosk', broker }), { state: 'ok' })
  await new Promise((resolve) => listener.close(resolve))
  t.match(await state('line'), { state: 'problem', fact: /ECONNREFUSED/ })
  t.match(await state('line', { folder: path, board, broker: 'gateway' }), { state: 'problem', fact: /no address/ })
})

t.test('S17: a board at which no PIN can be entered says so when it starts', async (t) => {
  const written = join(folder, 'mute.json')
  const warned: unknown[] = []
  const log = { ...consoleLog('test', 'silent'), warn: (_: string, fields: unknown) => warned.push(fields) }
  const started = async (parts: object) => {
    warned.length = 0
    writeFileSync(
      written,
      JSON.stringify({ model: 'mute', what: '', parts: { reader: { driver: 'built-in' }, ...parts } }),
    )
    const settings = { board: written, broker: 'mqtt://127.0.0.1:1', site: 'site', folder: join(folder, 'mute') }
    const running = await runDevice({ ...settings, version: '0.1.0', log: log as never })
    await running.stop()
    return warned.filter((fields) => (fields as { code?: string }).code === 'panel.no-pin-entry').length
  }
  t.equal(await started({ printer: { driver: 'folder' } }), 1)
  t.equal(await started({ printer: { driver: 'folder' }, display: { driver: 'kiosk', touch: false } }), 1)
  t.equal(await started({ printer: { driver: 'folder' }, display: { driver: 'kiosk' } }), 0)
})

t.test('D5: two runtimes do not work in one folder; one that lost power leaves nothing in the way', async (t) => {
  const path = join(folder, 'device')
  const settings = {
    board,
    broker: 'mqtt://127.0.0.1:1',
    site: 'site',
    folder: path,
    version: '0.1.0',
    log: consoleLog('test', 'silent'),
  }
  // What a runtime wrote before a power cut, and somebody else has its number by now.
  writeFileSync(join(path, 'running.json'), JSON.stringify({ pid: process.ppid, link: 'up', sinceMs: 0 }))
  const running = await runDevice(settings)
  await t.rejects(runDevice(settings), { code: 'folder.in-use' })
  await running.stop()
  await (await runDevice(settings)).stop()
})

t.test('the log is lines of JSON without secrets', async (t) => {
  const lines: string[] = []
  const log = consoleLog('device', 'info', (line) => lines.push(line) > 0)
  log.debug('not shown')
  log.child({ board: 'b' }).warn('shown', { claim: 'abc', nested: { pin: '1234' } })
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0]!), { level: 'warn', message: 'shown', board: 'b', claim: '***', nested: { pin: '***' } })
})

t.test('the command line: exit codes', async (t) => {
  const cli = join(import.meta.dirname, 'cli.ts')
  const run = (...args: string[]) => spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' })
  t.equal(run('--version').stdout.trim(), '0.1.0')
  t.equal(run('fly').status, 2)
  t.equal(run('run', '--json').status, 2, 'what is needed is missing')
  t.match(JSON.parse(run('run', '--board', board, '--broker', 'x', '--role', 'cook', '--json').stdout), {
    problem: { code: 'config.invalid', detail: /camera, printer, terminal/ },
  })
  const elsewhere = run('run', '--board', board, '--broker', 'nonsense', '--folder', join(folder, 'lost'), '--json')
  t.match(JSON.parse(elsewhere.stdout), { problem: { code: 'config.invalid', detail: /mqtt:\/\/HOST/ } })
  t.equal(elsewhere.status, 1)
})

t.test('D2 S17: doctor waits for parts that greet, and says what to do about one that does not answer', async (t) => {
  const path = join(folder, 'greeting.mjs')
  writeFileSync(
    path,
    `const part = (model, more) => ({ model, close: async () => undefined, cards: () => [], ...more })
     export const board = () => {
       let looks = 0
       return { model: 'test', reader: Object.defineProperty(part('slow'), 'isReady', { get: () => ++looks > 3 }), panel: part('dead', { isReady: false }) }
     }`,
  )
  const findings = await examine({ folder: join(folder, 'another'), board: path })
  t.match(
    findings.find(({ what }) => what === 'reader'),
    { state: 'ok', fact: 'slow, 0 cards in it' },
  )
  t.match(
    findings.find(({ what }) => what === 'panel'),
    { state: 'problem', fact: 'dead: does not answer', todo: /dev.serial/ },
  )
})
