/**
 * The site's keys as this device knows them (D1, decision 14): the newest key directory that the site has signed. What is sealed
 * for a service, addressed to it, or said to be signed by it, is judged by it.
 *
 * Kept in a file beside the identity, for it is needed without a line. A device of the release before has none until it is
 * connected: until then the keys that it learnt at enrolment count.
 */
import type { KeyObject } from 'node:crypto'
import { decode } from '@azukari/protocol/codec'
import { readKeyDirectory } from '@azukari/protocol/contracts/keys'
import { offerSave } from '@azukari/protocol/contracts/save'
import { peek1, verify1 } from '@azukari/protocol/cose'
import { KeptKeyDirectory } from '@azukari/protocol/kept-key-directory'
import {
  type DirectoryKey,
  type DirectoryTrust,
  isRevoked,
  type KeyDirectory,
  type KeyUse,
  keyInUse,
  requireCurrent,
  sealingKey,
  signersAt,
  signersEver,
} from '@azukari/protocol/key-directory'
import { coseKey, thumbprint } from '@azukari/protocol/keys'
import type { Files, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { SiteTrust } from './identity.ts'
import type { Link } from './link.ts'

export interface SiteKeysOptions {
  files: Files
  /** Of the file in which the directory is kept. */
  path: string
  trust: () => SiteTrust | undefined
  link: Pick<Link, 'up' | 'call'>
  /** The time as the device knows it, ms since the epoch. */
  now: () => number
  log: Log
}

/** A document that a service signs, and how it is read. */
export interface SignedDocument<T> {
  domain: Uint8Array
  check: (body: unknown) => T
  /** When it says that it was signed, ms. */
  atMs: (body: T) => number
}

export class SiteKeys {
  readonly #o: SiteKeysOptions
  readonly #kept: KeptKeyDirectory
  #renewing: Promise<void> | undefined

  private constructor(options: SiteKeysOptions, kept: KeptKeyDirectory) {
    this.#o = options
    this.#kept = kept
  }

  /** Opens what was kept. A file that this site did not sign counts for nothing. @throws {Problem} `storage.*` */
  static async open(options: SiteKeysOptions): Promise<SiteKeys> {
    const trust = options.trust()
    return new SiteKeys(options, await KeptKeyDirectory.open(options, trust && trustIn(trust)))
  }

  /** Version of the directory that is held; 0 without one. */
  get version(): number {
    return this.#kept.version
  }

  /** Which keys a service has, for whoever checks later what it has signed. */
  keysOf(service: string, use: KeyUse): DirectoryKey[] {
    return this.#directory().keys.filter((row) => row.holder === service && row.use === use)
  }

  /** What enrolment brought. Another site's directory, or a former one of this site's, gives way to it. @throws {Problem} `keys.*`, `storage.*` */
  enrolled(trust: SiteTrust, signed: Uint8Array | undefined): Promise<void> {
    // The clock may be anything before the first welcome: what is out of date is renewed before it is used.
    return this.#kept.beginWith(signed, trustIn(trust))
  }

  /** Takes a directory in place of the one held, durably. @throws {Problem} `keys.*`, `storage.*` */
  async take(signed: Uint8Array): Promise<void> {
    const { log, now } = this.#o
    const { version } = await this.#kept.take(signed, trustIn(this.#trust()), now())
    log.info('the site’s keys are known anew', { version })
  }

  /** Asks the gateway for a newer directory; whoever comes meanwhile shares the answer. @throws {Problem} `link.*`, `keys.*` */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  /**
   * To whom something is addressed, and to which key it is sealed, now. A directory that is out of date is renewed first.
   * @throws {Problem} `device.unknown` before the first enrolment, `keys.expired` when it cannot be renewed, `keys.missing`
   */
  async recipient(service: string): Promise<{ audience: Uint8Array; agreement: KeyObject }> {
    const nowMs = this.#o.now()
    try {
      requireCurrent(this.#directory(), nowMs)
    } catch (error) {
      if (!isProblem(error, 'keys.expired') || !this.#o.link.up) throw error
      await this.renew()
    }
    const directory = this.#directory()
    return {
      agreement: sealingKey(directory, service, nowMs),
      audience: thumbprint(keyInUse(directory, service, 'sign', nowMs)),
    }
  }

  /** Whether a service may call itself by this key now. Asks the gateway when the key is not known here. @throws {Problem} `link.*` */
  async isInUse(service: string, kid: Uint8Array): Promise<boolean> {
    const known = () => signersAt(this.#directory(), service, this.#o.now())(kid) !== undefined
    if (known()) return true
    await this.#renewIfUp()
    return known()
  }

  /**
   * Believes a document when a key signed it that was the service's at the time that it states. For a key that is not known
   * here the gateway is asked once.
   * @throws {Problem} `cose.*`, `keys.retired`, `keys.revoked`, `message.invalid`
   */
  async open<T>(service: string, signed: Uint8Array, document: SignedDocument<T>): Promise<T> {
    if (!signersEver(this.#directory(), service)(peek1(signed).kid)) await this.#renewIfUp()
    return this.openKnown(service, signed, document)
  }

  /** As `open`, without asking. @throws {Problem} as `open` */
  openKnown<T>(service: string, signed: Uint8Array, { domain, check, atMs }: SignedDocument<T>): T {
    const directory = this.#directory()
    const { payload, kid } = verify1(signed, signersEver(directory, service), domain)
    const body = check(decode(payload))
    if (isRevoked(directory, service, kid, atMs(body)))
      throw new Problem('keys.revoked', `signed at ${new Date(atMs(body)).toISOString()}`)
    if (!signersAt(directory, service, atMs(body))(kid))
      throw new Problem('keys.retired', `signed by a key of another time than ${new Date(atMs(body)).toISOString()}`)
    return body
  }

  async #renewIfUp(): Promise<void> {
    if (!this.#o.link.up) return
    await this.renew().catch((error) =>
      this.#o.log.warn('the site’s keys could not be renewed', { code: isProblem(error) ? error.code : 'internal' }),
    )
  }

  async #renew(): Promise<void> {
    const { directory } = await this.#o.link.call(readKeyDirectory, { have: this.version })
    if (directory) await this.take(directory)
  }

  /** What counts now. */
  #directory(): KeyDirectory {
    return this.#kept.current ?? learntAtEnrolment(this.#trust())
  }

  #trust(): SiteTrust {
    const trust = this.#o.trust()
    if (!trust) throw new Problem('device.unknown', 'this device must be enrolled first')
    return trust
  }
}

/** COSE_Key with which a card is made: who may write on it. @throws {Problem} `keys.missing` */
export function cardKeyOf(directory: KeyDirectory | undefined, trust: SiteTrust, nowMs: number): Uint8Array {
  return coseKey(keyInUse(directory ?? learntAtEnrolment(trust), offerSave.service, 'card', nowMs))
}

/** What a gateway of the release before told at enrolment, for as long as there is nothing newer. */
function learntAtEnrolment({ site, placementKey, placementAgreement }: SiteTrust): KeyDirectory {
  const holder = offerSave.service
  return {
    contract: 'key-directory@1',
    site,
    version: 0,
    issuedMs: 0,
    expiresMs: Number.MAX_SAFE_INTEGER,
    keys: [
      { holder, use: 'sign', key: coseKey(placementKey), fromMs: 0 },
      { holder, use: 'agree', key: coseKey(placementAgreement), fromMs: 0 },
      { holder, use: 'card', key: coseKey(placementKey), fromMs: 0 },
    ],
  }
}

export function trustIn({ site, gatewayKey }: SiteTrust): DirectoryTrust {
  return { site, siteKey: gatewayKey }
}
