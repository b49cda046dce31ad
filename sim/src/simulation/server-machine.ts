/** A data server of the site, and the line over which placement and the gateway reach it. */
import type { KeyObject } from 'node:crypto'
import type { ObjectServerPort } from '@azukari/gateway/data-server/object-port'
import type { DataServerPort } from '@azukari/gateway/data-server/port'
import { createDataServer, type DataServer } from '@azukari/gateway/data-server/server'
import { fixedTrust } from '@azukari/gateway/data-server/trust'
import { generateKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import type { SeededRandom } from '../testkit/world/chance.ts'
import { SimFiles } from '../testkit/world/files.ts'
import type { Life } from '../testkit/world/life.ts'
import { type Death, Machine } from './machine.ts'
import type { World } from './world.ts'

export interface ServerPlace {
  id: string
  region: string
  latitude: number
  longitude: number
  /** Probability of an earthquake per year. */
  quake: number
}

/** Places in real regions, with made-up rates. */
export const serverPlaces: readonly ServerPlace[] = [
  { id: 'sapporo', region: 'JP-01', latitude: 43.06, longitude: 141.35, quake: 0.02 },
  { id: 'tokyo', region: 'JP-13', latitude: 35.69, longitude: 139.69, quake: 0.022 },
  { id: 'osaka', region: 'JP-27', latitude: 34.69, longitude: 135.52, quake: 0.021 },
  { id: 'fukuoka', region: 'JP-40', latitude: 33.61, longitude: 130.42, quake: 0.02 },
  { id: 'naha', region: 'JP-47', latitude: 26.21, longitude: 127.68, quake: 0.021 },
  { id: 'singapore', region: 'SG', latitude: 1.35, longitude: 103.82, quake: 0.019 },
  { id: 'oregon', region: 'US-OR', latitude: 45.52, longitude: -122.68, quake: 0.02 },
  { id: 'uusimaa', region: 'FI-18', latitude: 60.17, longitude: 24.94, quake: 0.019 },
]

export const serverDisks = ['/disk0', '/disk1'] as const
export const serverDiskBytes = 400 * 1024 * 1024

export class ServerMachine extends Machine {
  readonly place: ServerPlace
  readonly identity: KeyObject
  readonly #placementKey: () => KeyObject
  #server: DataServer | undefined
  #impostor: DataServer | undefined
  /** The line to it is cut. */
  unreachable = false
  /** Somebody has answered in its name at some time. */
  everImpostor = false
  /** A disaster took it, with all that lay there. */
  gone = false

  constructor(world: World, place: ServerPlace, placementKey: () => KeyObject) {
    super(world, place.id, serverDiskBytes * serverDisks.length)
    this.place = place
    this.identity = generateKey('ed25519', world.chance(`${place.id}/key`))
    this.#placementKey = placementKey
  }

  /** Who answers under its address just now. */
  get answering(): DataServer | undefined {
    return this.#impostor ?? (this.up ? this.#server : undefined)
  }

  get server(): DataServer | undefined {
    return this.up ? this.#server : undefined
  }

  get impostor(): boolean {
    return this.#impostor !== undefined
  }

  /** Somebody else answers under its address, without its key, until `undefined` is said. */
  async impersonate(on: boolean): Promise<void> {
    if (!on) {
      this.#impostor = undefined
      return
    }
    this.everImpostor = true
    const random = this.world.chance(`${this.name}/impostor`, Math.floor(this.world.story.atMs))
    this.#impostor = await this.#create(
      generateKey('ed25519', random),
      random,
      new SimFiles({ random }),
      this.world.clock,
    )
  }

  override start(): void {
    if (!this.gone) super.start()
  }

  /** A disaster takes the machine and its disks, for good. */
  destroy(): void {
    this.gone = true
    this.die('power')
    this.files.restore(new Map())
  }

  protected async boot(life: Life, random: SeededRandom): Promise<void> {
    this.#server = undefined
    const clock = life.clock(this.world.clock)
    const files = life.files(this.files)
    this.#server = await this.#create(this.identity, random, files, clock, life)
  }

  protected async halt(): Promise<void> {
    await this.#server?.stop()
  }

  protected died(_how: Death): void {
    this.#server = undefined
  }

  #create(
    identity: KeyObject,
    random: SeededRandom,
    files: Parameters<typeof createDataServer>[0]['files'],
    clock: Parameters<typeof createDataServer>[0]['clock'],
    life?: Life,
  ): Promise<DataServer> {
    const { story } = this.world
    return createDataServer({
      id: this.name,
      identity,
      clock,
      random,
      files,
      disks: serverDisks.map((path) => ({ path, capacityBytes: serverDiskBytes })),
      trust: fixedTrust([this.#placementKey()]),
      log: story.log(
        this.name,
        () => life?.alive ?? false,
        (what) => this.world.violate('bug', what),
      ),
    })
  }
}

export interface LineToServers {
  /** One way, ms. */
  delayMs: readonly [number, number]
  /** Probability that the answer is lost after the work is done, and that a transfer breaks at a segment. */
  lostReply: number
  breaks: number
}

export const goodLine: LineToServers = { delayMs: [1, 30], lostReply: 0, breaks: 0 }

/** Time after which a caller gives up a server that does not answer. */
export const giveUpMs = [50, 5_000] as const

/** Carries calls to data servers, with what goes wrong on long lines. */
export class Carrier {
  readonly #world: World
  readonly #servers: ReadonlyMap<string, ServerMachine>
  readonly #random: SeededRandom
  line: LineToServers = goodLine
  /** Writings of replicas whose receipt has not come back: each may leave a replica that nobody knows. */
  unansweredPuts = 0

  constructor(world: World, servers: ReadonlyMap<string, ServerMachine>) {
    this.#world = world
    this.#servers = servers
    this.#random = world.chance('carrier')
  }

  /** A server as one process sees it. */
  port(life: Life, id: string): DataServerPort {
    const call = <T>(work: (port: DataServer) => Promise<T>): Promise<T> => this.#call(life, id, work)
    return {
      identify: (nonce, verifier) => call((port) => port.identify(nonce, verifier)),
      put: (manifest, notes, segments, signal) => {
        this.unansweredPuts++
        return call((port) => port.put(manifest, notes, this.#carried(segments, life, id), signal)).then((receipt) => {
          this.unansweredPuts--
          return receipt
        })
      },
      readSegments: (ref, from, count) => this.#read(life, id, (port) => port.readSegments(ref, from, count)),
      frame: (frame) => call((port) => port.frame(Uint8Array.from(frame))),
      manifest: (ref) => call((port) => port.manifest(ref)),
      replaceManifest: (manifest) => call((port) => port.replaceManifest(manifest)),
      restoreSegments: (ref, from, segments) => call((port) => port.restoreSegments(ref, from, segments)),
      readNotes: (ref) => call((port) => port.readNotes(ref)),
      writeNotes: (ref, notes) => call((port) => port.writeNotes(ref, notes)),
      remove: (order) => call((port) => port.remove(order)),
      list: (after, limit, full) => call((port) => port.list(after, limit, full)),
      status: () => call((port) => port.status()),
      scrub: (maxBytes) => call((port) => port.scrub(maxBytes)),
      challenge: (ref, indexes, bytes) => call((port) => port.challenge(ref, indexes, bytes)),
      proofs: (ref, indexes) => call((port) => port.proofs(ref, indexes)),
      examine: (ref, nonce) => call((port) => port.examine(ref, nonce)),
      journalAppend: (stream, seq, entries) => call((port) => port.journalAppend(stream, seq, entries)),
      journalRead: (stream, from, count) => call((port) => port.journalRead(stream, from, count)),
    }
  }

  /** What it does with content. */
  objects(life: Life, id: string): ObjectServerPort {
    const call = <T>(work: (port: ObjectServerPort) => Promise<T>): Promise<T> =>
      this.#call(life, id, ({ objects }) => work(objects))
    return {
      keep: (request, blocks) => call((port) => port.keep(request, this.#carried(blocks, life, id))),
      read: (grant, from, count) => this.#read(life, id, ({ objects }) => objects.read(grant, from, count)),
      deliver: (request) => call((port) => port.deliver(request)),
      reverse: (order) => call((port) => port.reverse(order)),
      records: (from, count) => call((port) => port.records(from, count)),
      list: (after) => call((port) => port.list(after)),
      drop: (grant) => call((port) => port.drop(grant)),
    }
  }

  #call<T>(life: Life, id: string, work: (port: DataServer) => Promise<T>): Promise<T> {
    return life.run(async () => {
      await this.#delay()
      const machine = this.#servers.get(id)
      const server = machine?.answering
      if (!machine || !server || machine.unreachable) {
        await this.#world.clock.sleep(this.#random.between(...giveUpMs))
        throw new Problem('server.unreachable', `${id} does not answer`)
      }
      const answer = work(server)
      const result = await (machine.impostor ? answer : Promise.race([answer, brokenWith(machine.life!, id)]))
      await this.#delay()
      if (machine.unreachable || this.#random.chance(this.line.lostReply)) {
        this.#world.count('server.lost-reply')
        throw new Problem('server.unreachable', `${id}: the answer was lost`)
      }
      return result
    })
  }

  async *#read(
    life: Life,
    id: string,
    open: (port: DataServer) => AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    const pieces = await this.#call(life, id, async (port) => open(port))
    const machine = this.#servers.get(id)!
    // The line breaks with the process that reads: nothing would come any more.
    const reader = machine.impostor ? undefined : machine.life
    const source = pieces[Symbol.asyncIterator]()
    for (;;) {
      const piece = await (reader ? Promise.race([source.next(), brokenWith(reader, id)]) : source.next())
      await this.#delay()
      if (piece.done) return
      yield Uint8Array.from(piece.value)
    }
  }

  /** What one process writes and the other reads: either may die, and the line may break. */
  async *#carried(segments: AsyncIterable<Uint8Array>, life: Life, id: string): AsyncGenerator<Uint8Array> {
    const source = segments[Symbol.asyncIterator]()
    for (;;) {
      const next = await Promise.race([source.next(), brokenWith(life, id)])
      await this.#delay()
      if (this.#random.chance(this.line.breaks)) {
        this.#world.count('server.line-breaks')
        throw new Problem('server.unreachable', 'the line broke')
      }
      if (next.done) return
      yield Uint8Array.from(next.value)
    }
  }

  #delay(): Promise<void> {
    const [low, high] = this.line.delayMs
    return this.#world.clock.sleep(this.#random.between(low, high))
  }
}

/** Rejects when that process ends. */
async function brokenWith(life: Life, id: string): Promise<never> {
  await life.ended
  throw new Problem('server.unreachable', `${id}: the line broke`)
}
