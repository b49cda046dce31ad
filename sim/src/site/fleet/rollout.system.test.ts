/**
 * A rollout over a real broker (D6): fifty runtimes on real sockets, a job of the real gateway that sends them a release
 * piece by piece, and power that goes at any step of their disks and databases.
 */

import { rmSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { loadIdentity } from '@azukari/device/identity'
import { Runtime } from '@azukari/device/runtime'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { type NewJob, newJob, showJob } from '@azukari/gateway/fleet/jobs'
import { Releases } from '@azukari/gateway/fleet/releases'
import { silent } from '@azukari/gateway/test-contracts'
import { site as siteName, startTestSite } from '@azukari/gateway/test-site'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { mapInOrder } from '@azukari/protocol/in-order'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Files } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { openSlot } from '@azukari/protocol/upgrade/bundle'
import { type Choice, launch, restartCode } from '@azukari/protocol/upgrade/launcher'
import { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import t from 'tap'
import { simulatedBoard } from '../../testkit/boards/index.ts'
import { SeededRandom } from '../../testkit/world/chance.ts'
import { DeviceMedium } from '../../testkit/world/database.ts'
import { SimFiles } from '../../testkit/world/files.ts'
import { guarded } from '../../testkit/world/guarded-transport.ts'
import { Life } from '../../testkit/world/life.ts'

const boards = 50
const builtIn = '0.1.0'
const releaseKey = generateKey('ed25519', systemRandom)
const folder = '/device'

async function until(what: () => string | Promise<string>, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 200_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`not in time: ${what()}`)
    await systemClock.sleep(50)
  }
}

/** A board: disk and database that a power cut leaves as POSIX and SQLite promise, and a line over TCP. */
class Board {
  readonly random: SeededRandom
  readonly disk: SimFiles
  readonly database = new DeviceMedium()
  readonly #port: number
  readonly #claim: string
  readonly #sockets = new Set<Socket>()
  #life = new Life('none')
  runtime: Runtime | undefined
  version: string | undefined
  id = ''
  cuts = 0
  /** Power cuts that are still to come. */
  toCut = 0

  constructor(seed: number, port: number, claim: string) {
    this.random = new SeededRandom(seed, 23)
    this.disk = new SimFiles({ random: this.random.fork(1) })
    this.#port = port
    this.#claim = claim
  }

  slots(files: Files = this.disk): SlotStore {
    return new SlotStore(files, `${folder}/slots`)
  }

  on(): void {
    this.#life = new Life('board')
    const life = this.#life
    if (this.toCut > 0) this.#cutAfter(life, this.random.between(0, 120))
    const clock = life.clock(systemClock)
    const files = life.files(this.disk)
    const store = this.slots(files)
    const start = (choice: Choice) => {
      const ended = Promise.withResolvers<number>()
      const exited = this.#run(life, files, store, choice, ended.promise).catch((error) => {
        if (!isProblem(error)) throw error
        return 1
      })
      return { exited, stop: async () => ended.resolve(143) }
    }
    const key = async () => (await loadIdentity(files, `${folder}/identity.cose`, systemRandom)).trust?.releaseKey
    launch(
      { store, releaseKey: key, start, clock, log: silent, healthMs: 120_000 },
      new AbortController().signal,
    ).catch((error) => t.error(error, 'a launcher ends only when it is told to'))
  }

  /** The power goes within so many steps of this life, if it lasts that long. */
  cutSoon(): void {
    this.#cutAfter(this.#life, this.random.between(0, 120))
  }

  off(): void {
    if (!this.#life.alive) return
    this.#life.end()
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
    this.disk.powerLoss()
    this.runtime = undefined
    this.version = undefined
    this.cuts++
  }

  #cutAfter(life: Life, steps: number): void {
    let left = steps
    life.onStep = () => {
      if (left-- > 0) return
      this.toCut--
      this.off()
      systemClock.timer(this.random.between(10, 400), () => this.on())
    }
  }

  async #run(life: Life, files: Files, slots: SlotStore, choice: Choice, told: Promise<number>): Promise<number> {
    const says = choice.slot === undefined ? { version: builtIn } : JSON.parse(await textOf(files, choice.entry))
    if (says.crashes) return 1
    const clock = life.clock(systemClock)
    const board = simulatedBoard({ clock, random: this.random, model: 'test' })
    const dial = () => {
      const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true })
      this.#sockets.add(socket)
      return socket.once('close', () => this.#sockets.delete(socket))
    }
    const runtime = new Runtime(
      { site: siteName, roles: ['terminal'], claim: this.#claim, model: 'test', version: says.version, folder, slots },
      {
        clock,
        random: systemRandom,
        files,
        database: this.database.open(life),
        transport: guarded(mqttTransport({ url: 'mqtt://127.0.0.1', stream: dial }), life),
        log: silent,
      },
      board,
    )
    const again = Promise.withResolvers<number>()
    runtime.onRestart = () => again.resolve(restartCode)
    await life.run(() => runtime.start())
    Object.assign(this, { runtime, version: says.version, id: runtime.identity.device })
    const code = await Promise.race([again.promise, told])
    await life.run(() => runtime.stop())
    Object.assign(this, { runtime: undefined, version: undefined })
    return code
  }
}

async function textOf(files: Files, path: string): Promise<string> {
  const file = await files.open(path, 'read')
  return new TextDecoder().decode(await file.read(0, await file.size()))
}

t.test(
  'D6: 50 devices at one broker are upgraded by a job while their power goes: each has a runtime that works and reaches the site',
  async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'azukari-rollout-'))
    await mkdir(`${home}/site`)
    const site = await startTestSite({ directory: `${home}/site`, releaseKey: coseKey(publicOf(releaseKey)) })
    const office = openDatabase(`${home}/site/gateway.db`)
    const port = Number(new URL(site.url).port)
    const fleet = await mapInOrder(
      Array.from({ length: boards }),
      async (_, i) => new Board(i + 1, port, await site.newClaim({ lifeMs: 600_000 })),
    )
    t.teardown(async () => {
      for (const board of fleet) board.off()
      await office.close()
      await site.stop()
      rmSync(home, { recursive: true, force: true })
    })
    const isUp = (board: Board) => board.runtime?.link.up === true && site.gateway.isUp(board.id)
    const lacking = () => `${fleet.filter((board) => !isUp(board)).length} boards are not up`
    for (const board of fleet) board.on()
    await until(lacking, () => fleet.every(isUp))

    const releases = new Releases(systemFiles(), `${home}/site/releases`)
    const pack = async (version: string, sequence: number, manner: object) => {
      const from = `${home}/${version}`
      await mkdir(`${from}/src`, { recursive: true })
      writeFileSync(`${from}/src/cli.js`, JSON.stringify({ version, ...manner }))
      writeFileSync(`${from}/src/large`, systemRandom.bytes(100_000))
      const says = { site: siteName, version, sequence, minRuntime: builtIn, entry: 'src/cli.js' }
      return (await releases.pack(from, says, releaseKey)).name
    }
    const rollOut = async (more: Partial<NewJob>, cuts: (board: Board) => number) => {
      const id = systemRandom.bytes(16)
      const plan = { perMinute: 1_000, abortPercent: 50, abortAfter: 10, timeoutMs: 150_000, retries: 2 }
      const devices = fleet.map((board) => board.id)
      await newJob(office, { ...plan, id, kind: 'upgrade', devices, ...more }, Date.now())
      for (const board of fleet) {
        board.toCut = cuts(board)
        if (board.toCut > 0) board.cutSoon()
      }
      const stuck = async () =>
        JSON.stringify((await showJob(office, id)).parts.filter(({ state }) => state === 'running'))
      await until(stuck, async () =>
        (await showJob(office, id)).parts.every(({ state }) => !['queued', 'running'].includes(state)),
      )
      // Cuts that found nothing more to disturb come now.
      for (const board of fleet.filter(({ toCut }) => toCut > 0)) {
        board.toCut = 0
        board.off()
        board.on()
      }
      await until(lacking, () => fleet.every(isUp))
      return showJob(office, id)
    }
    /** Each board runs what its slots say, all of which is as it was signed; the site knows it by that version. */
    const check = async (allowed: readonly string[]) => {
      const known = new Map((await site.gateway.devices()).map(({ id, version }) => [id, version]))
      for (const board of fleet) {
        const { active, held } = await board.slots().read()
        const confirmed = active ? held[active]!.version : builtIn
        if (active) await openSlot(board.slots(), active, publicOf(releaseKey))
        const { id, version } = board
        if (version !== confirmed || known.get(id) !== confirmed || !allowed.includes(confirmed))
          t.fail(`${id}: ${version} runs, ${confirmed} is confirmed, the site knows ${known.get(id)}`)
      }
    }

    const good = await rollOut({ release: await pack('1.0.0', 1, {}) }, ({ random }) => random.between(0, 5))
    await check([builtIn, '1.0.0'])
    const upgraded = fleet.filter(({ version }) => version === '1.0.0').length
    const done = good.parts.filter(({ state }) => state === 'done').length
    const cuts = fleet.reduce((sum, board) => sum + board.cuts, 0)
    t.comment(`${cuts} power cuts; ${upgraded} of ${boards} boards have the new version, ${done} said so`)
    t.ok(cuts >= boards, `${cuts} power cuts`)
    t.ok(upgraded > boards * 0.8, `${upgraded} boards have the new version`)
    t.equal(done, upgraded, 'the job knows of each')

    const perMinute = 8
    const beganMs = systemClock.monotonicMs()
    const bad = await rollOut(
      { release: await pack('1.1.0', 2, { crashes: true }), perMinute, abortAfter: 4, retries: 0 },
      ({ random }) => random.between(0, 2),
    )
    const minutes = Math.ceil((systemClock.monotonicMs() - beganMs) / 60_000)
    t.equal(bad.job.state, 'aborted')
    const begun = bad.parts.filter(({ attempt }) => attempt > 0).length
    t.ok(begun <= perMinute * minutes && begun < boards, `a bad release reached ${begun} boards before it was stopped`)
    await check([builtIn, '1.0.0'])
  },
)
