/**
 * The sealed replica (S6, ARCHITECTURE §7): plaintext in segments of 64 KiB, each under AEAD with a nonce that says its
 * place and whether it is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár), bound to object,
 * version, slot and key. What is cut off, reordered or swapped does not open. Server and epoch are not bound: a move is
 * a byte copy. The root over the sealed segments names the replica.
 *
 * A data key seals one plaintext only: `newReplicaKey` for every new one.
 */
import { type CipherGCMTypes, createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { encodeDeterministic } from './codec.ts'
import { TreeHash } from './merkle.ts'
import type { Random } from './ports.ts'
import { InternalError, Problem } from './problem.ts'

export const sealedFormat = 'azukari/sealed/1'
/** Plaintext bytes per segment; only the last may hold fewer. */
export const segmentPlainBytes = 65_536
export const tagBytes = 16
/** Sealed bytes of a full segment. */
export const segmentSealedBytes = segmentPlainBytes + tagBytes

export type Slot = 1 | 2
export type SealAlgorithm = 'A256GCM' | 'ChaCha20/Poly1305'

const ciphers: Record<SealAlgorithm, string> = { A256GCM: 'aes-256-gcm', 'ChaCha20/Poly1305': 'chacha20-poly1305' }

/** The algorithm of each slot: a weakness found in one leaves the other. */
export function algorithmOfSlot(slot: Slot): SealAlgorithm {
  return slot === 1 ? 'A256GCM' : 'ChaCha20/Poly1305'
}

/** What opens one replica; the card keeps it for its member (S8). */
export interface ReplicaKey {
  algorithm: SealAlgorithm
  /** 8 bytes. */
  keyId: Uint8Array
  /** 32 bytes. */
  dataKey: Uint8Array
  /** 7 bytes: the constant part of the nonces. */
  prefix: Uint8Array
}

/** Which replica it is; every segment is bound to it. */
export interface ReplicaName {
  /** 16 bytes. */
  object: Uint8Array
  version: number
  slot: Slot
}

/** A key of its own for one replica of one plaintext (S6). */
export function newReplicaKey(slot: Slot, random: Random): ReplicaKey {
  return {
    algorithm: algorithmOfSlot(slot),
    keyId: random.bytes(8),
    dataKey: random.bytes(32),
    prefix: random.bytes(7),
  }
}

/** How many segments hold that many plaintext bytes; an empty object has one empty segment. */
export function segmentCount(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / segmentPlainBytes))
}

/** Size of the replica of that many plaintext bytes. */
export function sealedBytes(plainBytes: number): number {
  return plainBytes + segmentCount(plainBytes) * tagBytes
}

/** Sealed size of one segment of a replica of `bytes` sealed bytes. */
export function sealedSegmentBytes(bytes: number, index: number): number {
  return Math.min(segmentSealedBytes, bytes - index * segmentSealedBytes)
}

abstract class SegmentCipher {
  protected readonly cipher: CipherGCMTypes
  protected readonly key: ReplicaKey
  /** Imported once: Node takes raw bytes many times slower, for every segment. */
  protected readonly secret: KeyObject
  readonly #name: ReplicaName

  constructor(name: ReplicaName, key: ReplicaKey) {
    if (name.object.length !== 16 || key.keyId.length !== 8 || key.dataKey.length !== 32 || key.prefix.length !== 7)
      throw new InternalError('a replica’s name or key has the wrong shape')
    this.#name = name
    this.key = key
    this.secret = createSecretKey(key.dataKey)
    // ChaCha20-Poly1305 has the same calls in node:crypto; its types know only of GCM here.
    this.cipher = ciphers[key.algorithm] as CipherGCMTypes
  }

  protected nonce(index: number, last: boolean): Uint8Array {
    const nonce = new Uint8Array(12)
    nonce.set(this.key.prefix)
    new DataView(nonce.buffer).setUint32(7, index)
    nonce[11] = last ? 1 : 0
    return nonce
  }

  protected aad(index: number): Uint8Array {
    const { object, version, slot } = this.#name
    return encodeDeterministic([sealedFormat, object, version, slot, this.key.keyId, index])
  }

  protected sealAt(index: number, last: boolean, segment: Uint8Array): Uint8Array {
    const cipher = createCipheriv(this.cipher, this.secret, this.nonce(index, last), { authTagLength: tagBytes })
    cipher.setAAD(this.aad(index), { plaintextLength: segment.length })
    const sealed = new Uint8Array(segment.length + tagBytes)
    sealed.set(cipher.update(segment))
    cipher.final()
    sealed.set(cipher.getAuthTag(), segment.length)
    return sealed
  }
}

/**
 * Seals single segments again, for repair (S11). Only plaintext that is proven to be what was sealed there: another
 * plaintext under the same key and place would give the key stream away.
 */
export class Resealer extends SegmentCipher {
  readonly #count: number

  /** @param count segments of the whole replica */
  constructor(name: ReplicaName, key: ReplicaKey, count: number) {
    super(name, key)
    this.#count = count
  }

  seal(index: number, plain: Uint8Array): Uint8Array {
    return this.sealAt(index, index === this.#count - 1, plain)
  }
}

/** Seals one replica, segment after segment; `count` and `root` describe what was sealed so far. */
export class Sealer extends SegmentCipher {
  readonly #tree = new TreeHash()
  #ended = false

  get count(): number {
    return this.#tree.count
  }

  /** The root over the sealed segments so far. */
  root(): Uint8Array {
    return this.#tree.root()
  }

  /** Seals the next full segment that is not the last. */
  update(segment: Uint8Array): Uint8Array {
    if (segment.length !== segmentPlainBytes) throw new InternalError('only the last segment may be short')
    return this.#seal(segment, false)
  }

  /** Seals the last segment: 1 to 65,536 bytes, or none for an empty object. */
  last(segment: Uint8Array): Uint8Array {
    if (segment.length > segmentPlainBytes || (segment.length === 0 && this.count > 0))
      throw new InternalError('the last segment is empty only in an empty object')
    const sealed = this.#seal(segment, true)
    this.#ended = true
    return sealed
  }

  #seal(segment: Uint8Array, last: boolean): Uint8Array {
    if (this.#ended || this.count > 0xffff_ffff) throw new InternalError('the replica is already whole')
    const sealed = this.sealAt(this.count, last, segment)
    this.#tree.add(sealed)
    return sealed
  }
}

/** Opens segments of one replica in any order. */
export class Unsealer extends SegmentCipher {
  readonly #count: number

  /** @param count segments of the whole replica, from the manifest or the conditions */
  constructor(name: ReplicaName, key: ReplicaKey, count: number) {
    super(name, key)
    this.#count = count
  }

  /** Plaintext of the segment at `index`. @throws {Problem} `replica.damaged` when it is not what was sealed there */
  open(index: number, sealed: Uint8Array): Uint8Array {
    const last = index === this.#count - 1
    const fits = last
      ? sealed.length >= tagBytes && sealed.length <= segmentSealedBytes
      : sealed.length === segmentSealedBytes
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.#count || !fits) throw damaged(index)
    const end = sealed.length - tagBytes
    const decipher = createDecipheriv(this.cipher, this.secret, this.nonce(index, last), {
      authTagLength: tagBytes,
    })
    decipher.setAAD(this.aad(index), { plaintextLength: end })
    decipher.setAuthTag(sealed.subarray(end))
    const plain = decipher.update(sealed.subarray(0, end))
    try {
      decipher.final()
    } catch (cause) {
      throw damaged(index, cause)
    }
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.length)
  }
}

function damaged(index: number, cause?: unknown): Problem {
  return new Problem('replica.damaged', `segment ${index} does not open`, { cause, data: { segments: [index] } })
}

/** Seals a stream of any cut; yields sealed segments. `sealer.root()` is complete when it ends. */
export async function* sealStream(sealer: Sealer, plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined
  for await (const segment of cutEvenly(plain, segmentPlainBytes)) {
    if (held) yield sealer.update(held)
    held = segment
  }
  yield sealer.last(held ?? new Uint8Array(0))
}

/** Opens a replica from its first segment to its last. @throws {Problem} `replica.damaged`, also when segments are missing */
export async function* unsealStream(
  unsealer: Unsealer,
  count: number,
  sealed: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let index = 0
  for await (const segment of sealed) yield unsealer.open(index++, segment)
  if (index !== count) throw damaged(index)
}

/** Cuts a stream into pieces of `pieceBytes`; only the last may be shorter, and none is empty. Pieces are copies. */
export async function* cutEvenly(source: AsyncIterable<Uint8Array>, pieceBytes: number): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(pieceBytes)
  let filled = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const take = Math.min(chunk.length - at, pieceBytes - filled)
      piece.set(chunk.subarray(at, at + take), filled)
      at += take
      filled += take
      if (filled === pieceBytes) {
        yield piece
        piece = new Uint8Array(pieceBytes)
        filled = 0
      }
    }
  }
  if (filled > 0) yield piece.subarray(0, filled)
}
