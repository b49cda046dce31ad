/**
 * The seed of a member's keys (P2): chance from the system, mixed with what the member types, moves and films. The
 * member's part can only add: even when it is worthless the system's own chance stands.
 */
import { createHash, hkdfSync, type KeyObject } from 'node:crypto'
import { generateKey, parseCoseKey } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'

export interface VaultKeys {
  signing: KeyObject
  agreement: KeyObject
}

/** Bits that a member's own chance must reach, when it is asked for. */
const wantedBits = 128

/** Gathers chance: times and places of keys and mouse, pictures of a covered lens. */
export class ChancePool {
  readonly #hash = createHash('sha256').update('azukari/seed-pool/1')
  #bits = 0
  #lastMs = 0
  #lastGap = -1

  /** A key or a movement. Counted as two bits when its timing differs from the one before, else as none. */
  event(what: string, atMs: number): void {
    const gap = Math.round(atMs - this.#lastMs)
    this.#hash.update(`${what}@${atMs};`)
    if (gap > 0 && gap !== this.#lastGap) this.#bits += 2
    this.#lastMs = atMs
    this.#lastGap = gap
  }

  /** Noise of a camera or microphone: a bit per eight bytes that are not all alike. */
  noise(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    const counts = new Map<number, number>()
    for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1)
    const most = Math.max(0, ...counts.values())
    if (most < bytes.length) this.#bits += Math.floor(((bytes.length - most) * -Math.log2(most / bytes.length)) / 64)
  }

  /** 0 to 1: how much of what is wanted is there. */
  get progress(): number {
    return Math.min(1, this.#bits / wantedBits)
  }

  /** The pool's 32 bytes. @throws {Problem} `vault.entropy` */
  take(): Uint8Array {
    if (this.#bits < wantedBits) throw new Problem('vault.entropy', `${this.#bits} of ${wantedBits} bits`)
    return new Uint8Array(this.#hash.copy().digest())
  }
}

/** A seed of 32 bytes from the system, and from a pool where the member gave one. */
export function makeSeed(random: Pick<Random, 'bytes'>, pool?: ChancePool): Uint8Array {
  const own = pool ? pool.take() : new Uint8Array(0)
  const seed = hkdfSync('sha256', Buffer.concat([random.bytes(32), own]), new Uint8Array(0), 'azukari/seed/1', 32)
  own.fill(0)
  return new Uint8Array(seed)
}

/** The Ed25519 and X25519 keys of a seed: always the same. */
export function keysOfSeed(seed: Uint8Array): VaultKeys {
  const from = (use: string) => ({
    bytes: (n: number) => new Uint8Array(hkdfSync('sha256', seed, new Uint8Array(0), `azukari/seed/${use}/1`, n)),
  })
  return { signing: generateKey('ed25519', from('sign')), agreement: generateKey('x25519', from('agree')) }
}

/** What the inner box holds: a seed, or, for keys that no seed can make (RSA), the signing key itself beside the seed of the other. */
export interface Secret {
  seed: Uint8Array
  signing?: Uint8Array
}

export function keysOfSecret({ seed, signing }: Secret): VaultKeys {
  const keys = keysOfSeed(seed)
  return signing ? { ...keys, signing: parseCoseKey(signing) } : keys
}
