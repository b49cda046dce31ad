/** From the receive buffer to sealed replicas: read, check, seal, describe. */
import { createHash } from 'node:crypto'
import type { Manifest } from '@azukari/protocol/manifest'
import type { Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import {
  algorithmOfSlot,
  newReplicaKey,
  type ReplicaKey,
  type SealAlgorithm,
  Sealer,
  sealedFormat,
  segmentCount,
  segmentPlainBytes,
} from '@azukari/protocol/sealed'
import { blockCount, decryptBlock } from '@azukari/protocol/transfer'
import type { ReceiveBuffer } from '../../../service/service.ts'
import type { KeptEntry } from '../journal/journal.ts'
import { unwrapDataKey, wrapDataKey } from '../keys/keystore.ts'
import type { ReplicaRow, SaveRow, ServerRow } from '../store.ts'
import type { Choice } from './choose.ts'

/** Blocks read from the buffer at once: with the sealed copies, what one save holds in memory. */
const batchBlocks = 8

/** What is to be kept, as often as it is needed, always from the start. */
export interface Content {
  readonly row: SaveRow
  /** Plaintext in pieces of a segment each, the last marked. @throws {Problem} `transfer.*` */
  segments(): AsyncGenerator<{ segment: Uint8Array; last: boolean }>
  /** Why it could not be read: what went wrong here is not a data server's fault, whatever a server says. */
  readonly failure: Problem | undefined
}

/** What a device transferred, read from the receive buffer and decrypted; blocks and segments are of one size. */
export class TransferredContent implements Content {
  readonly row: SaveRow
  failure: Problem | undefined
  readonly #key: Uint8Array
  readonly #buffer: ReceiveBuffer
  readonly #signal: AbortSignal

  constructor(row: SaveRow, transferKey: Uint8Array, buffer: ReceiveBuffer, signal: AbortSignal) {
    this.row = row
    this.#key = transferKey
    this.#buffer = buffer
    this.#signal = signal
  }

  async *segments(): AsyncGenerator<{ segment: Uint8Array; last: boolean }> {
    const blocks = blockCount(this.row.size)
    const batchAt = (at: number) => this.#read(at, Math.min(batchBlocks, blocks - at))
    for (let at = 0, batch = batchAt(0); at < blocks; at += batchBlocks) {
      this.#signal.throwIfAborted()
      const opened = await batch
      // The disk reads ahead while this batch is sealed and sent. Nobody may come for it, so its failure is looked after.
      if (at + batchBlocks < blocks) {
        batch = batchAt(at + batchBlocks)
        batch.catch(() => undefined)
      }
      for (const [i, block] of opened.entries())
        yield { segment: this.#open(at + i, block), last: at + i === blocks - 1 }
    }
  }

  async #read(from: number, count: number): Promise<Uint8Array[]> {
    try {
      return await this.#buffer.read(this.row.transfer, from, count)
    } catch (error) {
      if (isProblem(error)) this.failure = error
      throw error
    }
  }

  #open(index: number, block: Uint8Array): Uint8Array {
    try {
      return decryptBlock(this.#key, this.row.transfer, index, block)
    } catch (error) {
      if (isProblem(error)) this.failure = error
      throw error
    }
  }
}

/** Something that placement made itself, in memory. */
export class OwnContent implements Content {
  readonly row: SaveRow
  readonly failure = undefined
  readonly #bytes: Uint8Array

  constructor(row: SaveRow, bytes: Uint8Array) {
    this.row = row
    this.#bytes = bytes
  }

  async *segments(): AsyncGenerator<{ segment: Uint8Array; last: boolean }> {
    const count = segmentCount(this.#bytes.length)
    for (let i = 0; i < count; i++)
      yield { segment: this.#bytes.subarray(i * segmentPlainBytes, (i + 1) * segmentPlainBytes), last: i === count - 1 }
  }
}

/** A replica that is still to be made: its key is new, wrapped under the member's key (S6). */
export function newReplica(
  row: SaveRow,
  choice: Choice,
  sealed: number,
  memberKey: Uint8Array,
  epoch: number,
  random: Random,
): ReplicaRow {
  const key = newReplicaKey(choice.slot, random)
  return {
    object: row.object,
    version: row.version,
    slot: choice.slot,
    server: choice.candidate.server,
    epoch,
    algorithm: algorithmOfSlot(choice.slot),
    key_id: key.keyId,
    wrapped_key: wrapDataKey(memberKey, key.dataKey, random),
    prefix: key.prefix,
    root: null,
    sealed,
    manifest: null,
    receipt: null,
    reason: JSON.stringify(choice.reason),
  }
}

/**
 * One pass over the content: the roots of the given replicas, and the proof that it is what the member's card signed.
 * @throws {Problem} `transfer.bad-root` when the content is not what was offered
 */
export async function rootsOf(
  content: Content,
  planned: readonly ReplicaRow[],
  memberKey: Uint8Array,
): Promise<Uint8Array[]> {
  const sealers = planned.map((replica) => sealerOf(replica, unwrapDataKey(memberKey, replica.wrapped_key)))
  const plain = createHash('sha256')
  for await (const { segment, last } of content.segments()) {
    plain.update(segment)
    for (const sealer of sealers) last ? sealer.last(segment) : sealer.update(segment)
  }
  if (!plain.digest().equals(content.row.sha256))
    throw new Problem('transfer.bad-root', 'what was sent is not what was offered')
  return sealers.map((sealer) => sealer.root())
}

/** The replica's sealed segments, as they are sent. */
export async function* sealedSegments(
  content: Content,
  replica: ReplicaRow,
  dataKey: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const sealer = sealerOf(replica, dataKey)
  for await (const { segment, last } of content.segments()) yield last ? sealer.last(segment) : sealer.update(segment)
}

export function manifestOf(
  row: SaveRow,
  replica: ReplicaRow,
  server: ServerRow,
  member: { id: Uint8Array; auth_key: Uint8Array },
): Manifest {
  return {
    format: sealedFormat,
    object: row.object,
    version: row.version,
    epoch: replica.epoch,
    slot: replica.slot,
    server: server.id,
    serverKey: server.kid,
    algorithm: replica.algorithm as SealAlgorithm,
    keyId: replica.key_id,
    segmentBytes: segmentPlainBytes,
    segments: segmentCount(row.size),
    plainBytes: row.size,
    sealedBytes: replica.sealed,
    root: replica.root!,
    owner: { member: member.id, key: member.auth_key },
    createdMs: row.at,
  }
}

/** What the journal keeps of a save whose replicas both stand. */
export function keptEntry(row: SaveRow, standing: readonly ReplicaRow[], keptMs: number): KeptEntry {
  const { object, version, member, device, asking, transfer, root, size, sha256, name, media, taken } = row
  return {
    kind: 'kept',
    object,
    version,
    member,
    device,
    asking,
    transfer,
    root,
    size,
    sha256,
    name,
    media,
    taken,
    kept: keptMs,
    replicas: standing.map(({ object: _o, version: _v, ...replica }) => ({
      ...replica,
      root: replica.root!,
      manifest: replica.manifest!,
      receipt: replica.receipt!,
    })),
  }
}

/** @param dataKey unwrapped */
export function sealerOf(replica: ReplicaRow, dataKey: Uint8Array): Sealer {
  const key: ReplicaKey = {
    algorithm: replica.algorithm as SealAlgorithm,
    keyId: replica.key_id,
    dataKey,
    prefix: replica.prefix,
  }
  return new Sealer({ object: replica.object, version: replica.version, slot: replica.slot }, key)
}
