/** Whose orders a data server carries out (S7, decision 14): placement's, by the keys that the site's directory names. */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import { offerSave } from '@azukari/protocol/contracts/save'
import { deliveryIssuer } from '@azukari/protocol/delivery'
import { KeptKeyDirectory } from '@azukari/protocol/kept-key-directory'
import { signersAt, signersEver } from '@azukari/protocol/key-directory'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import type { KeyFinder } from '@azukari/protocol/manifest'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { directoryFile, type SiteFolder, type SitePorts, siteKeyFile } from '../site-folder.ts'

/** Who gives data servers orders: whoever takes members' offers. */
const orders = offerSave.service

export interface Trust {
  /** Of what is kept and told now: a former key gives no new orders. */
  now: KeyFinder
  /** Of what stands here already, however old. */
  ever: KeyFinder
  /** Who orders deliveries, by keys that are in use. */
  deliveries: KeyFinder
}

/** The same keys at all times. @param issuers who orders deliveries */
export function fixedTrust(keys: readonly KeyObject[], issuers: readonly KeyObject[] = []): Trust {
  const find = finderOf(keys)
  return { now: find, ever: find, deliveries: finderOf(issuers) }
}

function finderOf(keys: readonly KeyObject[]): KeyFinder {
  const named = keys.map((key) => ({ key, kid: thumbprint(key) }))
  return (kid) => named.find((one) => sameBytes(one.kid, kid))?.key
}

/** The keys that a data server holds of its site, and takes anew. */
export interface TakesKeys {
  /** @returns the version held then @throws {Problem} `keys.*`, `config.invalid` */
  take(signed: Uint8Array): Promise<number>
}

export interface DirectoryTrustOptions {
  kept: KeptKeyDirectory
  site: string
  /** COSE_Key of the site, once it is in the folder. */
  siteKey: () => Promise<Uint8Array | undefined>
  /** COSE_Key of placement, for as long as there is no directory. */
  first: Uint8Array
  clock: Clock
}

/** Trust by the newest directory that the gateway has brought. */
export class DirectoryKeys implements Trust, TakesKeys {
  readonly #o: DirectoryTrustOptions
  readonly #first: Trust

  constructor(options: DirectoryTrustOptions) {
    this.#o = options
    this.#first = fixedTrust([parseCoseKey(options.first)])
  }

  readonly now: KeyFinder = (kid) => {
    const { kept, clock } = this.#o
    return kept.current ? signersAt(kept.current, orders, clock.now())(kid) : this.#first.now(kid)
  }

  readonly ever: KeyFinder = (kid) => {
    const { current } = this.#o.kept
    return current ? signersEver(current, orders)(kid) : this.#first.ever(kid)
  }

  readonly deliveries: KeyFinder = (kid) => {
    const { kept, clock } = this.#o
    return kept.current && signersAt(kept.current, deliveryIssuer, clock.now())(kid)
  }

  async take(signed: Uint8Array): Promise<number> {
    const { kept, site, siteKey, clock } = this.#o
    const key = await siteKey()
    if (!key) throw new Problem('config.invalid', 'site.pub is not in this folder: copy it from the gateway’s')
    await kept.take(signed, { site, siteKey: parseCoseKey(key) }, clock.now())
    return kept.version
  }
}

/**
 * What a data server of a site's folder trusts: its own copy of the directory, or the gateway's where it lies in the same
 * folder and is newer. @throws {Problem} `config.invalid` before placement's first start, `storage.*`
 */
export async function openTrust(
  folder: SiteFolder,
  id: string,
  site: string,
  { files, clock }: SitePorts,
  log: Log,
): Promise<DirectoryKeys> {
  const siteKey = () => folder.read(siteKeyFile)
  const key = await siteKey()
  const trust = key && { site, siteKey: parseCoseKey(key) }
  const path = `${folder.path}/data-servers/${id}/keys.cose`
  const kept = await KeptKeyDirectory.open({ files, path, log }, trust)
  const keys = new DirectoryKeys({ kept, site, siteKey, first: (await folder.publicKeys(orders)).key, clock })
  const beside = trust && (await folder.read(directoryFile))
  if (beside)
    await keys.take(beside).catch((error) => {
      if (!isProblem(error)) throw error
    })
  return keys
}
