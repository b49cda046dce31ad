/** Writes one replica into a staging folder: constant memory, parity as it goes, durable when `finish` resolves. */
import { leafHash, TreeHash } from '@azukari/protocol/merkle'
import type { FileHandle, Files } from '@azukari/protocol/ports'
import { InternalError, Problem } from '@azukari/protocol/problem'
import { sealedSegmentBytes, segmentSealedBytes } from '@azukari/protocol/sealed'
import {
  encodeNotes,
  encodePreamble,
  encodeRecord,
  filesIn,
  type Preamble,
  recordBytes,
  type Shape,
  shapeOf,
  stripeOf,
} from './layout.ts'
import { encodeParity, parityShards, stripeShards } from './parity.ts'

/** Room for one stripe; two of them take turns, so that hashing goes on while the disk writes. */
interface StripeBuffer {
  data: Uint8Array
  /** Record, P and Q, as they lie in the parity file. */
  parity: Uint8Array
}

interface Handles {
  segments: FileHandle
  head: FileHandle
  parity: FileHandle
}

export class ReplicaWriter {
  readonly #files: Files
  readonly #folder: string
  readonly #shape: Shape
  readonly #handles: Handles
  readonly #tree = new TreeHash()
  readonly #buffers: [StripeBuffer, StripeBuffer | undefined]
  #hashes: Uint8Array[] = []
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(files: Files, folder: string, shape: Shape, handles: Handles) {
    this.#files = files
    this.#folder = folder
    this.#shape = shape
    this.#handles = handles
    this.#buffers = [bufferFor(shape), shape.stripes > 1 ? bufferFor(shape) : undefined]
  }

  /** Makes the staging folder and opens its files. */
  static async open(files: Files, folder: string, sealedBytes: number): Promise<ReplicaWriter> {
    await files.makeDirectory(folder)
    const paths = filesIn(folder)
    const opened: FileHandle[] = []
    try {
      for (const path of [paths.segments, paths.head, paths.parity]) opened.push(await files.open(path, 'create'))
    } catch (error) {
      await Promise.allSettled(opened.map((handle) => handle.close()))
      throw error
    }
    const [segments, head, parity] = opened as [FileHandle, FileHandle, FileHandle]
    return new ReplicaWriter(files, folder, shapeOf(sealedBytes), { segments, head, parity })
  }

  get count(): number {
    return this.#tree.count
  }

  /** Takes the next sealed segment. @throws {Problem} `message.invalid` when its size is not the one announced */
  async add(segment: Uint8Array): Promise<void> {
    const index = this.#tree.count
    if (index >= this.#shape.segments || segment.length !== sealedSegmentBytes(this.#shape.sealedBytes, index))
      throw new Problem('message.invalid', `segment ${index} has not the announced size`)
    const stripe = stripeOf(this.#shape, Math.floor(index / stripeShards))
    const { data } = this.#buffer(index)
    const at = (index - stripe.first) * stripe.shardBytes
    data.set(segment, at)
    data.fill(0, at + segment.length, at + stripe.shardBytes)
    this.#hashes.push(this.#tree.add(segment))
    if (this.#hashes.length === stripe.count) await this.#flush(Math.floor(index / stripeShards))
  }

  /** The root over all segments. @throws {Problem} `message.invalid` when segments are missing */
  root(): Uint8Array {
    if (this.#tree.count !== this.#shape.segments) throw new Problem('message.invalid', 'segments are missing')
    return this.#tree.root()
  }

  /** Writes what stands beside the segments and makes all of it durable. */
  async finish(preamble: Preamble, notes: Uint8Array): Promise<void> {
    await this.#writing
    const { segments, head, parity } = this.#handles
    const block = encodePreamble(preamble)
    const noted = await this.#files.open(filesIn(this.#folder).notes, 'create')
    try {
      await Promise.all([head.write(0, block), parity.write(0, block), noted.write(0, encodeNotes(notes))])
      await Promise.all([
        segments.sync(),
        head.sync(),
        parity.sync(),
        noted.sync(),
        this.#files.syncDirectory(this.#folder),
      ])
    } finally {
      await noted.close()
    }
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {})
    await Promise.allSettled(Object.values(this.#handles).map((handle) => handle.close()))
  }

  #buffer(index: number): StripeBuffer {
    return Math.floor(index / stripeShards) % 2 === 0 ? this.#buffers[0] : this.#buffers[1]!
  }

  async #flush(index: number): Promise<void> {
    const stripe = stripeOf(this.#shape, index)
    const { data, parity } = this.#buffer(stripe.first)
    const p = parity.subarray(recordBytes, recordBytes + stripe.shardBytes)
    const q = parity.subarray(recordBytes + stripe.shardBytes, recordBytes + parityShards * stripe.shardBytes)
    encodeParity(data, stripe.count, stripe.shardBytes, p, q)
    if (this.#hashes.length !== stripe.count) throw new InternalError('a stripe is flushed when it is full')
    const record = encodeRecord(index, [...this.#hashes, leafHash(p), leafHash(q)], stripe.count)
    this.#hashes = []
    parity.set(record)
    // Only the replica's very last segment is shorter than its shard, so the data lies as it is sent.
    const end = Math.min(this.#shape.sealedBytes, stripe.segmentsAt + stripe.count * segmentSealedBytes)
    await this.#writing
    this.#writing = Promise.all([
      this.#handles.segments.write(stripe.segmentsAt, data.subarray(0, end - stripe.segmentsAt)),
      this.#handles.parity.write(stripe.parityAt, parity.subarray(0, recordBytes + parityShards * stripe.shardBytes)),
      this.#handles.head.write(stripe.recordAt, record),
    ])
    // A failure is met at the next stripe or at the end.
    this.#writing.catch(() => {})
  }
}

function bufferFor(shape: Shape): StripeBuffer {
  const { count, shardBytes } = stripeOf(shape, 0)
  return { data: new Uint8Array(count * shardBytes), parity: new Uint8Array(recordBytes + parityShards * shardBytes) }
}
