/** Upgrades of many devices whose power goes at any step (D6): each is left with a runtime that works. */
import { signerOf } from '@azukari/protocol/cose'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import type { Files } from '@azukari/protocol/ports'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import { openSlot } from '@azukari/protocol/upgrade/bundle'
import { type Choice, confirmHealth, launch, restartCode } from '@azukari/protocol/upgrade/launcher'
import { signUpgrade } from '@azukari/protocol/upgrade/manifest'
import { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import t from 'tap'
import { SeededRandom } from '../../testkit/world/chance.ts'
import type { SimClock } from '../../testkit/world/clock.ts'
import { type Life, never } from '../../testkit/world/life.ts'
import { bundleFrom, healthMs, Powered, silent } from './powered.ts'

const folder = '/device/slots'

interface Release {
  version: string
  sequence: number
  site?: string
  minRuntime?: string
  /** How the new version behaves once it runs. */
  manner?: 'works' | 'crashes' | 'hangs'
  /** How its bundle is wrong. */
  bundle?: 'truncated' | 'damaged' | 'foreign-key'
}

/** A release's bundle, made by the site's key, or wrong in the way asked for. */
function bundleOf(random: SeededRandom, key: ReturnType<typeof generateKey>, release: Release) {
  const { version, sequence, site = 'tokyo', minRuntime = '0.1.0', bundle } = release
  const contents = new Map<string, Uint8Array>([
    ['src/cli.ts', new TextEncoder().encode(JSON.stringify({ version, manner: release.manner ?? 'works' }))],
    ['src/apps/camera.ts', random.bytes(40_000 + sequence)],
    ['package.json', random.bytes(300)],
    ['empty', new Uint8Array(0)],
  ])
  const signer = signerOf(bundle === 'foreign-key' ? generateKey('ed25519', random) : key)
  const source = bundleFrom(contents, (files) =>
    signUpgrade({ site, version, sequence, minRuntime, entry: 'src/cli.ts', files }, signer),
  )
  const camera = contents.get('src/apps/camera.ts')!
  if (bundle === 'damaged') camera[20_000]! ^= 1
  if (bundle === 'truncated') contents.set('src/apps/camera.ts', camera.subarray(0, 35_000))
  return source
}

/** One board: its disk, its launcher, and whatever runtime that starts. */
class Board extends Powered<{ version: string; slot: string | undefined }> {
  /** Sees each life's disk before the software does: to plant a fault. */
  planted: (files: Files) => Files = (files) => files

  constructor(seed: number, key: ReturnType<typeof generateKey>) {
    super(new SeededRandom(seed), key)
  }

  protected boot(life: Life): void {
    const clock = life.clock(this.clock)
    const store = new SlotStore(life.files(this.planted(this.disk)), folder)
    const releaseKey = async () => publicOf(this.key)
    const start = (choice: Choice) => {
      const ended = Promise.withResolvers<number>()
      const body = this.#runtime(store, choice, clock).then(ended.resolve, (error) => {
        if (!isProblem(error)) throw error
        ended.resolve(1)
      })
      return {
        exited: Promise.race([ended.promise, body.then(() => ended.promise)]),
        stop: async () => ended.resolve(143),
      }
    }
    const options = { store, releaseKey, start, clock, log: silent, healthMs }
    launch(options, new AbortController().signal).catch((error) => {
      if (!isProblem(error)) throw error
    })
  }

  /** Settles when the board has been at rest for a while, or its power has gone. */
  async rest(): Promise<void> {
    await this.clock.runUntil(this.clock.now() + 1.5 * healthMs, () => !this.alive)
  }

  /** What a version of the runtime does, as far as upgrades are concerned; the real one does the same over a line. */
  async #runtime(
    store: SlotStore,
    choice: Choice,
    clock: Life['clock'] extends (c: SimClock) => infer C ? C : never,
  ): Promise<number> {
    const told =
      choice.slot === undefined
        ? { version: '0.1.0', manner: 'works' }
        : JSON.parse(await textOf(store.files, choice.entry))
    await clock.sleep(this.random.between(100, 5_000))
    if (told.manner === 'crashes') return 1
    if (told.manner === 'hangs') return never()
    await confirmHealth(store, told.version)
    this.running = { version: told.version, slot: choice.slot }
    for (;;) {
      if (await this.takeOffer(store, told.version)) return restartCode
      await clock.sleep(20_000)
    }
  }
}

async function textOf(files: Files, path: string): Promise<string> {
  const file = await files.open(path, 'read')
  return new TextDecoder().decode(await file.read(0, await file.size()))
}

/** Offers a release under power cuts until the board has come to a decision on it. */
async function upgrade(board: Board, release: Release, chance: { cuts: number }): Promise<void> {
  const source = bundleOf(board.random, board.key, release)
  let cuts = chance.cuts
  for (let round = 0; round < 40; round++) {
    const slots = await new SlotStore(board.disk, folder).read()
    if (!board.alive) board.on(cuts-- > 0 ? board.random.between(0, 60) : undefined)
    if (slots.last?.sequence === release.sequence && slots.last.outcome === 'confirmed' && board.running) return
    if (slots.attempt?.phase !== 'pending' && slots.attempt?.phase !== 'trying') board.offer = source
    await board.rest()
    const after = await new SlotStore(board.disk, folder).read()
    // Without cuts any more, a decision that stands is final; a cut that found nothing to disturb comes now.
    if (cuts > 0) board.off()
    if (cuts <= 0 && board.alive && !board.offer && after.attempt?.phase !== 'pending') return
  }
}

/** Why the board is not as it should be; undefined when it is. */
async function faultOf(board: Board, version: string): Promise<string | undefined> {
  if (!board.alive) board.on()
  await board.rest()
  if (!board.running) return 'no runtime works'
  if (board.running.version !== version) return `${board.running.version} runs, not ${version}`
  const { active } = await new SlotStore(board.disk, folder).read()
  if (board.running.slot !== active) return `${board.running.slot} runs, ${active} is confirmed`
  if (active) await openSlot(new SlotStore(board.disk, folder), active, publicOf(board.key))
  return undefined
}

t.test(
  'D6: 50 devices are upgraded while their power goes at any step; each has a runtime that works, and the right one',
  async (t) => {
    let cuts = 0
    for (let seed = 1; seed <= 50; seed++) {
      const random = new SeededRandom(seed, 7)
      const board = new Board(seed, generateKey('ed25519', random))
      let right = '0.1.0'
      for (let sequence = 1; sequence <= 4; sequence++) {
        const version = `1.${sequence}.0`
        const wrong: Partial<Release>[] = [
          {},
          {},
          {},
          { manner: 'crashes' },
          { manner: 'hangs' },
          { bundle: 'damaged' },
          { bundle: 'truncated' },
          { bundle: 'foreign-key' },
          { site: 'osaka' },
        ]
        const how = random.pick(wrong)
        await upgrade(board, { version, sequence, ...how }, { cuts: random.between(0, 8) })
        if (Object.keys(how).length === 0) right = version
        const fault = await faultOf(board, right)
        if (fault) t.fail(`seed ${seed}, release ${sequence} ${JSON.stringify(how)}: ${fault}`)
      }
      board.off()
      cuts += board.cuts - 1
    }
    t.ok(cuts > 500, `${cuts} power cuts`)
  },
)

t.test('D6: a slot that is confirmed before its files are on disk is found', async (t) => {
  let found = 0
  for (let seed = 1; seed <= 50; seed++) {
    const random = new SeededRandom(seed, 7)
    const board = new Board(seed, generateKey('ed25519', random))
    // The disk says that a bundle's files are synced when they are not.
    board.planted = (files) => ({
      ...bound(files),
      open: async (path, mode) => {
        const file = await files.open(path, mode)
        return path.includes('/files/') ? { ...file, sync: async () => {} } : file
      },
    })
    await upgrade(board, { version: '1.1.0', sequence: 1 }, { cuts: 0 })
    board.off()
    if (await faultOf(board, '1.1.0')) found++
    board.off()
  }
  t.ok(found > 10, `${found} of 50 boards came to harm`)
})

t.test(
  'D6: bundles that are replayed, older, foreign, wrongly signed, cut short, changed or too new are refused',
  async (t) => {
    const random = new SeededRandom(5)
    const board = new Board(5, generateKey('ed25519', random))
    board.on()
    await upgrade(board, { version: '1.5.0', sequence: 5 }, { cuts: 0 })
    const cases: [Partial<Release>, ProblemCode][] = [
      [{ sequence: 5 }, 'upgrade.replayed'],
      [{ sequence: 4 }, 'upgrade.downgraded'],
      [{ site: 'osaka' }, 'upgrade.foreign'],
      [{ bundle: 'foreign-key' }, 'upgrade.wrong-signer'],
      [{ bundle: 'truncated' }, 'upgrade.truncated'],
      [{ bundle: 'damaged' }, 'upgrade.damaged'],
      [{ minRuntime: '1.5.1' }, 'upgrade.runtime-too-old'],
    ]
    for (const [how, code] of cases) {
      board.met.length = 0
      board.offer = bundleOf(random, board.key, { version: '1.6.0', sequence: 6, ...how })
      await board.rest()
      t.strictSame(board.met, [code])
      t.equal(board.running?.version, '1.5.0')
    }
    t.equal(await faultOf(board, '1.5.0'), undefined)
    await upgrade(board, { version: '1.7.0', sequence: 7 }, { cuts: 0 })
    t.equal(await faultOf(board, '1.7.0'), undefined, 'after all that a good one is installed')
  },
)

t.test('D6: a confirmed slot whose files rot is not started: the one before it is', async (t) => {
  const board = new Board(9, generateKey('ed25519', new SeededRandom(9)))
  board.on()
  await upgrade(board, { version: '1.1.0', sequence: 1 }, { cuts: 0 })
  await upgrade(board, { version: '1.2.0', sequence: 2 }, { cuts: 0 })
  t.equal(board.running?.version, '1.2.0')
  board.off()
  board.disk.rot(`${folder}/b/files/src/apps/camera.ts`)
  board.on()
  await board.rest()
  t.equal(board.running?.version, '1.1.0')
  board.disk.rot(`${folder}/state.0`, 20)
  board.disk.rot(`${folder}/a/files/src/apps/camera.ts`)
  board.off()
  board.on()
  await board.rest()
  t.equal(board.running?.version, '0.1.0', 'and at the very last the one that came with the device')
})

/** The methods of a port as an object of their own. */
function bound(files: Files): Files {
  return {
    open: files.open.bind(files),
    rename: files.rename.bind(files),
    remove: files.remove.bind(files),
    list: files.list.bind(files),
    makeDirectory: files.makeDirectory.bind(files),
    syncDirectory: files.syncDirectory.bind(files),
    stat: files.stat.bind(files),
    freeBytes: files.freeBytes.bind(files),
  }
}
