import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import t from 'tap'
import { consoleLog } from './adapters/console-log.ts'
import { PushedClock } from './conformance/pushed-clock.ts'
import { examine, type Finding } from './doctor.ts'
import type { Camera, CardReader, Panel } from './drivers.ts'
import { runDevice } from './main.ts'
import { tryCamera, tryPanel, tryReader } from './try-parts.ts'

const folder = mkdtempSync(join(tmpdir(), 'azukari-try-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const picture = pathToFileURL(join(import.meta.dirname, 'picture.ts')).href

/** A board whose parts write down what was done with them. */
const board = (name: string, camera: string) => {
  const path = join(folder, `${name}.mjs`)
  writeFileSync(
    path,
    `import { encodeJpeg } from ${JSON.stringify(picture)}
     const part = (model, more) => ({ model, close: async () => undefined, ...more })
     const done = (globalThis.doneByDoctor = [])
     const files = new Map()
     export const board = () => ({
       model: 'test',
       camera: part('eye', { capture: ${camera} }),
       printer: part('paper', {
         attributes: async () => ({ ready: true, media: ['a4'], maxWidth: 999, maxHeight: 999 }),
         print: async ({ page, copies }) => void done.push('printed ' + copies + ' of ' + page.rgba.length) }),
       reader: part('slot', { onCard() {}, cards: () => ['contact'], connect: async () => ({
         kind: 'contact', transmit: async () => Uint8Array.of(0x90, 0), disconnect: async () => void done.push('reset') }) }),
       panel: part('keys', { lamps: ['ready'], buttons: ['ok'], entry: [], lamp: async (_, state) => void done.push(state),
         onButton: (listener) => { setImmediate(listener, 'ok'); return { [Symbol.dispose]() {} } } }),
       memory: part('stick', {
         freeBytes: async () => 1e12, list: async () => [...files.keys()],
         put: async (name, content) => void files.set(name, content), remove: async (name) => void files.delete(name),
         open: async (name) => ({ read: async () => files.get(name), close: async () => undefined }) }),
     })`,
  )
  return path
}
const living = board(
  'living',
  `async () => ({ bytes: encodeJpeg({ width: 8, height: 6, rgba: new Uint8Array(192) }) })`,
)
const dead = board('dead', `async () => { throw new Error('EIO') }`)
const said: string[] = []
const trying = { say: (line: string) => void said.push(line) }
const of = (findings: Finding[], what: string) => findings.find((one) => one.what === what)

t.test('S17 D2: doctor --try uses each part once, and keeps nothing', async (t) => {
  const path = join(folder, 'device')
  const looked = await examine({ folder: path, board: living })
  t.match(of(looked, 'camera'), { state: 'absent', fact: 'eye: not tried', todo: /--try/ }, 'a look says no more')
  t.same((globalThis as { doneByDoctor?: string[] }).doneByDoctor, [], 'and does nothing')
  const tried = await examine({ folder: path, board: living, trying })
  t.match(of(tried, 'camera'), { state: 'ok', fact: /eye: took a picture of 8 × 6 pixels/ })
  t.match(of(tried, 'printer'), { state: 'ok', fact: 'paper: printed a line' })
  t.match(of(tried, 'reader'), { state: 'ok', fact: 'slot: a card (contact) answers 9000' })
  t.match(of(tried, 'panel'), { state: 'ok', fact: 'keys: ok was pressed' })
  t.match(of(tried, 'memory'), { state: 'ok', fact: 'stick: a file was written, read and removed' })
  t.match(said, [/Press a key/])
  const done = (globalThis as { doneByDoctor?: string[] }).doneByDoctor
  t.same(done, ['printed 1 of 36864', 'reset', 'blink', 'off'])
})

t.test('S17 D5: the runtime cannot start in the middle of a try, and can after it', async (t) => {
  const path = join(folder, 'device')
  const lock = join(import.meta.dirname, '../../protocol/src/adapters/folder-lock.ts')
  const holding = board(
    'holding',
    `async () => (await import(${JSON.stringify(pathToFileURL(lock).href)})).holdFolder(${JSON.stringify(join(path, 'device.lock'))})`,
  )
  const found = of(await examine({ folder: path, board: holding, trying }), 'camera')
  t.match(found, { state: 'problem', fact: /device\.lock/ })
  holdFolder(join(path, 'device.lock'))[Symbol.dispose]()
})

t.test('S17 D2: a dead camera is told as dead', async (t) => {
  const found = of(await examine({ folder: join(folder, 'device'), board: dead, trying }), 'camera')
  t.match(found, { state: 'problem', fact: /eye: .*EIO/ })
})

t.test('S17 D5: while the device runs nothing is tried, and doctor says what to do', async (t) => {
  const path = join(folder, 'running')
  const settings = { board: living, broker: 'mqtt://127.0.0.1:1', site: 'site', folder: path, version: '0.1.0' }
  const running = await runDevice({ ...settings, log: consoleLog('test', 'silent') })
  const found = await examine({ folder: path, board: living, trying })
  t.match(of(found, 'board'), { state: 'problem', fact: /in use by the running device/, todo: /Stop the device first/ })
  t.notOk(of(found, 'camera'))
  await running.stop()
})

t.test('S17: a part that never answers is left, even if it does not heed its signal', async (t) => {
  const clock = new PushedClock()
  const ports = { clock, say: () => undefined }
  const never = () => new Promise<never>(() => undefined)
  const camera = tryCamera({ model: 'deaf', capture: never, close: never } as Camera, ports)
  clock.push(60_000)
  await t.rejects(camera, { code: 'part.timeout', detail: /the camera did not answer within 60 s/ })
  const reader = tryReader({ cards: () => ['contact'], connect: never } as unknown as CardReader, ports)
  clock.push(60_000)
  await t.rejects(reader, { code: 'part.timeout' })
  const panel = { lamps: [], buttons: ['ok'], onButton: () => ({ [Symbol.dispose]: () => undefined }) }
  const pressed = tryPanel(panel as unknown as Panel, ports)
  clock.push(20_000)
  await t.rejects(pressed, { code: 'panel.unanswered' })
})

t.test('S17: a camera that is a folder is not tried with the picture that somebody put there', async (t) => {
  const camera = { model: 'folder', waitsFor: '/pictures', capture: () => t.fail('taken') } as unknown as Camera
  t.match(await tryCamera(camera, { clock: new PushedClock(), say: () => undefined }), { isTried: false })
})
