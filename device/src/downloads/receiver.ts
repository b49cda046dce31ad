/**
 * Fetches one download block by block (ARCHITECTURE §6): tells the gateway what is here and how much may come, hands what
 * comes to a sink, and asks again after any break. What is done with the blocks is the sink's.
 */
import { hex } from '@azukari/protocol/bytes'
import { type Offer, takeBlocks } from '@azukari/protocol/contracts/download'
import { openedBlock } from '@azukari/protocol/download'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Link } from '../link.ts'

/** Where blocks go. */
export interface BlockSink {
  /** What it has, as [first, last] pairs. */
  readonly ranges: readonly [number, number][]
  /** Blocks that it takes now beyond what it has. */
  readonly windowBlocks: number
  readonly isComplete: boolean
  /** What a block carries, unsealed and not checked yet. */
  take(index: number, payload: Uint8Array): void
  /** Blocks that did not match since it was asked last. */
  takeBad(): number[]
}

export interface ReceiverPorts {
  link: Pick<Link, 'call' | 'onBlocks'>
  clock: Clock
}

/** Without a block for this long, the gateway is told again what is here. */
const stallMs = 5_000
/** How often without any new block before the download is given up until the next try. */
const stallsAtMost = 6
/** Ranges that fit into one message; the rest is told when they have joined. */
const rangesAtMost = 1_024

export class Receiver {
  readonly #ports: ReceiverPorts
  readonly #offer: Offer
  readonly #sink: BlockSink
  #news = Promise.withResolvers<void>()

  constructor(ports: ReceiverPorts, offer: Offer, sink: BlockSink) {
    this.#ports = ports
    this.#offer = offer
    this.#sink = sink
  }

  /** The sink has more than before, or can take more. */
  progress(): void {
    this.#news.resolve()
  }

  /** Resolves when the sink is complete. @throws {Problem} `link.*`, `transfer.*`, `service.unavailable`, the signal's */
  async run(signal: AbortSignal): Promise<void> {
    const { link } = this.#ports
    const { transfer, from, blocks } = this.#offer
    using _blocks = link.onBlocks(hex(transfer), (index, payload) => {
      if (index < blocks) this.#sink.take(index, openedBlock(this.#offer, index, payload))
    })
    let stalls = 0
    let again = true
    while (!this.#sink.isComplete) {
      signal.throwIfAborted()
      this.#news = Promise.withResolvers()
      const { windowBlocks } = this.#sink
      const ranges = this.#sink.ranges.slice(0, rangesAtMost)
      await link.call(
        takeBlocks,
        { transfer, from, blocks, ranges, windowBlocks, bad: this.#sink.takeBad(), again },
        { signal },
      )
      again = false
      if (this.#sink.isComplete) return
      // Who takes nothing just now is not waited for by anybody.
      if (await this.#newsWithin(windowBlocks === 0 ? undefined : stallMs, signal)) stalls = 0
      else if (++stalls > stallsAtMost) throw new Problem('link.timeout', 'no blocks come')
      else again = true
    }
  }

  async #newsWithin(ms: number | undefined, signal: AbortSignal): Promise<boolean> {
    const { promise: over, resolve } = Promise.withResolvers<boolean>()
    const abort = () => resolve(true)
    signal.addEventListener('abort', abort, { once: true })
    using _limit = ms === undefined ? undefined : this.#ports.clock.timer(ms, () => resolve(false))
    try {
      return await Promise.race([this.#news.promise.then(() => true), over])
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }
}
