/**
 * Placement with its data servers and nothing else, on simulated time, disks and databases: members' offers come straight
 * from here. For what concerns data at rest: re-placement, audits, losses. Everything follows from the seed.
 */

import { createHash, type KeyObject } from 'node:crypto'
import type { DataServerPort } from '@azukari/gateway/data-server/port'
import { createDataServer, type DataServer } from '@azukari/gateway/data-server/server'
import { throwUnlisted } from '@azukari/gateway/service/unlisted'
import { createKeys } from '@azukari/gateway/services/placement/keys/keystore'
import { createPlacement, type Placement, type PlacementOptions } from '@azukari/gateway/services/placement/service'
import { hex } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { ReplyOf } from '@azukari/protocol/contract'
import {
  type MemberRequest,
  makeRequest,
  memberRequestDomain,
  type Wish,
} from '@azukari/protocol/contracts/member-request'
import { offerDomain, offerSave, type SaveOffer, transferKeyDomain } from '@azukari/protocol/contracts/save'
import { openSession, proveSession, type SessionProof, sessionDomain } from '@azukari/protocol/contracts/session'
import { encryptTo, sign1, signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { leafHash, rootOfLeafHashes } from '@azukari/protocol/merkle'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { blockCount, blockPlainBytes, encryptBlock, encryptedBytes } from '@azukari/protocol/transfer'
import { SeededRandom } from '../world/chance.ts'
import { SimClock } from '../world/clock.ts'
import { DatabaseMedium } from '../world/database.ts'
import { SimFiles } from '../world/files.ts'
import { Life } from '../world/life.ts'
import { type FixturePlace, FixtureRisks } from './risks.ts'

/** A data server of the bed. */
class FixtureServer {
  readonly place: FixturePlace
  readonly identity: KeyObject
  readonly files: SimFiles
  /** Undefined while it is off, or gone for good. */
  server: DataServer | undefined
  /** The line to it is cut. */
  unreachable = false

  constructor(place: FixturePlace, random: SeededRandom) {
    this.place = place
    this.identity = generateKey('ed25519', random)
    this.files = new SimFiles({ random })
  }
}

export interface FixtureMember {
  id: Uint8Array
  number: string
  level: number
  home: string
  keys: { auth: KeyObject; acts: KeyObject; agreement: KeyObject }
}

export interface FixtureOptions {
  seed: number
  places: readonly FixturePlace[]
  /** More of what placement is made with. */
  placement?: Partial<PlacementOptions>
  /** Risks come from standing rates and hazards, as on a site, and not from what is announced here. */
  liveRisks?: boolean
  /** The clock at the start, ms since the epoch. */
  startMs?: number
  onLog?: (line: string) => void
}

export class PlacementFixture {
  readonly clock: SimClock
  readonly random: SeededRandom
  readonly servers = new Map<string, FixtureServer>()
  readonly members: FixtureMember[] = []
  readonly risks: FixtureRisks
  readonly medium = new DatabaseMedium()
  readonly keys
  readonly recoverySecret: string
  /** What was kept, by the object's id in hex. */
  readonly originals = new Map<string, { content: Uint8Array; member: FixtureMember; object: Uint8Array }>()
  readonly #options: FixtureOptions
  readonly #transfers = new Map<string, { device: string; blocks: Uint8Array[]; root: Uint8Array; sizeBytes: number }>()
  /** Of each device: its acts are numbered on a stream of its own. */
  readonly #streams = new Map<string, { stream: Uint8Array; seq: number }>()
  life = new Life('placement')
  placement!: Placement
  /** Called before each call to a server; may throw, as a line would. */
  onCall: (server: string, call: string) => void = () => {}
  /** What a reading brings may be another than what was sent, as on a bad line. */
  onSegment: (server: string, object: Uint8Array, segment: Uint8Array) => Uint8Array = (_server, _object, segment) =>
    segment

  private constructor(options: FixtureOptions) {
    this.#options = options
    this.clock = new SimClock(options.startMs)
    this.risks = new FixtureRisks(options.places, this.clock)
    this.random = new SeededRandom(options.seed, 7)
    const { keys, recoverySecret } = createKeys(this.random)
    this.keys = keys
    this.recoverySecret = recoverySecret
    for (const place of options.places) this.servers.set(place.id, new FixtureServer(place, this.random))
  }

  static async make(options: FixtureOptions): Promise<PlacementFixture> {
    const fixture = new PlacementFixture(options)
    for (const server of fixture.servers.values()) await fixture.bootServer(server.place.id)
    await fixture.boot()
    return fixture
  }

  /** Starts a server, again over the same disks; with another identity it is an impostor. */
  async bootServer(id: string, identity = this.servers.get(id)!.identity): Promise<void> {
    const machine = this.servers.get(id)!
    machine.server = await createDataServer({
      id,
      identity,
      clock: this.clock,
      random: this.random,
      files: machine.files,
      // A replica takes more on disk than its bytes, small ones several times as much.
      disks: [{ path: '/disk', capacityBytes: 8 * (machine.place.capacityBytes ?? 1e9) }],
      trust: { now: this.keys.own, ever: this.keys.own, deliveries: () => undefined },
      log: this.log,
    })
  }

  /** Starts placement, again after a crash. */
  async boot(): Promise<void> {
    const life = new Life('placement')
    this.life = life
    const clock = life.clock(this.clock)
    this.placement = await createPlacement({
      unlisted: throwUnlisted,
      database: this.medium.open(life, (ms, work) => void clock.timer(ms, work)),
      keys: this.keys,
      buffer: {
        describe: async (id) => {
          const held = this.#transfers.get(hex(id))
          return (
            held && {
              device: held.device,
              sizeBytes: held.sizeBytes,
              blockBytes: 65_552,
              blocks: held.blocks.length,
              root: held.root,
              complete: true,
            }
          )
        },
        read: async (id, from, count) => this.#transfers.get(hex(id))!.blocks.slice(from, from + count),
        release: async (id) => void this.#transfers.delete(hex(id)),
      },
      dataServers: { of: ({ id }) => this.#port(life, id) },
      clock,
      random: this.random,
      log: this.log,
      ...(this.#options.liveRisks ? {} : { risks: this.risks }),
      ...this.#options.placement,
      mover: { watchMs: 600_000, ...this.#options.placement?.mover },
    })
    const known = new Set((await this.placement.registry.servers()).map(({ id }) => id))
    for (const { place, identity } of this.servers.values()) {
      if (known.has(place.id)) continue
      await this.placement.registry.putServer({
        id: place.id,
        name: place.id,
        region: place.region,
        domain: place.id,
        url: `sim:${place.id}`,
        latitude: place.latitude,
        longitude: place.longitude,
        key: coseKey(publicOf(identity)),
        capacityBytes: place.capacityBytes ?? 1e9,
        rates: place.rates ?? [
          { peril: 'earthquake', probability: place.quake, vulnerability: 0.5, source: 'made up' },
        ],
      })
    }
    await this.settle(this.placement.start())
  }

  /** The process dies here and now; `boot` begins the next life. */
  crash(): void {
    this.life.end()
    this.medium.crash()
  }

  /** Lets simulated time pass. */
  run(ms: number, done?: () => boolean | Promise<boolean>): Promise<void> {
    return this.clock.runUntil(this.clock.now() + ms, done)
  }

  /** What the work gives, with as much time as it takes. */
  async settle<T>(work: Promise<T>): Promise<T> {
    let over = false
    const end = () => {
      over = true
    }
    work.then(end, end)
    await this.run(3_600_000, () => over)
    return work
  }

  stop(): Promise<void> {
    return this.settle(this.placement.stop())
  }

  /** @param location what the member says of places when they are registered (D8) */
  async addMember(level: number, home: string, location = true): Promise<FixtureMember> {
    const member: FixtureMember = {
      id: this.random.bytes(16),
      number: String(this.members.length + 1),
      level,
      home,
      keys: {
        auth: generateKey('ed25519', this.random),
        acts: generateKey('ed25519', this.random),
        agreement: generateKey('x25519', this.random),
      },
    }
    await this.placement.registry.addMember({
      memberId: member.id,
      number: member.number,
      name: `Member ${member.number}`,
      level,
      homeRegion: home,
      authKey: coseKey(publicOf(member.keys.auth)),
      actsKey: coseKey(publicOf(member.keys.acts)),
      agreementKey: coseKey(publicOf(member.keys.agreement)),
      location,
    })
    this.members.push(member)
    return member
  }

  /** Offers content as a device in `asking` does. @returns the object’s id, when placement has taken the offer */
  async offer(
    member: FixtureMember,
    content: Uint8Array,
    asking = member.home,
    device = deviceIn(asking),
    change: Partial<SaveOffer> = {},
  ): Promise<Uint8Array> {
    const transfer = this.random.bytes(16)
    const object = this.random.bytes(16)
    const key = this.random.bytes(32)
    const blocks = Array.from({ length: blockCount(content.length) }, (_, i) =>
      encryptBlock(key, transfer, i, content.subarray(i * blockPlainBytes, (i + 1) * blockPlainBytes)),
    )
    const root = rootOfLeafHashes(blocks.map(leafHash))
    this.#transfers.set(hex(transfer), { device, blocks, root, sizeBytes: encryptedBytes(content.length) })
    const nowMs = this.clock.now()
    const offer: SaveOffer = {
      contract: offerSave.id,
      audience: thumbprint(this.keys.signing),
      act: this.random.bytes(16),
      issuedMs: nowMs,
      expiresMs: nowMs + 1e9,
      member: member.id,
      object,
      version: 1,
      transfer,
      root,
      sizeBytes: content.length,
      sha256: new Uint8Array(createHash('sha256').update(content).digest()),
      name: 'a.jpg',
      mediaType: 'image/jpeg',
      takenMs: nowMs,
      ...change,
    }
    const handled = this.placement.handle({
      caller: { device, region: asking, roles: ['camera'] },
      contract: offerSave.id,
      id: this.random.bytes(16),
      atMs: nowMs,
      act: this.#nextAct(device),
      body: {
        offer: sign1(encodeDeterministic(offer), signerOf(member.keys.acts), offerDomain),
        transferKey: encryptTo(publicOf(this.keys.agreement), key, transferKeyDomain, this.random),
      },
    })
    const reply = await this.settle(handled)
    if (reply.problem) throw Problem.fromWire(reply.problem)
    this.originals.set(hex(object), { content, member, object })
    return object
  }

  #nextAct(device: string): { stream: Uint8Array; seq: number } {
    const acts = this.#streams.get(device) ?? { stream: this.random.bytes(16), seq: 0 }
    acts.seq++
    this.#streams.set(device, acts)
    return { ...acts }
  }

  /** Says a member's wish as a device does (D8). @returns the signed message, and placement's answer or problem */
  async wish(
    member: FixtureMember,
    wish: Wish,
    change: Partial<MemberRequest> = {},
  ): Promise<{ signed: Uint8Array; act: Uint8Array; reply?: Record<string, unknown>; problem?: string }> {
    const nowMs = this.clock.now()
    const said: MemberRequest = {
      contract: makeRequest.id,
      audience: thumbprint(this.keys.signing),
      act: this.random.bytes(16),
      issuedMs: nowMs,
      expiresMs: nowMs + 86_400_000,
      member: member.id,
      wish,
      ...change,
    }
    const signed = sign1(encodeDeterministic(said), signerOf(member.keys.acts), memberRequestDomain)
    return { signed, act: said.act, ...(await this.say(signed)) }
  }

  /** A signed wish, perhaps once more. */
  async say(signed: Uint8Array): Promise<{ reply?: Record<string, unknown>; problem?: string }> {
    const handled = this.placement.handle({
      caller: { device: 'cam', region: 'JP-13', roles: ['terminal'] },
      contract: makeRequest.id,
      id: this.random.bytes(16),
      atMs: this.clock.now(),
      act: this.#nextAct('cam'),
      body: { wish: signed },
    })
    const answer = await this.settle(handled)
    return answer.problem
      ? { problem: Problem.fromWire(answer.problem).code }
      : { reply: answer.body as Record<string, unknown> }
  }

  /** Asks placement as a device does. @throws {Problem} placement's */
  async ask<Reply>(contract: { id: string }, body: Record<string, unknown>, device = 'cam'): Promise<Reply> {
    const handled = this.placement.handle({
      caller: { device, region: 'JP-13', roles: ['terminal'] },
      contract: contract.id,
      id: this.random.bytes(16),
      atMs: this.clock.now(),
      body,
    })
    const answer = await this.settle(handled)
    if (answer.problem) throw Problem.fromWire(answer.problem)
    return answer.body as Reply
  }

  /** The member's card proves itself at a device. @throws {Problem} placement's */
  async prove(member: FixtureMember): Promise<void> {
    const card = thumbprint(publicOf(member.keys.auth))
    const opened = await this.ask<ReplyOf<typeof openSession>>(openSession, { card, operation: 'save' })
    const proof: SessionProof = {
      session: opened.session,
      challenge: opened.challenge,
      verifier: opened.verifier,
      device: 'cam',
      operation: 'save',
      level: member.level,
      counter: 0,
    }
    const signed = sign1(encodeDeterministic(proof), signerOf(member.keys.auth), sessionDomain)
    await this.ask(proveSession, { session: opened.session, proof: signed })
  }

  /** Offers content and lets time pass until both replicas stand. */
  async keep(
    member: FixtureMember,
    content: Uint8Array,
    asking = member.home,
    device = deviceIn(asking),
  ): Promise<Uint8Array> {
    const object = await this.offer(member, content, asking, device)
    await this.run(600_000, async () => (await this.stateOf(object)) === 'kept')
    if ((await this.stateOf(object)) !== 'kept') throw new Error(`${hex(object)} is ${await this.stateOf(object)}`)
    return object
  }

  /** Lets time pass until no move is queued, under way or to be decided on. */
  async rest(limitMs = 6 * 3_600_000): Promise<void> {
    const { sql } = this.medium
    await this.run(3_000)
    await this.run(
      limitMs,
      async () =>
        this.placement.mover.running === 0 &&
        !(await sql.get('SELECT 1 FROM moves WHERE problem IS NULL LIMIT 1')) &&
        !(await sql.get(`SELECT 1 FROM buckets WHERE leaves <> '[]' AND stuck = 0 LIMIT 1`)),
    )
  }

  async stateOf(object: Uint8Array): Promise<string | undefined> {
    return (await this.medium.sql.get<{ state: string }>('SELECT state FROM saves WHERE object = ?', object))?.state
  }

  /** As if the member's card had been in and had taken everything. */
  async tellCards(): Promise<void> {
    await this.medium.sql.run('UPDATE conditions SET written = 1 WHERE written IS NULL')
  }

  readonly log: Log = {
    debug: (message, fields) => this.#say('debug', message, fields),
    info: (message, fields) => this.#say('info', message, fields),
    warn: (message, fields) => this.#say('warn', message, fields),
    error: (message, fields) => this.#say('error', message, fields),
    child: () => this.log,
  }

  #say(level: string, message: string, fields?: Record<string, unknown>): void {
    this.#options.onLog?.(`${level} ${message} ${fields ? JSON.stringify(fields) : ''}`)
  }

  /** A server as placement reaches it in this life. */
  #port(life: Life, id: string): DataServerPort {
    const call = <T>(name: string, work: (server: DataServer) => Promise<T>): Promise<T> =>
      life.run(async () => {
        this.onCall(id, name)
        const machine = this.servers.get(id)
        if (!machine?.server || machine.unreachable) throw new Problem('server.unreachable', `${id} does not answer`)
        return work(machine.server)
      })
    const onSegment = (object: Uint8Array, segment: Uint8Array) => this.onSegment(id, object, segment)
    const read = async function* (
      object: Uint8Array,
      open: () => Promise<AsyncIterable<Uint8Array>>,
    ): AsyncGenerator<Uint8Array> {
      for await (const segment of await open()) {
        life.check()
        yield onSegment(object, segment)
      }
    }
    return {
      identify: (nonce, verifier) => call('identify', (server) => server.identify(nonce, verifier)),
      put: (manifest, notes, segments, signal) =>
        call('put', (server) => server.put(manifest, notes, carried(segments, life), signal)),
      readSegments: (ref, from, count) =>
        read(ref.object, () => call('readSegments', async (server) => server.readSegments(ref, from, count))),
      frame: (frame) => call('frame', (server) => server.frame(frame)),
      manifest: (ref) => call('manifest', (server) => server.manifest(ref)),
      replaceManifest: (manifest) => call('replaceManifest', (server) => server.replaceManifest(manifest)),
      restoreSegments: (ref, from, segments) =>
        call('restoreSegments', (server) => server.restoreSegments(ref, from, segments)),
      readNotes: (ref) => call('readNotes', (server) => server.readNotes(ref)),
      writeNotes: (ref, notes) => call('writeNotes', (server) => server.writeNotes(ref, notes)),
      remove: (order) => call('remove', (server) => server.remove(order)),
      list: (after, limit, full) => call('list', (server) => server.list(after, limit, full)),
      status: () => call('status', (server) => server.status()),
      scrub: (maxBytes) => call('scrub', (server) => server.scrub(maxBytes)),
      challenge: (ref, indexes, bytes) => call('challenge', (server) => server.challenge(ref, indexes, bytes)),
      proofs: (ref, indexes) => call('proofs', (server) => server.proofs(ref, indexes)),
      examine: (ref, nonce) => call('examine', (server) => server.examine(ref, nonce)),
      journalAppend: (stream, seq, entries) =>
        call('journalAppend', (server) => server.journalAppend(stream, seq, entries)),
      journalRead: (stream, from, count) => call('journalRead', (server) => server.journalRead(stream, from, count)),
    }
  }
}

/** A device stands in one region. */
function deviceIn(region: string): string {
  return region === 'JP-13' ? 'cam' : `cam-${region.toLowerCase()}`
}

/** What placement sends: the line breaks when it dies. */
async function* carried(segments: AsyncIterable<Uint8Array>, life: Life): AsyncGenerator<Uint8Array> {
  const broken = life.ended.then(() => {
    throw new Problem('server.unreachable', 'the line broke')
  })
  broken.catch(() => undefined)
  const source = segments[Symbol.asyncIterator]()
  for (;;) {
    const next = await Promise.race([source.next(), broken])
    if (next.done) return
    yield next.value
  }
}
