/**
 * Reads one stripe of a replica, checks every shard, and repairs what rot has taken: on the fly for readers, and for
 * the scrub. What was repaired is written back and synced before it is relied on again.
 */

import { sameBytes } from '@azukari/protocol/bytes'
import { leafHash, ProofStream, TreeHash } from '@azukari/protocol/merkle'
import type { FileHandle, Files } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { sealedSegmentBytes } from '@azukari/protocol/sealed'
import {
  decodePreamble,
  decodeRecord,
  encodePreamble,
  encodeRecord,
  filesIn,
  type Preamble,
  preambleBytes,
  recordBytes,
  type Shape,
  type Stripe,
  stripeOf,
} from './layout.ts'
import { encodeParity, parityShards, repairStripe, stripeShards } from './parity.ts'
import type { AuditLeaf } from './port.ts'

type Part = 'segments' | 'head' | 'parity'

/** What a look at one stripe found. */
export interface StripeState {
  /** Sealed segments of the stripe; undefined where lost beyond repair. */
  segments: (Uint8Array | undefined)[]
  /** Hashes of the data shards. */
  hashes: readonly Uint8Array[]
  /** Shards and records restored. */
  repaired: number
  /** Indexes in the replica of lost segments. */
  lost: number[]
  readBytes: number
}

/** An open replica; close it. Its methods are for one caller at a time. */
export class ReplicaReader {
  readonly shape: Shape
  readonly #files: Files
  readonly #paths: Record<Part, string>
  readonly #handles: Partial<Record<Part, FileHandle>> = {}
  /** Shards and records restored since it was opened. */
  repaired = 0
  readBytes = 0

  constructor(files: Files, folder: string, shape: Shape) {
    this.#files = files
    this.#paths = filesIn(folder)
    this.shape = shape
  }

  async close(): Promise<void> {
    await Promise.allSettled(Object.values(this.#handles).map((handle) => handle.close()))
  }

  /**
   * Segments `from` … `from + count − 1`, checked. Only damage leads to reading whole stripes.
   * @param root the manifest's, consulted only when a stripe's hashes are lost in both places
   * @throws {Problem} `replica.damaged` with `data.segments`
   */
  async segments(from: number, count: number, root: Uint8Array): Promise<Uint8Array[]> {
    const found: Uint8Array[] = []
    for (let index = from; index < from + count; ) {
      const number = Math.floor(index / stripeShards)
      const stripe = stripeOf(this.shape, number)
      const upTo = Math.min(from + count, stripe.first + stripe.count)
      const hashes = await this.#record(number, stripe, root)
      const wanted = await this.#readData(stripe, index, upTo)
      let bad = !hashes
      for (const [at, segment] of wanted.entries())
        if (hashes && (!segment || !sameBytes(leafHash(segment), hashes[index - stripe.first + at]!))) bad = true
      if (!bad) found.push(...(wanted as Uint8Array[]))
      else {
        const state = await this.stripe(number, root)
        const lost = state.lost.filter((at) => at >= index && at < upTo)
        if (lost.length > 0)
          throw new Problem('replica.damaged', `${lost.length} segments`, { data: { segments: lost } })
        found.push(...(state.segments.slice(index - stripe.first, upTo - stripe.first) as Uint8Array[]))
      }
      index = upTo
    }
    return found
  }

  /** Hashes of a stripe's segments as they stand on the disk. @throws {Problem} `replica.damaged` */
  async hashes(number: number, root: Uint8Array): Promise<Uint8Array[]> {
    const stripe = stripeOf(this.shape, number)
    const hashes = await this.#record(number, stripe, root)
    if (!hashes) throw new Problem('replica.damaged', `the hashes of stripe ${number} are lost`)
    return hashes.slice(0, stripe.count)
  }

  /** Proofs that segments are those of the root, in the order asked. @throws {Problem} `replica.damaged` */
  async proofs(indexes: readonly number[], root: Uint8Array): Promise<AuditLeaf[]> {
    const proofs = new ProofStream(this.shape.segments, indexes)
    for (let stripe = 0; stripe < this.shape.stripes; stripe++)
      for (const hash of await this.hashes(stripe, root)) proofs.addHash(hash)
    return proofs.proofs()
  }

  /** Reads and checks all of a stripe, parity too, and repairs what can be repaired. */
  async stripe(number: number, root: Uint8Array): Promise<StripeState> {
    const stripe = stripeOf(this.shape, number)
    const { count, shardBytes, first } = stripe
    const repairedBefore = this.repaired
    const readBefore = this.readBytes
    const hashes = await this.#record(number, stripe, root)
    const segments = await this.#readData(stripe, first, first + count)
    const result = (lost: number[]): StripeState => ({
      segments,
      hashes: hashes?.slice(0, count) ?? [],
      repaired: this.repaired - repairedBefore,
      lost,
      readBytes: this.readBytes - readBefore,
    })
    if (!hashes) return result(segments.map((_, at) => first + at))
    const parity = await this.#readParity(number, stripe, hashes)
    const shards: Uint8Array[] = []
    const lost: number[] = []
    for (let at = 0; at < count + parityShards; at++) {
      const part =
        at < count ? segments[at] : parity?.subarray((at - count) * shardBytes, (at - count + 1) * shardBytes)
      const sound = part !== undefined && sameBytes(leafHash(part), hashes[at]!)
      if (!sound) lost.push(at)
      shards.push(sound ? part : new Uint8Array(0))
    }
    if (lost.length === 0) return result([])
    const padded = shards.map((shard) => {
      if (shard.length === shardBytes) return Uint8Array.from(shard)
      const whole = new Uint8Array(shardBytes)
      whole.set(shard)
      return whole
    })
    const restorable = repairStripe(padded, count, lost)
    const still: number[] = []
    for (const at of lost) {
      const length = at < count ? sealedSegmentBytes(this.shape.sealedBytes, first + at) : shardBytes
      const shard = padded[at]!.subarray(0, length)
      if (restorable && sameBytes(leafHash(shard), hashes[at]!)) {
        if (at < count) segments[at] = shard
        await this.#restore(at < count ? 'segments' : 'parity', shardAt(stripe, at), shard)
      } else if (at < count) {
        segments[at] = undefined
        still.push(first + at)
      }
    }
    return result(still)
  }

  /** Preamble from whichever copy is sound, the other restored. Undefined when both are rotten. */
  async preamble(): Promise<Preamble | undefined> {
    const [head, parity] = await Promise.all([
      this.#read('head', 0, preambleBytes),
      this.#read('parity', 0, preambleBytes),
    ])
    const inHead = head && decodePreamble(head)
    const inParity = parity && decodePreamble(parity)
    // Replacing writes head first: if a power cut came between, head is the newer.
    const found = inHead ?? inParity
    if (!found) return undefined
    const block = encodePreamble(found)
    if (!head || !sameBytes(head, block)) await this.#restore('head', 0, block)
    if (!parity || !sameBytes(parity, block)) await this.#restore('parity', 0, block)
    return found
  }

  /** Replaces the preamble: one copy is sound at any moment. */
  async replacePreamble(preamble: Preamble): Promise<void> {
    const block = encodePreamble(preamble)
    for (const part of ['head', 'parity'] as const) {
      const handle = await this.#writable(part)
      await handle.write(0, block)
      await handle.sync()
    }
  }

  /**
   * Writes one segment that came from elsewhere (the other replica, sealed anew), if it is the one that stood there.
   * @returns false when it is not, or nothing is left to tell
   */
  async restoreSegment(index: number, segment: Uint8Array, root: Uint8Array): Promise<boolean> {
    const number = Math.floor(index / stripeShards)
    const stripe = stripeOf(this.shape, number)
    const hashes = await this.#record(number, stripe, root)
    if (!hashes || !sameBytes(leafHash(segment), hashes[index - stripe.first]!)) return false
    await this.#restore('segments', shardAt(stripe, index - stripe.first), segment)
    // Not parity's work.
    this.repaired--
    return true
  }

  /** The hashes of a stripe's shards. */
  async #record(number: number, stripe: Stripe, root: Uint8Array): Promise<Uint8Array[] | undefined> {
    const inHead = await this.#read('head', stripe.recordAt, recordBytes)
    const hashes = inHead && decodeRecord(number, inHead, stripe.count)
    if (hashes) return hashes
    const inParity = await this.#read('parity', stripe.parityAt, recordBytes)
    const copy = inParity && decodeRecord(number, inParity, stripe.count)
    if (inParity && copy) {
      await this.#restore('head', stripe.recordAt, inParity)
      return copy
    }
    return this.#recordFromData(number, stripe, root)
  }

  /** Both copies of the hashes are lost: if the data still gives the manifest's root, it is whole and says them again. */
  async #recordFromData(number: number, stripe: Stripe, root: Uint8Array): Promise<Uint8Array[] | undefined> {
    const tree = new TreeHash()
    let whole: Uint8Array[] = []
    for (let at = 0; at < this.shape.stripes; at++) {
      const each = stripeOf(this.shape, at)
      const segments = await this.#readData(each, each.first, each.first + each.count)
      for (const segment of segments) {
        if (!segment) return undefined
        tree.add(segment)
      }
      if (at === number) whole = segments as Uint8Array[]
    }
    if (!sameBytes(tree.root(), root)) return undefined
    return this.#writeStripeParity(number, stripe, whole)
  }

  async #writeStripeParity(number: number, stripe: Stripe, whole: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const { count, shardBytes } = stripe
    const data = new Uint8Array(count * shardBytes)
    for (const [at, segment] of whole.entries()) data.set(segment, at * shardBytes)
    const p = new Uint8Array(shardBytes)
    const q = new Uint8Array(shardBytes)
    encodeParity(data, count, shardBytes, p, q)
    const hashes = [...whole.map((segment) => leafHash(segment)), leafHash(p), leafHash(q)]
    const record = encodeRecord(number, hashes, count)
    await this.#restore('parity', stripe.parityAt, Buffer.concat([record, p, q]))
    await this.#restore('head', stripe.recordAt, record)
    return hashes
  }

  /** P and Q; the second copy of the hashes, which lies before them, is written anew if it is rotten. */
  async #readParity(number: number, stripe: Stripe, hashes: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
    const { parityAt, shardBytes, count } = stripe
    const lengthBytes = parityShards * shardBytes
    const all = await this.#read('parity', parityAt, recordBytes + lengthBytes)
    const copy = all?.subarray(0, recordBytes) ?? (await this.#read('parity', parityAt, recordBytes))
    if (!copy || !decodeRecord(number, copy, count))
      await this.#restore('parity', parityAt, encodeRecord(number, hashes, count))
    return all?.subarray(recordBytes) ?? this.#read('parity', parityAt + recordBytes, lengthBytes)
  }

  /** Segments `from` … `upTo − 1` of one stripe; undefined where the medium gives nothing. */
  async #readData(stripe: Stripe, from: number, upTo: number): Promise<(Uint8Array | undefined)[]> {
    const lengths: number[] = []
    for (let index = from; index < upTo; index++) lengths.push(sealedSegmentBytes(this.shape.sealedBytes, index))
    const total = lengths.reduce((sum, length) => sum + length, 0)
    const start = shardAt(stripe, from - stripe.first)
    const all = await this.#read('segments', start, total)
    const found: (Uint8Array | undefined)[] = []
    let at = 0
    for (const length of lengths) {
      // One unreadable sector fails the whole read: then each segment is tried alone.
      found.push(all ? all.subarray(at, at + length) : await this.#read('segments', start + at, length))
      at += length
    }
    return found
  }

  /** Exactly `length` bytes; undefined when the medium does not give them. */
  async #read(part: Part, at: number, length: number): Promise<Uint8Array | undefined> {
    try {
      this.#handles[part] ??= await this.#files.open(this.#paths[part], 'read')
      const bytes = await this.#handles[part].read(at, length)
      this.readBytes += bytes.length
      return bytes.length === length ? bytes : undefined
    } catch (error) {
      if (isProblem(error, 'storage.failed') || isProblem(error, 'object.unknown')) return undefined
      throw error
    }
  }

  async #restore(part: Part, at: number, bytes: Uint8Array): Promise<void> {
    this.repaired++
    const handle = await this.#writable(part)
    await handle.write(at, bytes)
    await handle.sync()
  }

  async #writable(part: Part): Promise<FileHandle> {
    await this.#handles[part]?.close()
    // A file that is gone is made again: parity and hashes can be written anew from the data.
    const handle = await this.#files.open(this.#paths[part], 'create')
    this.#handles[part] = handle
    return handle
  }
}

/** Where shard `at` lies: a data shard in the segments file, P and Q in the parity file. */
function shardAt(stripe: Stripe, at: number): number {
  return at < stripe.count
    ? stripe.segmentsAt + at * stripe.shardBytes
    : stripe.parityAt + recordBytes + (at - stripe.count) * stripe.shardBytes
}
