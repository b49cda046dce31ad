/** The key directory in a service that runs apart: from the site's folder at first, and then from the gateway. */
import { followKeyDirectory } from '@azukari/protocol/contracts/keys'
import type { KeptKeyDirectory } from '@azukari/protocol/kept-key-directory'
import type { DirectoryTrust, KeyDirectory } from '@azukari/protocol/key-directory'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { answers, type CallHandler } from '../transport/server.ts'
import type { DirectoryIssuer } from './issuer.ts'

export interface FollowerOptions {
  kept: KeptKeyDirectory
  trust: DirectoryTrust
  /** A directory above a version, if there is one: from the gateway, or from the site's folder. @throws {Problem} from either */
  newer: (version: number) => Promise<Uint8Array | undefined>
  clock: Clock
  log: Log
}

/** How often the gateway is asked, ms: well within the time between the making of a key and its use. */
const askMs = 15_000

export class DirectoryFollower {
  readonly #o: FollowerOptions
  #timer: Timer | undefined
  #asking: Promise<void> | undefined
  #running = false

  constructor(options: FollowerOptions) {
    this.#o = options
  }

  get isKnown(): boolean {
    return this.#o.kept.current !== undefined
  }

  /** @throws {Problem} `keys.missing` before the first one */
  get directory(): KeyDirectory {
    const { current } = this.#o.kept
    if (!current) throw new Problem('keys.missing', 'the gateway has not told its key directory yet')
    return current
  }

  start(): void {
    this.#running = true
    void this.renew()
  }

  async stop(): Promise<void> {
    this.#running = false
    this.#timer?.cancel()
    await this.#asking
  }

  /** Asks at once; whoever comes meanwhile shares the answer. Never throws: what is held still counts. */
  renew(): Promise<void> {
    this.#timer?.cancel()
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
      if (this.#running) this.#timer = this.#o.clock.timer(askMs, () => void this.renew())
    })
    return this.#asking
  }

  async #ask(): Promise<void> {
    const { kept, trust, newer, clock, log } = this.#o
    try {
      const directory = await newer(kept.version)
      if (!directory) return
      const { version } = await kept.take(directory, trust, clock.now())
      log.info('the site’s keys are known anew', { version })
    } catch (error) {
      // The same file, read again.
      if (isProblem(error, 'keys.stale')) return
      log.info('the key directory could not be followed', { code: isProblem(error) ? error.code : 'internal' })
    }
  }
}

/** What the gateway answers services that run apart. @param services by the names in their certificates */
export function followHandlers(services: readonly string[], issuer: Pick<DirectoryIssuer, 'newerThan'>): CallHandler[] {
  return [
    answers(followKeyDirectory, services, async ({ have }) => {
      const directory = issuer.newerThan(have)
      return { reply: directory ? { directory } : {} }
    }),
  ]
}
