/**
 * The data server (S7, S10–S12): keeps sealed replicas it cannot read, in a known place, and signs for them. On ports
 * only, so that the simulation runs this very code on disks that lose, tear and rot.
 */
import type { KeyObject } from 'node:crypto'
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { type DirectSigner, signerOf } from '@azukari/protocol/cose'
import { signExamination } from '@azukari/protocol/examination'
import { signIdentification } from '@azukari/protocol/identify'
import { thumbprint } from '@azukari/protocol/keys'
import {
  fulfils,
  isAnnouncement,
  type Manifest,
  openManifest,
  openRemoval,
  type ReplicaRef,
  signRemovalReceipt,
  signReplicaReceipt,
} from '@azukari/protocol/manifest'
import { leafHash } from '@azukari/protocol/merkle'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { type HeldReplica, type ReadLimits, ReadServer } from '@azukari/protocol/read-server'
import { Deliveries } from './deliveries.ts'
import { Disk } from './disk.ts'
import { examine } from './examiner.ts'
import { Journals } from './journal.ts'
import { KeyedMutex } from './keyed-mutex.ts'
import { bytesOnDisk, encodeNotes, notesMaxBytes, replicaName, shapeOf } from './layout.ts'
import { readNotes, replaceNotes } from './notes.ts'
import { ObjectServer, type ObjectServerLimits, type SourcePort } from './object-server.ts'
import { type ObjectLimits, ObjectStore } from './object-store.ts'
import { stripeShards } from './parity.ts'
import type { AuditLeaf, DataServerPort, HeldSummary, ServerStatus } from './port.ts'
import { ReplicaReader } from './reader.ts'
import { type Held, heldOf, knownOf, manifestOrNothing, ReplicaIndex, readDisk } from './replica-index.ts'
import { Scrubber } from './scrubber.ts'
import type { Trust } from './trust.ts'
import { ReplicaWriter } from './writer.ts'

export interface DataServerOptions {
  /** The server's id. */
  id: string
  /** Ed25519: the same receipt is the same bytes. */
  identity: KeyObject
  clock: Clock
  random: Random
  files: Files
  disks: readonly { path: string; capacityBytes: number }[]
  /** Placement's public keys. */
  trust: Trust
  log: Log
  limits?: Partial<DataServerLimits>
  /** How other data servers are reached; without it nothing is fetched from them. */
  peer?(server: { id: string; url: string }): SourcePort
}

export interface DataServerLimits {
  /** Replicas being written at once; each takes up to 2.4 MB of memory. */
  putsMax: number
  reading: Partial<ReadLimits>
  objects: Partial<ObjectLimits & ObjectServerLimits>
}

export interface DataServer extends DataServerPort {
  /** What many clients may read, beside the replicas. */
  readonly objects: ObjectServer
  /** Stops taking replicas and waits for those being written. */
  stop(): Promise<void>
}

/** Reads the disks and serves. @throws {Problem} `storage.failed` when no disk works */
export async function createDataServer(options: DataServerOptions): Promise<DataServer> {
  const server = new Server(options)
  await server.start()
  return server
}

class Server implements DataServer {
  readonly #options: DataServerOptions
  readonly #limits: DataServerLimits
  readonly #signer: DirectSigner
  readonly #thumbprint: Uint8Array
  readonly #disks: Disk[]
  readonly #index = new ReplicaIndex()
  readonly #mutex = new KeyedMutex()
  readonly #journals: Journals
  readonly #reading: ReadServer
  readonly #scrubber: Scrubber
  readonly #store: ObjectStore
  readonly #deliveries: Deliveries
  readonly objects: ObjectServer
  readonly #puts = new Set<Promise<unknown>>()
  #stopping = false

  constructor(options: DataServerOptions) {
    const { identity, clock, random, files, disks, log } = options
    this.#options = options
    this.#limits = { putsMax: 32, reading: {}, objects: {}, ...options.limits }
    this.#signer = signerOf(identity)
    this.#thumbprint = thumbprint(identity)
    this.#disks = disks.map((disk, number) => new Disk(number, disk, files, log))
    this.#journals = new Journals(files, this.#disks, log)
    this.#reading = new ReadServer({
      identity,
      signer: this.#signer,
      clock,
      random,
      lookup: { find: (object, version, slot) => this.#lookUp(object, version, slot) },
      limits: this.#limits.reading,
    })
    this.#scrubber = new Scrubber({
      server: options.id,
      signer: this.#signer,
      clock,
      index: this.#index,
      journals: this.#journals,
      take: (held, work) => this.#take(held.ref, () => work(this.#reader(held))),
      files,
    })
    const objects = { clock, log, limits: this.#limits.objects }
    this.#store = new ObjectStore({ ...objects, files, disks: this.#disks, random })
    const journals = this.#journals
    this.#deliveries = new Deliveries({ server: options.id, signer: this.#signer, clock, journals })
    this.objects = new ObjectServer({
      ...objects,
      id: options.id,
      store: this.#store,
      deliveries: this.#deliveries,
      issuers: (kid) => options.trust.deliveries(kid),
      peer: (server) => options.peer?.(server) ?? noSource,
    })
  }

  async start(): Promise<void> {
    const { files, log } = this.#options
    for (const disk of this.#disks) await readDisk(disk, files, this.#index, log)
    if (!this.#disks.some((disk) => disk.works)) throw new Problem('storage.failed', 'no disk works')
    await this.#store.start()
    await this.#deliveries.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.allSettled(this.#puts)
  }

  async identify(nonce: Uint8Array, verifier: Uint8Array): Promise<Uint8Array> {
    return signIdentification(
      { nonce, verifier, server: this.#options.id, atMs: this.#options.clock.now() },
      this.#signer,
    )
  }

  async put(
    signed: Uint8Array,
    notes: Uint8Array,
    segments: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    if (this.#stopping) throw new Problem('service.unavailable', 'stopping')
    if (this.#puts.size >= this.#limits.putsMax) throw new Problem('service.busy', 'too many replicas at once')
    if (notes.length > notesMaxBytes) throw new Problem('message.too-large', 'notes are small')
    const manifest = this.#openOwn(signed)
    const work = this.#take(manifest, () => this.#putInTurn({ signed, manifest, notes, segments, signal }))
    this.#puts.add(work)
    try {
      return await work
    } finally {
      this.#puts.delete(work)
    }
  }

  async #putInTurn(put: Put): Promise<Uint8Array> {
    const { manifest, signed, notes } = put
    put.signal?.throwIfAborted()
    const held = this.#index.get(manifest)
    if (held?.known && held.disk.works) {
      if (isAnnouncement(manifest)) throw new Problem('replica.conflict', held.name)
      if (!sameBytes(manifest.root, held.known.root)) throw new Problem('replica.conflict', held.name)
      return this.#replaceInTurn(held, signed, manifest)
    }
    // Rotten, or on a disk that is out of use: what comes now takes its place.
    if (held?.disk.works) await this.#removeHeld(held)
    else if (held) this.#index.delete(held)
    const needed = bytesOnDisk(manifest.sealedBytes, notes.length)
    const { disk, reservation } = await this.#choose(needed)
    using _reserved = reservation
    const staging = `${disk.incoming}/${hex(this.#options.random.bytes(16))}`
    try {
      const staged = await this.#stage(put, disk, staging)
      await disk.writing(() => this.#show(manifest, disk, staging))
      this.#index.add(heldOf(staged.manifest, disk, needed, staged.atMs))
      return this.#receipt(staged.manifest, staged.atMs)
    } catch (error) {
      await this.#options.files.remove(staging).catch(() => {})
      throw error
    }
  }

  /** Writes everything into the staging folder, durably. @returns when that was, and the manifest that stands there */
  async #stage(put: Put, disk: Disk, staging: string): Promise<{ manifest: Manifest; atMs: number }> {
    const { files, clock } = this.#options
    const announced = isAnnouncement(put.manifest)
    let final = announced ? undefined : { signed: put.signed, manifest: put.manifest }
    const writer = await disk.writing(() => ReplicaWriter.open(files, staging, put.manifest.sealedBytes))
    try {
      for await (const segment of put.segments) {
        put.signal?.throwIfAborted()
        if (announced && writer.count === put.manifest.segments) final = this.#fulfilment(segment, put.manifest)
        else await disk.writing(() => writer.add(segment))
      }
      if (!final || !sameBytes(writer.root(), final.manifest.root))
        throw new Problem('transfer.bad-root', 'the segments are not those of the manifest')
      const { signed, manifest } = final
      const atMs = clock.now()
      await disk.writing(() => writer.finish({ manifest: signed, atMs }, put.notes))
      return { manifest, atMs }
    } finally {
      await writer.close()
    }
  }

  /** What follows an announced replica's segments. */
  #fulfilment(signed: Uint8Array, announced: Manifest): { signed: Uint8Array; manifest: Manifest } {
    const manifest = this.#openOwn(signed)
    if (!fulfils(manifest, announced)) throw new Problem('transfer.bad-root', 'another manifest than was announced')
    return { signed, manifest }
  }

  /** Makes a staged replica visible, whole, durably. */
  async #show(manifest: Manifest, disk: Disk, staging: string): Promise<void> {
    const { files } = this.#options
    const { bucket, folder } = disk.folderOf(replicaName(manifest))
    if (!(await files.stat(bucket))) {
      await files.makeDirectory(bucket)
      await files.syncDirectory(`${disk.path}/replicas`)
    }
    // What a rotten or doubled replica of that name has left gives way.
    await files.remove(folder)
    await files.rename(staging, folder)
    await Promise.all([files.syncDirectory(bucket), files.syncDirectory(disk.incoming)])
  }

  async *readSegments(ref: ReplicaRef, from: number, count: number): AsyncGenerator<Uint8Array> {
    const { known } = this.#present(ref)
    const end = Math.min(from + count, known.shape.segments)
    for (let at = from; at < end; ) {
      const upTo = Math.min(end, (Math.floor(at / stripeShards) + 1) * stripeShards)
      yield* await this.#segments(ref, at, upTo - at)
      at = upTo
    }
  }

  frame(frame: Uint8Array): Promise<Uint8Array> {
    return this.#reading.handle(frame)
  }

  async manifest(ref: ReplicaRef): Promise<Uint8Array> {
    const held = this.#present(ref)
    return (await this.#take(ref, () => this.#preamble(held))).manifest
  }

  async replaceManifest(signed: Uint8Array): Promise<Uint8Array> {
    const manifest = this.#openOwn(signed)
    return this.#take(manifest, () => {
      const held = this.#present(manifest)
      if (!sameBytes(manifest.root, held.known.root)) throw new Problem('replica.conflict', held.name)
      return this.#replaceInTurn(held, signed, manifest)
    })
  }

  async #replaceInTurn(held: Held, signed: Uint8Array, manifest: Manifest): Promise<Uint8Array> {
    const known = held.known!
    if (manifest.epoch < known.epoch)
      throw new Problem('replica.superseded', `epoch ${manifest.epoch} after ${known.epoch}`)
    const { atMs } = await this.#preamble(held)
    // Within an epoch the first manifest stands: a second of the same replica says the same.
    if (manifest.epoch > known.epoch) {
      await held.disk.writing(() =>
        this.#withReader(held, (reader) => reader.replacePreamble({ manifest: signed, atMs })),
      )
      held.known = { ...known, epoch: manifest.epoch }
    }
    return this.#receipt(manifest, atMs)
  }

  restoreSegments(ref: ReplicaRef, from: number, segments: readonly Uint8Array[]): Promise<void> {
    return this.#take(ref, async () => {
      const held = this.#present(ref)
      const { root, shape } = held.known
      await held.disk.writing(() =>
        this.#withReader(held, async (reader) => {
          for (const [at, segment] of segments.entries())
            if (from + at >= shape.segments || !(await reader.restoreSegment(from + at, segment, root)))
              throw new Problem('replica.conflict', `segment ${from + at} is not the one that stood there`)
          const last = Math.floor((from + segments.length - 1) / stripeShards)
          for (let stripe = Math.floor(from / stripeShards); stripe <= last; stripe++) await reader.stripe(stripe, root)
          // Parity's part in a repair that was ordered is no news to who ordered it.
          reader.repaired = 0
        }),
      )
    })
  }

  readNotes(ref: ReplicaRef): Promise<Uint8Array> {
    return this.#take(ref, () => readNotes(this.#options.files, this.#present(ref).folder))
  }

  writeNotes(ref: ReplicaRef, notes: Uint8Array): Promise<void> {
    return this.#take(ref, async () => {
      const held = this.#present(ref)
      const block = encodeNotes(notes)
      await held.disk.writing(async () => {
        const grownBytes = await replaceNotes(this.#options.files, held.folder, block)
        held.diskBytes += grownBytes
        held.disk.usedBytes += grownBytes
      })
    })
  }

  async remove(signedOrder: Uint8Array): Promise<Uint8Array> {
    const order = openRemoval(signedOrder, this.#options.trust.now)
    const { id, clock } = this.#options
    if (order.server !== id) throw new Problem('server.refused', 'an order for another server')
    if (clock.now() > order.expiresMs) throw new Problem('message.expired', 'removal order')
    return this.#take(order, async () => {
      const held = this.#index.get(order)
      if (held?.known && held.known.epoch > order.epoch) throw new Problem('replica.superseded', `epoch ${order.epoch}`)
      if (held) await this.#removeHeld(held)
      const { object, version, slot, epoch } = order
      return signRemovalReceipt(
        { object, version, slot, epoch, server: id, held: held !== undefined, atMs: clock.now() },
        this.#signer,
      )
    })
  }

  async list(after: ReplicaRef | undefined, limit: number, full: boolean): Promise<HeldSummary[]> {
    const start = after ? replicaName(after) : ''
    const found: HeldSummary[] = []
    for (const name of this.#index.names()) {
      if (name <= start) continue
      if (found.length >= limit) break
      const held = this.#index.named(name)
      if (!held?.known || !held.disk.works) continue
      const { epoch, root, shape } = held.known
      const summary: HeldSummary = { ref: held.ref, epoch, root, sealedBytes: shape.sealedBytes }
      if (full)
        await this.#take(held.ref, async () => {
          summary.manifest = (await this.#preamble(held)).manifest
          summary.notes = await readNotes(this.#options.files, held.folder)
        }).catch((error: unknown) => {
          if (!isProblem(error)) throw error
        })
      found.push(summary)
    }
    return found
  }

  async status(): Promise<ServerStatus> {
    const disks = this.#disks.map((disk) => disk.status())
    return {
      server: this.#options.id,
      usedBytes: disks.reduce((sum, disk) => sum + disk.usedBytes, 0),
      freeBytes: this.#disks.reduce((sum, disk) => sum + disk.freeBytes, 0),
      replicas: this.#index.count,
      puts: this.#puts.size,
      readers: this.#reading.sessions,
      disks,
    }
  }

  scrub(maxBytes: number): Promise<Uint8Array> {
    return this.#scrubber.scrub(maxBytes)
  }

  challenge(ref: ReplicaRef, indexes: readonly number[], bytes: boolean): Promise<AuditLeaf[]> {
    return this.#take(ref, async () => {
      const held = this.#present(ref)
      const { root } = held.known
      return this.#withReader(held, async (reader) => {
        const leaves: AuditLeaf[] = []
        for (const { index, proof } of await reader.proofs(indexes, root)) {
          const [segment] = await reader.segments(index, 1, root)
          const leaf: AuditLeaf = { index, leafHash: leafHash(segment!), proof }
          if (bytes) leaf.segment = segment!
          const repaired = reader.repaired - leaves.reduce((sum, each) => sum + (each.repaired ?? 0), 0)
          if (repaired > 0) leaf.repaired = repaired
          leaves.push(leaf)
        }
        return leaves
      })
    })
  }

  proofs(ref: ReplicaRef, indexes: readonly number[]): Promise<Omit<AuditLeaf, 'segment'>[]> {
    return this.#take(ref, async () => {
      const held = this.#present(ref)
      return this.#withReader(held, (reader) => reader.proofs(indexes, held.known.root))
    })
  }

  examine(ref: ReplicaRef, nonce: Uint8Array): Promise<Uint8Array> {
    const { id, clock, files } = this.#options
    return this.#take(ref, async () => {
      const held = this.#index.get(ref)
      const found = await examine(files, held)
      // What stands there is what is served, whoever put it there: it is placement that judges it.
      const said = found.manifest && held && manifestOrNothing(found.manifest)
      if (said) held.known = { ...knownOf(said), atMs: held.known?.atMs ?? clock.now() }
      return signExamination({ server: id, replica: ref, nonce, atMs: clock.now(), ...found }, this.#signer)
    })
  }

  journalAppend(stream: Uint8Array, seq: number, entries: Uint8Array | readonly Uint8Array[]): Promise<number> {
    if (this.#stopping) return Promise.reject(new Problem('service.unavailable', 'stopping'))
    return this.#journals.append(stream, seq, entries instanceof Uint8Array ? [entries] : entries)
  }

  journalRead(stream: Uint8Array, from: number, count: number): Promise<{ next: number; entries: Uint8Array[] }> {
    return this.#journals.read(stream, from, count)
  }

  /** Placement's manifest, for this server. */
  #openOwn(signed: Uint8Array): Manifest {
    const manifest = openManifest(signed, this.#options.trust.now)
    if (manifest.server !== this.#options.id || !sameBytes(manifest.serverKey, this.#thumbprint))
      throw new Problem('server.refused', 'the manifest is for another server')
    return manifest
  }

  #receipt({ object, version, slot, epoch, root, sealedBytes }: Manifest, atMs: number): Uint8Array {
    return signReplicaReceipt(
      { object, version, slot, epoch, root, sealedBytes, server: this.#options.id, atMs },
      this.#signer,
    )
  }

  /** The disk with most room. */
  async #choose(bytes: number): Promise<{ disk: Disk; reservation: Disposable }> {
    for (const disk of [...this.#disks].sort((a, b) => b.freeBytes - a.freeBytes)) {
      if (!disk.works) continue
      try {
        const reservation = await disk.reserve(bytes)
        if (reservation) return { disk, reservation }
      } catch (error) {
        if (!isProblem(error)) throw error
        disk.fail(error.detail ?? error.code)
      }
    }
    if (!this.#disks.some((disk) => disk.works)) throw new Problem('storage.failed', 'no disk works')
    throw new Problem('storage.full', `${bytes} bytes`)
  }

  async #lookUp(
    object: Uint8Array,
    version: number | undefined,
    slot: 1 | 2 | undefined,
  ): Promise<HeldReplica | undefined> {
    const held = this.#index.find(object, version, slot)
    if (!held) return undefined
    const { manifest: signed } = await this.#take(held.ref, () => this.#preamble(held))
    const manifest = openManifest(signed, this.#options.trust.ever)
    return { manifest, signed, read: (from, count) => this.#segments(held.ref, from, count) }
  }

  #segments(ref: ReplicaRef, from: number, count: number): Promise<Uint8Array[]> {
    return this.#take(ref, () => {
      const held = this.#present(ref)
      return this.#withReader(held, (reader) => reader.segments(from, count, held.known.root))
    })
  }

  async #preamble(held: Held): Promise<{ manifest: Uint8Array; atMs: number }> {
    const preamble = await this.#withReader(held, (reader) => reader.preamble())
    if (!preamble) throw new Problem('replica.damaged', 'the manifest is lost')
    return preamble
  }

  async #removeHeld(held: Held): Promise<void> {
    const { files, random } = this.#options
    await held.disk.writing(async () => {
      // One rename takes it away whole; what a crash leaves in incoming/ is cleared at start.
      const gone = `${held.disk.incoming}/${hex(random.bytes(16))}`
      // Somebody may have been here before.
      if (await files.stat(held.folder)) {
        await files.rename(held.folder, gone)
        await files.syncDirectory(held.disk.folderOf(held.name).bucket)
      }
      this.#index.delete(held)
      await files.remove(gone)
    })
  }

  #present(ref: ReplicaRef): Held & { known: NonNullable<Held['known']> } {
    const held = this.#index.get(ref)
    if (!held) throw new Problem('replica.missing', replicaName(ref))
    if (!held.known) throw new Problem('replica.damaged', 'the manifest is lost')
    if (!held.disk.works) throw new Problem('storage.failed', `disk ${held.disk.number} is out of use`)
    return held as Held & { known: NonNullable<Held['known']> }
  }

  #take<T>(ref: ReplicaRef, work: () => Promise<T> | T): Promise<T> {
    return this.#mutex.take(replicaName(ref), async () => work())
  }

  #reader(held: Held): ReplicaReader {
    return new ReplicaReader(this.#options.files, held.folder, held.known?.shape ?? shapeOf(0))
  }

  async #withReader<T>(held: Held, work: (reader: ReplicaReader) => Promise<T>): Promise<T> {
    const reader = this.#reader(held)
    try {
      return await work(reader)
    } finally {
      if (reader.repaired > 0) this.#scrubber.noteRepair(held.ref, reader.repaired)
      await reader.close()
    }
  }
}

/** Of a data server that reaches no other. */
const noSource: SourcePort = {
  fetch: async () => {
    throw new Problem('server.unreachable', 'no way to other data servers')
  },
}

/** One replica on its way in. */
interface Put {
  signed: Uint8Array
  manifest: Manifest
  notes: Uint8Array
  segments: AsyncIterable<Uint8Array>
  signal: AbortSignal | undefined
}
