import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cameraConforms } from '@azukari/device/conformance/camera'
import { PushedClock } from '@azukari/device/conformance/pushed-clock'
import type { Checks } from '@azukari/device/conformance/suite'
import { type Camera, type Captured, partProblem } from '@azukari/device/drivers'
import { encodeJpeg } from '@azukari/device/picture'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import type { Clock, Log } from '@azukari/protocol/ports'
import t from 'tap'
import { buildBoard, parseDefinition } from './definitions.ts'

const silent = () => undefined
const log: Log = { debug: silent, info: silent, warn: silent, error: silent, child: () => log }
const folder = await mkdtemp(join(tmpdir(), 'azukari-drivers-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const ports = { files: systemFiles(), clock: systemClock, random: systemRandom, log, directory: folder, from: folder }

/** A module's text: a camera whose `make` and options are those given. */
const camera = (make: string, options = `{ type: 'object', properties: { url: { type: 'string' } } }`) =>
  `export const driver = { contract: 'camera', what: 'a lens', options: ${options}, make: ${make} }`
const working = camera(`({ url }) => ({ model: 'lens at ' + url, capture: async () => ({}), close: async () => {} })`)

async function packageOf(name: string, text: string, file = 'index.js'): Promise<void> {
  const at = join(folder, 'node_modules', name)
  await mkdir(at, { recursive: true })
  await writeFile(join(at, 'package.json'), JSON.stringify({ name, type: 'module', exports: `./${file}` }))
  await writeFile(join(at, file), text)
}

const built = (part: object, kind = 'camera', more: object = {}) =>
  buildBoard(parseDefinition({ model: 'x', what: 'x', parts: { [kind]: part } }), { ...ports, ...more })

t.test('S17 D2: a board’s file names a driver by package, or by path as JavaScript or TypeScript', async (t) => {
  await packageOf('somebodys-lens', working)
  t.equal((await built({ driver: 'somebodys-lens', url: 'a' })).camera?.model, 'lens at a')
  await writeFile(join(folder, 'lens.mjs'), working)
  t.equal((await built({ driver: './lens.mjs', url: 'b' })).camera?.model, 'lens at b')
  t.equal((await built({ driver: join(folder, 'lens.mjs'), url: 'c' })).camera?.model, 'lens at c')
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(join(folder, 'lens.ts'), `const typed: string = 'x'\nvoid typed\n${working}`)
  t.equal((await built({ driver: './lens.ts', url: 'd' })).camera?.model, 'lens at d')
})

t.test('S17 D2: what a driver’s options lack or have too much is told before it is made', async (t) => {
  await writeFile(join(folder, 'lens.mjs'), working)
  const wrong = (part: object, detail: RegExp) =>
    t.rejects(built({ driver: './lens.mjs', ...part }), { code: 'config.invalid', detail })
  await wrong({ url: 'a', ulr: 'b' }, /no option ulr; there are url/)
  await wrong({ url: 5 }, /\.\/lens\.mjs: \/url must be string/)
  const strict = `{ type: 'object', required: ['url'], properties: { url: { type: 'string' } } }`
  await writeFile(join(folder, 'strict.mjs'), camera('() => undefined', strict))
  await t.rejects(built({ driver: './strict.mjs' }), { code: 'config.invalid', detail: /url/ })
})

t.test('S17 D2: a driver that is missing, throws or lacks what it needs is told as that', async (t) => {
  const told = async (driver: string, code: string, detail: RegExp, kind = 'camera') =>
    t.rejects(built({ driver }, kind), { code, detail }, `${driver}: ${code}`)
  const written = async (name: string, text: string) => writeFile(join(folder, name), text)

  await told('./none.mjs', 'driver.missing', /there is no .*none\.mjs/)
  await told('nobodys-lens', 'driver.missing', /no driver nobodys-lens for a camera; there are watched-folder/)
  await written('throws.mjs', 'throw new Error("no such pin")')
  await told('./throws.mjs', 'driver.failed', /no such pin/)
  await written('syntax.mjs', 'export const = 1')
  await told('./syntax.mjs', 'driver.failed', /Unexpected token/)
  await written('library.mjs', `import 'a-library-of-lenses'\n${working}`)
  await told('./library.mjs', 'driver.needs', /npm install a-library-of-lenses/)
  await written('late.mjs', camera(`async () => { await import('a-late-library') }`))
  await told('./late.mjs', 'driver.needs', /npm install a-late-library/)
  await written('empty.mjs', 'export {}')
  await told('./empty.mjs', 'driver.invalid', /exports no `driver`/)
  await written('lens.mjs', working)
  await told('./lens.mjs', 'driver.invalid', /for a camera, not for a printer/, 'printer')
  await written('half.mjs', camera(`() => ({ model: 'half' })`))
  await told('./half.mjs', 'driver.invalid', /its camera has no close, capture/)
  await written('breaks.mjs', camera(`() => { throw new Error('the lens is out') }`))
  await told('./breaks.mjs', 'driver.failed', /the lens is out/)
  await packageOf('typed-lens', working, 'index.ts')
  await told('typed-lens', 'driver.invalid', /below node_modules it must be JavaScript/)
})

t.test('S17: a driver that never makes its part is given up, and its part let go when it comes', async (t) => {
  await writeFile(
    join(folder, 'slow.mjs'),
    camera(`() => new Promise((resolve) => {
      globalThis.lensComes = () => resolve({ model: 'slow', capture() {}, close: async () => globalThis.lensIsGone() })
    })`),
  )
  const clock = new PushedClock()
  const asked = built({ driver: './slow.mjs' }, 'camera', { clock })
  const lens = globalThis as unknown as { lensComes?: () => void; lensIsGone: () => void }
  const gone = new Promise<void>((resolve) => {
    lens.lensIsGone = resolve
  })
  while (!lens.lensComes) await systemClock.sleep(5)
  clock.push(30_000)
  await t.rejects(asked, { code: 'driver.failed', detail: /within 30 s/ })
  lens.lensComes()
  await gone
})

/** What a suite finds wrong. */
function recording(found: string[]): Checks {
  const wrong = (isRight: boolean, message = 'a check') => void (isRight || found.push(message))
  return {
    test: (_, __, work) => work(recording(found)),
    ok: (value, message?: string) => wrong(Boolean(value), message),
    equal: (one, other, message?: string) => wrong(Object.is(one, other), message),
    same: (one, other, message?: string) => wrong(JSON.stringify(one) === JSON.stringify(other), message),
    teardown: () => undefined,
  }
}

/** A camera that waits for its picture, and heeds the signal and a limit or does not. */
class Lens implements Camera {
  readonly model = 'lens'
  readonly #o: { heeds: boolean; clock?: Clock | undefined; answers: boolean }
  #isClosed = false
  #shots = 0
  constructor(options: { heeds: boolean; clock?: Clock | undefined; answers: boolean }) {
    this.#o = options
  }
  async capture(signal: AbortSignal): Promise<Captured> {
    signal.throwIfAborted()
    if (this.#isClosed) throw partProblem('camera', 'absent')
    const { promise, reject } = Promise.withResolvers<never>()
    if (this.#o.heeds) signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    using _limit = this.#o.clock?.timer(5_000, () => reject(partProblem('camera', 'timeout')))
    if (!this.#o.answers) await promise
    const side = 16 + this.#shots++
    const page = { width: side, height: side, rgba: new Uint8Array(side * side * 4).fill(200) }
    return { bytes: encodeJpeg(page), mediaType: 'image/jpeg', takenAtMs: 1_700_000_000_000 }
  }
  async close(): Promise<void> {
    this.#isClosed = true
  }
}

t.test('S17: the suite catches a driver that ignores its signal, and one without a time limit', async (t) => {
  const foundIn = async (heeds: boolean, hasLimit: boolean) => {
    const found: string[] = []
    await cameraConforms(recording(found), {
      make: async () => new Lens({ heeds: true, answers: true }),
      stalled: async (clock) => new Lens({ heeds, clock: hasLimit ? clock : undefined, answers: false }),
    })
    return found
  }
  t.same(await foundIn(true, true), [])
  t.same(await foundIn(false, true), ['it heeds its AbortSignal while it waits'])
  t.same(await foundIn(true, false), ['it has a time limit of its own, on the clock that it is given'])
})
