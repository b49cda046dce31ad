/**
 * How a replica lies on a disk. One folder per replica, so that one rename shows it whole:
 *
 *   incoming/{random}/…                     being written; cleaned at start
 *   replicas/{2 hex}/{object}-{version}-{slot}/
 *     segments   the sealed segments, one after another
 *     head       preamble (manifest and time), then one record per stripe: the hashes of its shards
 *     parity     the preamble again, then per stripe: the record again, P, Q
 *     notes      small opaque blob (wrapped keys), twice
 *
 * Whatever is small lies twice in different files, and everything has its own checksum, so that rot is found where it is.
 */
import { createHash } from 'node:crypto'
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import type { ReplicaRef } from '@azukari/protocol/manifest'
import { Problem } from '@azukari/protocol/problem'
import { sealedSegmentBytes, segmentSealedBytes } from '@azukari/protocol/sealed'
import { parityShards, stripeShards } from './parity.ts'

export const preambleBytes = 4096
const hashBytes = 32
const recordHashes = stripeShards + parityShards
/** Hashes of sixteen data shards, P and Q, and a checksum over them. */
export const recordBytes = (recordHashes + 1) * hashBytes
const noteStrideBytes = 4096
export const notesMaxBytes = 16_384
const magic = new TextEncoder().encode('AZKREP01')

export interface ReplicaFiles {
  folder: string
  segments: string
  head: string
  parity: string
  notes: string
}

export function filesIn(folder: string): ReplicaFiles {
  return {
    folder,
    segments: `${folder}/segments`,
    head: `${folder}/head`,
    parity: `${folder}/parity`,
    notes: `${folder}/notes`,
  }
}

export function replicaName({ object, version, slot }: ReplicaRef): string {
  return `${hex(object)}-${version}-${slot}`
}

/** Undefined for a name that is not ours. */
export function parseReplicaName(name: string): ReplicaRef | undefined {
  const match = /^([0-9a-f]{32})-([1-9][0-9]{0,9})-([12])$/.exec(name)
  if (!match) return undefined
  return {
    object: new Uint8Array(Buffer.from(match[1]!, 'hex')),
    version: Number(match[2]),
    slot: match[3] === '1' ? 1 : 2,
  }
}

/** Figures of one replica, from its size. */
export interface Shape {
  sealedBytes: number
  segments: number
  stripes: number
}

export function shapeOf(sealedBytes: number): Shape {
  const segments = Math.max(1, Math.ceil(sealedBytes / segmentSealedBytes))
  return { sealedBytes, segments, stripes: Math.ceil(segments / stripeShards) }
}

export interface Stripe {
  /** Index of its first segment. */
  first: number
  /** Data shards. */
  count: number
  /** All shards are padded to this; a multiple of 4. */
  shardBytes: number
  segmentsAt: number
  recordAt: number
  parityAt: number
}

export function stripeOf({ sealedBytes, segments }: Shape, index: number): Stripe {
  const first = index * stripeShards
  const count = Math.min(stripeShards, segments - first)
  const longest = sealedSegmentBytes(sealedBytes, first)
  return {
    first,
    count,
    shardBytes: Math.ceil(longest / 4) * 4,
    segmentsAt: first * segmentSealedBytes,
    recordAt: preambleBytes + index * recordBytes,
    parityAt: preambleBytes + index * (recordBytes + parityShards * segmentSealedBytes),
  }
}

/** What a replica takes on disk, notes included. */
export function bytesOnDisk(sealedBytes: number, notesBytes: number): number {
  const shape = shapeOf(sealedBytes)
  const last = stripeOf(shape, shape.stripes - 1)
  const head = preambleBytes + shape.stripes * recordBytes
  const parity = last.parityAt + recordBytes + parityShards * last.shardBytes
  return sealedBytes + head + parity + notesSpan(notesBytes) * 2
}

export interface Preamble {
  /** COSE_Sign1. */
  manifest: Uint8Array
  /** When the replica was whole; the receipt says so, and says it again when asked again. */
  atMs: number
}

export function encodePreamble(preamble: Preamble): Uint8Array {
  const body = encode(preamble)
  const block = new Uint8Array(preambleBytes)
  const end = magic.length + 4 + body.length
  if (end + hashBytes > preambleBytes) throw new Problem('message.too-large', 'a manifest of that size is not kept')
  block.set(magic)
  new DataView(block.buffer).setUint32(magic.length, body.length)
  block.set(body, magic.length + 4)
  block.set(sha256(block.subarray(0, end)), end)
  return block
}

/** Undefined when it is rotten. */
export function decodePreamble(block: Uint8Array): Preamble | undefined {
  if (block.length !== preambleBytes || !sameBytes(block.subarray(0, magic.length), magic)) return undefined
  const length = new DataView(block.buffer, block.byteOffset).getUint32(magic.length)
  const end = magic.length + 4 + length
  if (
    end + hashBytes > preambleBytes ||
    !sameBytes(block.subarray(end, end + hashBytes), sha256(block.subarray(0, end)))
  )
    return undefined
  const body = decode(block.subarray(magic.length + 4, end)) as Preamble
  return { manifest: Uint8Array.from(body.manifest), atMs: body.atMs }
}

/** @param hashes of the data shards, then of P and Q */
export function encodeRecord(stripe: number, hashes: readonly Uint8Array[], count: number): Uint8Array {
  const record = new Uint8Array(recordBytes)
  for (const [index, hash] of hashes.entries())
    record.set(hash, (index < count ? index : stripeShards + index - count) * hashBytes)
  record.set(recordCheck(stripe, record), recordHashes * hashBytes)
  return record
}

/** The hashes of the data shards, then of P and Q; undefined when the record is rotten. */
export function decodeRecord(stripe: number, record: Uint8Array, count: number): Uint8Array[] | undefined {
  if (
    record.length !== recordBytes ||
    !sameBytes(record.subarray(recordHashes * hashBytes), recordCheck(stripe, record))
  )
    return undefined
  const hashes: Uint8Array[] = []
  for (let index = 0; index < count + parityShards; index++) {
    const at = (index < count ? index : stripeShards + index - count) * hashBytes
    hashes.push(record.subarray(at, at + hashBytes))
  }
  return hashes
}

/** Bound to the stripe's number: a record that was written to another's place does not pass. */
function recordCheck(stripe: number, record: Uint8Array): Uint8Array {
  return createHash('sha256')
    .update(`stripe ${stripe}`)
    .update(record.subarray(0, recordHashes * hashBytes))
    .digest()
}

/** Distance between the two copies of the notes: whole blocks, so that one bad sector spoils one copy. */
function notesSpan(length: number): number {
  return Math.ceil((4 + length + hashBytes) / noteStrideBytes) * noteStrideBytes
}

export function encodeNotes(notes: Uint8Array): Uint8Array {
  if (notes.length > notesMaxBytes) throw new Problem('message.too-large', 'notes are small')
  const span = notesSpan(notes.length)
  const block = new Uint8Array(span * 2)
  for (const at of [0, span]) {
    new DataView(block.buffer).setUint32(at, notes.length)
    block.set(notes, at + 4)
    block.set(sha256(block.subarray(at, at + 4 + notes.length)), at + 4 + notes.length)
  }
  return block
}

/** The notes and how many copies are sound; undefined when none is. */
export function decodeNotes(block: Uint8Array): { notes: Uint8Array; sound: number } | undefined {
  const half = Math.floor(block.length / 2)
  const copies = [0, half].map((at) => {
    if (block.length < at + 4 + hashBytes) return undefined
    const length = new DataView(block.buffer, block.byteOffset).getUint32(at)
    const end = at + 4 + length
    if (
      end + hashBytes > block.length ||
      !sameBytes(block.subarray(end, end + hashBytes), sha256(block.subarray(at, end)))
    )
      return undefined
    return block.slice(at + 4, end)
  })
  const notes = copies[0] ?? copies[1]
  return notes && { notes, sound: copies.filter(Boolean).length }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}
