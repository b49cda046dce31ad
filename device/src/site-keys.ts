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
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import {
  type DirectoryKey,
  type KeyDirectory,
  type KeyUse,
  keyInUse,
  openKeyDirectory,
  requireCurrent,
  sealingKey,
  signersAt,
  signersEver,
  takeKeyDirectory,
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
  #held: KeyDirectory | undefined
  #renewing: Promise<void> | undefined
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(options: SiteKeysOptions, held: KeyDirectory | undefined) {
    this.#o = options
    this.#held = held
  }

  /** Opens what was kept. A file that this site did not sign counts for nothing. @throws {Problem} `storage.*` */
  static async open(options: SiteKeysOptions): Promise<SiteKeys> {
    return new SiteKeys(options, await loadDirectory(options.files, options.path, options.trust(), options.log))
  }

  /** Version of the directory that is held; 0 without one. */
  get version(): number {
    return this.#held?.version ?? 0
  }

  /** Which keys a service has, for whoever checks later what it has signed. */
  keysOf(service: string, use: KeyUse): DirectoryKey[] {
    return this.#directory().keys.filter((row) => row.holder === service && row.use === use)
  }

  /** What enrolment brought. Another site's directory, or a former one of this site's, gives way to it. @throws {Problem} `keys.*`, `storage.*` */
  enrolled(trust: SiteTrust, signed: Uint8Array | undefined): Promise<void> {
    return this.#inTurn(async () => {
      // The clock may be anything before the first welcome: what is out of date is renewed before it is used.
      const directory = signed && openKeyDirectory(signed, trustIn(trust))
      if (signed && directory) await this.#keep(signed, directory)
      else this.#held = undefined
    })
  }

  /** Takes a directory in place of the one held, durably. @throws {Problem} `keys.*`, `storage.*` */
  take(signed: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      const { log, now } = this.#o
      const directory = takeKeyDirectory(signed, trustIn(this.#trust()), this.#held, now())
      await this.#keep(signed, directory)
      log.info('the site’s keys are known anew', { version: directory.version })
    })
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
   * @throws {Problem} `cose.*`, `keys.retired`, `message.invalid`
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
    return this.#held ?? learntAtEnrolment(this.#trust())
  }

  #trust(): SiteTrust {
    const trust = this.#o.trust()
    if (!trust) throw new Problem('device.unknown', 'this device must be enrolled first')
    return trust
  }

  /** Written beside, synced, renamed into place: whole or not at all. */
  async #keep(signed: Uint8Array, directory: KeyDirectory): Promise<void> {
    const { files, path } = this.#o
    const folder = path.slice(0, path.lastIndexOf('/')) || '.'
    await makeDurableDirectory(files, folder)
    const file = await files.open(`${path}.new`, 'create')
    try {
      await file.truncate(0)
      await file.write(0, signed)
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(`${path}.new`, path)
    await files.syncDirectory(folder)
    this.#held = directory
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#writing.then(work)
    this.#writing = turn.catch(() => undefined)
    return turn
  }
}

/** The directory in a file, if this site signed it. @throws {Problem} `storage.*` */
export async function loadDirectory(
  files: Files,
  path: string,
  trust: SiteTrust | undefined,
  log?: Log,
): Promise<KeyDirectory | undefined> {
  if (!trust || !(await files.stat(path))) return undefined
  const file = await files.open(path, 'read')
  try {
    return openKeyDirectory(await file.read(0, await file.size()), trustIn(trust))
  } catch (error) {
    if (!isProblem(error) || error.code.startsWith('storage.')) throw error
    log?.warn('the kept key directory is not this site’s', { code: error.code })
    return undefined
  } finally {
    await file.close()
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

function trustIn({ site, gatewayKey }: SiteTrust): { site: string; siteKey: KeyObject } {
  return { site, siteKey: gatewayKey }
}
