/** Brings every new key directory to the data servers, and to the file in the site's folder that services apart begin with. */
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import type { DirectoryIssuer } from './issuer.ts'

export interface CourierOptions {
  issuer: Pick<DirectoryIssuer, 'signed' | 'directory' | 'onChange'>
  /** The data servers in use, by id, and how one is brought a directory. @throws {Problem} from either */
  servers: () => Promise<readonly { id: string; bring: (signed: Uint8Array) => Promise<number> }[]>
  /** Keeps the directory in the site's folder. */
  keep: (signed: Uint8Array) => Promise<void>
  clock: Clock
  log: Log
}

/** How often those are tried again that do not have the newest, ms. */
const againMs = 30_000

export class Courier {
  readonly #o: CourierOptions
  /** The version that each server is known to hold. */
  readonly #held = new Map<string, number>()
  #unheard: (() => void) | undefined
  #timer: Timer | undefined
  #working: Promise<void> = Promise.resolve()
  #running = false

  constructor(options: CourierOptions) {
    this.#o = options
  }

  /** Data servers that are not known to hold the newest directory. */
  async behind(): Promise<string[]> {
    const { issuer, servers } = this.#o
    return (await servers())
      .filter(({ id }) => (this.#held.get(id) ?? 0) < issuer.directory.version)
      .map(({ id }) => id)
  }

  start(): void {
    this.#running = true
    this.#unheard = this.#o.issuer.onChange(() => this.#go())
    this.#go()
  }

  async stop(): Promise<void> {
    this.#running = false
    this.#unheard?.()
    this.#timer?.cancel()
    await this.#working
  }

  #go(): void {
    this.#timer?.cancel()
    this.#working = this.#working
      .then(() => this.#round())
      .catch((error) => this.#o.log.error('the key directory could not be brought', { error: String(error) }))
      .then(() => {
        if (this.#running) this.#timer = this.#o.clock.timer(againMs, () => this.#go())
      })
  }

  async #round(): Promise<void> {
    const { issuer, servers, keep } = this.#o
    const { signed, directory } = issuer
    await keep(signed)
    await Promise.all(
      (await servers())
        .filter(({ id }) => (this.#held.get(id) ?? 0) < directory.version)
        .map(({ id, bring }) => this.#bring(id, () => bring(signed), directory.version)),
    )
  }

  async #bring(id: string, bring: () => Promise<number>, version: number): Promise<void> {
    try {
      this.#held.set(id, await bring())
    } catch (error) {
      if (!isProblem(error)) throw error
      // It was there before: another gateway process, or its own folder, had it.
      if (error.code === 'keys.stale') this.#held.set(id, version)
      // A data server of the release before knows nothing of it.
      else this.#o.log.info('a data server was not brought the key directory', { server: id, code: error.code })
    }
  }
}
