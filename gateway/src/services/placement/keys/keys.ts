/**
 * Placement's keys as they change over time (ARCHITECTURE §7 "Keys", decision 14): one pair is in use, those before it stay, to
 * open what was sealed to them and to verify what they signed.
 */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import { type DirectSigner, decryptFrom, signerOf } from '@azukari/protocol/cose'
import { coseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { KeyFinder } from '@azukari/protocol/manifest'
import { InternalError, isProblem, Problem } from '@azukari/protocol/problem'

export interface RootKey {
  version: number
  key: Uint8Array
}

export interface KeyPair {
  signing: KeyObject
  agreement: KeyObject
  /** From when it is used, ms. */
  fromMs: number
  /** From when the next is used in its place. */
  untilMs?: number
  /** Until when what was sealed or addressed to it is still taken. */
  takenUntilMs?: number
}

export interface KeyParts {
  /** Ascending by the time from which they are used. */
  pairs: readonly KeyPair[]
  /** Lets placement write on cards, which have known it since they were made: not replaced with the pairs. */
  card: KeyObject
  /** Ascending; the last one wraps what is new. */
  roots: RootKey[]
  /** Public X25519: the journal is sealed to it. */
  recovery: KeyObject
}

/** Pairs that are kept: one a month for five years. */
export const pairsMax = 64

export class PlacementKeys {
  readonly card: KeyObject
  readonly roots: RootKey[]
  readonly recovery: KeyObject
  #pairs: readonly KeyPair[]
  #inUse: KeyPair
  #signers: Map<string, KeyObject>

  constructor({ pairs, card, roots, recovery }: KeyParts) {
    const first = pairs[0]
    if (!first) throw new InternalError('placement without keys')
    this.card = card
    this.roots = roots
    this.recovery = recovery
    this.#pairs = pairs
    this.#inUse = first
    this.#signers = signersOf(pairs)
  }

  get pairs(): readonly KeyPair[] {
    return this.#pairs
  }

  /** Signs what placement says now. */
  get signing(): KeyObject {
    return this.#inUse.signing
  }

  /** What is sealed to placement now is sealed to this. */
  get agreement(): KeyObject {
    return this.#inUse.agreement
  }

  /** Finds any of placement's own signing keys, past and to come: for what it reads back. */
  readonly own: KeyFinder = (kid) => this.#signers.get(nameOf(kid))

  /** Uses the pair whose time has come. @returns when the next one's will, if there is one */
  useAt(nowMs: number): number | undefined {
    this.#inUse = this.#pairs.findLast(({ fromMs }) => fromMs <= nowMs) ?? this.#pairs[0]!
    return this.#pairs.find(({ fromMs }) => fromMs > nowMs)?.fromMs
  }

  /**
   * The same keys and one more pair, which follows on the last. @throws {Problem} `keys.under-way` while that has not
   * come into use itself
   */
  followedBy(
    next: Pick<KeyPair, 'signing' | 'agreement' | 'fromMs'>,
    takenUntilMs: number,
    nowMs: number,
  ): PlacementKeys {
    const last = this.#pairs.at(-1)!
    if (last.fromMs > nowMs || next.fromMs <= last.fromMs)
      throw new Problem('keys.under-way', `the last ones are used from ${new Date(last.fromMs).toISOString()} on`)
    const pairs = [...this.#pairs.slice(0, -1), { ...last, untilMs: next.fromMs, takenUntilMs }, next]
    const { card, roots, recovery } = this
    return new PlacementKeys({ card, roots, recovery, pairs: pairs.slice(-pairsMax) })
  }

  /** Takes over the pairs of keys that were written down. */
  take({ pairs }: PlacementKeys, nowMs: number): void {
    this.#pairs = pairs
    this.#signers = signersOf(pairs)
    this.useAt(nowMs)
  }

  /**
   * Whether a signed act is for placement: it names a key of placement's that is still taken.
   * @throws {Problem} `cose.wrong-audience`, `keys.retired`
   */
  requireAddressed(audience: Uint8Array, nowMs: number): void {
    if (this.takes(audience, nowMs)) return
    throw new Problem(this.own(audience) ? 'keys.retired' : 'cose.wrong-audience')
  }

  /** Whether a thumbprint names a key of placement's that is still taken. */
  takes(audience: Uint8Array, nowMs: number): boolean {
    return this.#pairs.some(
      ({ signing, takenUntilMs = Number.POSITIVE_INFINITY }) =>
        nowMs < takenUntilMs && sameBytes(thumbprint(signing), audience),
    )
  }

  /** Opens what was sealed to placement, by whichever pair. @throws {Problem} `cose.*`, `cbor.*` */
  open(sealed: Uint8Array, domain: Uint8Array): Uint8Array {
    let failure: unknown
    for (const { agreement } of this.#pairs.toReversed()) {
      try {
        return decryptFrom(sealed, agreement, domain)
      } catch (error) {
        if (!isProblem(error, 'cose.decrypt-failed')) throw error
        failure ??= error
      }
    }
    throw failure
  }

  /** What the key directory says of placement. */
  held(): HeldKey[] {
    const pairs = this.#pairs.flatMap(({ signing, agreement, fromMs, untilMs, takenUntilMs }): HeldKey[] => {
      const times: Pick<HeldKey, 'fromMs' | 'untilMs' | 'takenUntilMs'> = { fromMs }
      if (untilMs !== undefined) times.untilMs = untilMs
      if (takenUntilMs !== undefined) times.takenUntilMs = takenUntilMs
      return [
        { use: 'sign', key: coseKey(publicOf(signing)), ...times },
        { use: 'agree', key: coseKey(publicOf(agreement)), ...times },
      ]
    })
    return [...pairs, { use: 'card', key: coseKey(publicOf(this.card)), fromMs: 0 }]
  }
}

/** Signs as placement, with whichever key is in use at the time. */
export function placementSigner(keys: Pick<PlacementKeys, 'signing'>): DirectSigner {
  let last: { key: KeyObject; signer: DirectSigner } | undefined
  const now = () => {
    if (last?.key !== keys.signing) last = { key: keys.signing, signer: signerOf(keys.signing) }
    return last.signer
  }
  return {
    get algorithm() {
      return now().algorithm
    },
    get kid() {
      return now().kid
    },
    sign: (bytes) => now().sign(bytes),
  }
}

function signersOf(pairs: readonly KeyPair[]): Map<string, KeyObject> {
  return new Map(pairs.map(({ signing }) => [nameOf(thumbprint(signing)), publicOf(signing)]))
}

function nameOf(kid: Uint8Array): string {
  return Buffer.from(kid).toString('hex')
}
