/** Replaces placement's keys in time (decision 14): written down, safe in the journal, and only then told and used. */

import type { RequestOf } from '@azukari/protocol/contract'
import type { HeldKey, rotateServiceKeys } from '@azukari/protocol/contracts/keys'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Log, Random, Timer } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { JournalPush } from '../journal/push.ts'
import type { Registry } from '../members/registry.ts'
import type { PlacementKeys } from './keys.ts'
import { newPair } from './keystore.ts'

export interface KeyPairsOptions {
  keys: PlacementKeys
  /** Writes the keys down; durable when it resolves. */
  keep?: (keys: PlacementKeys) => Promise<void>
  registry: Registry
  journal: Pick<JournalPush, 'push' | 'isSafe'>
  clock: Clock
  random: Random
  log: Log
}

/** The longest wait for the next pair's time: a timer of more than 24 days would fire at once. */
const waitMaxMs = 3_600_000

export class KeyPairs {
  readonly #o: KeyPairsOptions
  #timer: Timer | undefined
  #rotating = false

  constructor(options: KeyPairsOptions) {
    this.#o = options
    options.keys.useAt(options.clock.now())
  }

  /** COSE_Key with which cards are made. */
  get cardKey(): Uint8Array {
    return coseKey(publicOf(this.#o.keys.card))
  }

  start(): void {
    this.#useNow()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** What the key directory says of placement. */
  async held(): Promise<HeldKey[]> {
    return this.#o.keys.held()
  }

  /**
   * Makes the next pair, to be used from a time on. Before it is told to anybody it lies in the journal in two regions: else
   * what is sealed to it could not be opened after a loss.
   * @throws {Problem} `keys.under-way`; `server.unreachable` while the journal's servers are away, and nothing has changed
   */
  async rotate({ fromMs, takenUntilMs }: RequestOf<typeof rotateServiceKeys>): Promise<HeldKey[]> {
    const { keys, keep, registry, journal, clock, random, log } = this.#o
    if (this.#rotating) throw new Problem('keys.under-way')
    this.#rotating = true
    try {
      const next = keys.followedBy({ ...newPair(random), fromMs }, takenUntilMs, clock.now())
      const seq = await registry.journalKeys(next)
      await journal.push()
      if (seq !== undefined && (await registry.servers()).length > 0 && !(await journal.isSafe(seq)))
        throw new Problem('server.unreachable', 'the new keys are not in the journal of two regions: try again')
      await keep?.(next)
      keys.take(next, clock.now())
      this.#useNow()
      log.info('placement has new keys', { fromMs })
      return keys.held()
    } finally {
      this.#rotating = false
    }
  }

  #useNow(): void {
    const { keys, clock } = this.#o
    this.#timer?.cancel()
    const nextMs = keys.useAt(clock.now())
    this.#timer =
      nextMs === undefined ? undefined : clock.timer(Math.min(nextMs - clock.now(), waitMaxMs), () => this.#useNow())
  }
}
