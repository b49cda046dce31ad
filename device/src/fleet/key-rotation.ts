/**
 * A device's key is replaced (D6): the next one is made here, written down before the site hears of it, and signed by
 * the present one. When the answer is lost nobody knows which of them the site holds; then both are tried in turn.
 */
import type { KeyObject } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { rotateKey, rotationDomain } from '@azukari/protocol/contracts/fleet'
import { sign1, signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import type { Identity } from '../identity.ts'
import type { Link } from '../link.ts'

const domain = new TextEncoder().encode(rotationDomain)

export interface KeyRotationOptions {
  site: string
  identity: Identity
  /** Writes an identity down, durably. */
  keep: (identity: Identity) => Promise<void>
  link: Link
  random: Random
}

export class KeyRotation {
  readonly #options: KeyRotationOptions
  /** The keys as they are written down, while the next one is tried. */
  #written: { key: KeyObject; next: KeyObject } | undefined

  constructor(options: KeyRotationOptions) {
    this.#options = options
  }

  /** @throws {Problem} `link.*`, `cose.*`, `storage.*` */
  async rotate(signal: AbortSignal): Promise<void> {
    const { identity, keep, link, random, site } = this.#options
    await this.up()
    if (!identity.next) {
      const next = generateKey('ed25519', random)
      await keep({ ...identity, next })
      identity.next = next
    }
    const { key, next, device } = identity
    const proof = sign1(encodeDeterministic([site, device, thumbprint(key)]), signerOf(next), domain)
    const rotation = encodeDeterministic({ site, device, key: coseKey(publicOf(next)), proof })
    await link.call(rotateKey, { signed: sign1(rotation, signerOf(key), domain) }, { signal })
    await this.#replace(next)
  }

  /** The line could not be made: perhaps the site holds the other key. */
  refused(): void {
    const { identity } = this.#options
    if (!identity.next) return
    this.#written ??= { key: identity.key, next: identity.next }
    const { key, next } = this.#written
    const [use, other] = identity.key === key ? [next, key] : [key, next]
    Object.assign(identity, { key: use, next: other })
  }

  /** The site took the key in use: when it is the next one, the one before is done with. */
  async up(): Promise<void> {
    const { identity } = this.#options
    const written = this.#written
    this.#written = undefined
    if (written && identity.key === written.next) await this.#replace(written.next)
  }

  async #replace(next: KeyObject): Promise<void> {
    const { identity, keep } = this.#options
    await keep({ ...identity, key: next, next: undefined })
    Object.assign(identity, { key: next, next: undefined })
  }
}
