/**
 * Makes the site's key directory: asks every holder for its public keys, signs what they say with the site's key, keeps the
 * newest version and tells who wants to hear (ARCHITECTURE §3, decision 14).
 */
import type { KeyObject } from 'node:crypto'
import type { RequestOf } from '@azukari/protocol/contract'
import type { HeldKey, rotateServiceKeys } from '@azukari/protocol/contracts/keys'
import { type DirectSigner, signerOf } from '@azukari/protocol/cose'
import { type KeyDirectory, openKeyDirectory, overlapMs, signKeyDirectory } from '@azukari/protocol/key-directory'
import { coseKey, parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Database } from '../storage/database.ts'
import { kidOf, nextDirectory, type Revocation, type Told } from './model.ts'
import { putDirectory, readDirectory } from './store.ts'

/** A service's public keys, wherever it runs. */
export interface KeySource {
  readonly holder: string
  /** What is said of a service that has never answered. */
  readonly seed?: readonly HeldKey[]
  held(): Promise<readonly HeldKey[]>
  /** @throws {Problem} `keys.fixed`, `keys.under-way` */
  rotate(order: RequestOf<typeof rotateServiceKeys>): Promise<readonly HeldKey[]>
}

export interface DirectoryIssuerOptions {
  site: string
  /** The site's key. */
  key: KeyObject
  database: Database
  clock: Clock
  log: Log
  sources: readonly KeySource[]
  /** COSE_Keys of the data servers in use, by id. */
  dataServers?: () => Promise<ReadonlyMap<string, Uint8Array>>
}

/** How often the holders are asked, ms: a service that runs apart may come later than the gateway. */
const askMs = 60_000

export class DirectoryIssuer {
  readonly #options: DirectoryIssuerOptions
  readonly #signer: DirectSigner
  readonly #listeners = new Set<(signed: Uint8Array) => void>()
  #held: { directory: KeyDirectory; signed: Uint8Array } | undefined
  #working: Promise<unknown> = Promise.resolve()
  #timer: Timer | undefined
  #running = false

  private constructor(options: DirectoryIssuerOptions) {
    this.#options = options
    this.#signer = signerOf(options.key)
  }

  /** Reads the directory that was made last, and makes the next one when there is something to say. @throws {Problem} `storage.*` */
  static async open(options: DirectoryIssuerOptions): Promise<DirectoryIssuer> {
    const issuer = new DirectoryIssuer(options)
    const signed = await readDirectory(options.database)
    const directory = signed && issuer.#openOwn(signed)
    if (directory) issuer.#held = { signed, directory }
    await issuer.refresh()
    return issuer
  }

  /** The newest directory, signed. */
  get signed(): Uint8Array {
    return this.#current().signed
  }

  get directory(): KeyDirectory {
    return this.#current().directory
  }

  /** The directory, unless whoever asks has it already. */
  newerThan(version: number): Uint8Array | undefined {
    const { directory, signed } = this.#current()
    return directory.version > version ? signed : undefined
  }

  /** Hears of every new directory. Returns a function that stops it. */
  onChange(listener: (signed: Uint8Array) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  start(): void {
    this.#running = true
    this.#askLater()
  }

  async stop(): Promise<void> {
    this.#running = false
    this.#timer?.cancel()
    await this.#working
  }

  /** Asks the holders, and makes the next directory when they say something new or the present one is old. */
  refresh(): Promise<void> {
    return this.#inTurn(() => this.#refresh(new Map()))
  }

  /**
   * Has a service replace its keys. The directory says so at once; the new keys are used from a little later on, so that
   * whoever is connected knows them by then.
   * @throws {Problem} `keys.missing` for a service that is not there, `keys.fixed`, `keys.under-way`, `server.unreachable`
   */
  rotate(holder: string, leadMs: number): Promise<KeyDirectory> {
    const { sources, clock } = this.#options
    return this.#inTurn(async () => {
      const source = sources.find((one) => one.holder === holder)
      if (!source) throw new Problem('keys.missing', `there is no service ${holder}`)
      const fromMs = clock.now() + leadMs
      const keys = await source.rotate({ fromMs, takenUntilMs: fromMs + overlapMs })
      await this.#refresh(new Map([[holder, keys]]))
      return this.directory
    })
  }

  /**
   * Says that a key counts for nothing from a time on, for good. @param kid the beginning of its thumbprint in hex
   * @throws {Problem} `keys.missing` when it names none or several, `keys.fixed` for the site's own, `keys.in-use` without a successor
   */
  revoke(holder: string, kid: string, fromMs: number): Promise<KeyDirectory> {
    return this.#inTurn(async () => {
      // It signs the directory itself: whoever has it would take this back.
      if (holder === 'gateway') throw new Problem('keys.fixed', holder)
      const named = this.directory.keys.filter(
        (row) => row.holder === holder && row.use !== 'card' && kidOf(row).startsWith(kid.toLowerCase()),
      )
      const [found] = named
      if (!found || named.length > 1 || kid.length < 8)
        throw new Problem('keys.missing', `${named.length} keys of ${holder} begin with ${kid}`)
      if (found.untilMs === undefined) throw new Problem('keys.in-use', `${holder} to ${found.use}`)
      await this.#refresh(new Map(), { holder, kid: thumbprint(parseCoseKey(found.key)), fromMs })
      return this.directory
    })
  }

  async #refresh(known: ReadonlyMap<string, readonly HeldKey[]>, revoked?: Revocation): Promise<void> {
    const { site, key, sources, database, clock, log, dataServers } = this.#options
    const services = new Map<string, readonly HeldKey[]>(known)
    services.set('gateway', [{ use: 'sign', key: coseKey(publicOf(key)), fromMs: 0 }])
    for (const source of sources) {
      if (services.has(source.holder)) continue
      try {
        services.set(source.holder, await source.held())
      } catch (error) {
        if (!isProblem(error)) throw error
        log.info('a service does not tell its keys', { service: source.holder, code: error.code })
        const isKnown = this.#held?.directory.keys.some(({ holder }) => holder === source.holder)
        if (source.seed && !isKnown) services.set(source.holder, source.seed)
      }
    }
    const told: Told = { services, dataServers: (await dataServers?.()) ?? new Map() }
    if (revoked) told.revoked = revoked
    const directory = nextDirectory(site, this.#held?.directory, told, clock.now())
    if (!directory) return
    const signed = signKeyDirectory(directory, this.#signer)
    await putDirectory(database, directory.version, signed)
    this.#held = { directory, signed }
    log.info('the key directory was made', { version: directory.version, keys: directory.keys.length })
    for (const listener of this.#listeners) listener(signed)
  }

  /** Undefined for one of another key or name than the site has now: it is made anew, and its version rises by the clock. */
  #openOwn(signed: Uint8Array): KeyDirectory | undefined {
    const { site, key, log } = this.#options
    try {
      return openKeyDirectory(signed, { site, siteKey: publicOf(key) })
    } catch (error) {
      if (!isProblem(error)) throw error
      log.warn('the kept key directory is not this site’s', { code: error.code })
      return undefined
    }
  }

  #current(): { directory: KeyDirectory; signed: Uint8Array } {
    if (!this.#held) throw new Problem('keys.missing', 'the key directory has not been made yet')
    return this.#held
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#working.then(work)
    this.#working = turn.catch(() => undefined)
    return turn
  }

  #askLater(): void {
    if (!this.#running) return
    this.#timer = this.#options.clock.timer(askMs, () => {
      this.refresh()
        .catch((error) => this.#options.log.error('the key directory could not be made', { error: String(error) }))
        .finally(() => this.#askLater())
    })
  }
}
