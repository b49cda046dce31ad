/**
 * A download that is handed on as it comes, from any place in it on: for what is written elsewhere at once, such as a
 * release's files. Only blocks that were checked are handed on; memory is one window of them, and while nobody reads none come.
 */
import { downWindowMaxBlocks, type Offer } from '@azukari/protocol/contracts/download'
import { factsOfOffer } from '@azukari/protocol/download'
import { checkBlock, type TransferFacts } from '@azukari/protocol/incoming'
import { Problem } from '@azukari/protocol/problem'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import { type BlockSink, Receiver, type ReceiverPorts } from './receiver.ts'
import { type EndPorts, tellEnd } from './told-end.ts'

export class DownloadStream implements BlockSink {
  readonly #ports: ReceiverPorts & EndPorts
  readonly #offer: Offer
  readonly #facts: TransferFacts
  readonly #signal: AbortSignal
  readonly #blocks = new Map<number, Uint8Array>()
  #bad: number[] = []
  /** The first block that is still wanted. */
  #next = 0
  #told = 0
  #receiver: Receiver | undefined
  #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #failure: unknown
  #came = Promise.withResolvers<void>()
  #isEnded = false

  /** @throws {Problem} `message.invalid`, `transfer.bad-root` for an offer that contradicts itself */
  constructor(ports: ReceiverPorts & EndPorts, offer: Offer, signal: AbortSignal) {
    this.#ports = ports
    this.#offer = offer
    this.#facts = factsOfOffer(offer)
    this.#signal = signal
  }

  get ranges(): [number, number][] {
    const ranges: [number, number][] = this.#next === 0 ? [] : [[0, this.#next - 1]]
    for (const index of [...this.#blocks.keys()].sort((a, b) => a - b)) {
      const last = ranges.at(-1)
      if (last && last[1] === index - 1) last[1] = index
      else ranges.push([index, index])
    }
    return ranges
  }

  get windowBlocks(): number {
    return Math.min(this.#facts.blocks, this.#next + downWindowMaxBlocks) - this.#next - this.#blocks.size
  }

  get isComplete(): boolean {
    return this.#next >= this.#facts.blocks
  }

  take(index: number, payload: Uint8Array): void {
    if (index < this.#next || index >= this.#next + downWindowMaxBlocks || this.#blocks.has(index)) return
    const block = checkBlock(this.#facts, index, payload)
    if (block) this.#blocks.set(index, new Uint8Array(block.bytes))
    else if (this.#bad.length < 64) this.#bad.push(index)
    if (!block) this.#receiver?.progress()
    this.#came.resolve()
  }

  takeBad(): number[] {
    const bad = this.#bad
    this.#bad = []
    return bad
  }

  /** Up to `length` bytes from `at`, without those behind the block that they begin in. @throws {Problem} as `Receiver.run` */
  async read(at: number, length: number): Promise<Uint8Array> {
    const index = Math.floor(at / blockPlainBytes)
    if (index >= this.#facts.blocks) return new Uint8Array(0)
    if (this.#isEnded) throw new Problem('transfer.expired', 'it was ended')
    await this.#seek(index)
    for (;;) {
      const block = this.#blocks.get(index)
      if (block) {
        const offset = at - index * blockPlainBytes
        return block.subarray(offset, offset + length)
      }
      if (this.#failure) {
        const failure = this.#failure
        // Who reads again tries again.
        await this.#halt()
        this.#failure = undefined
        throw failure
      }
      if (this.#isEnded) throw new Problem('transfer.expired', 'it was ended')
      this.#came = Promise.withResolvers()
      await this.#came.promise
    }
  }

  /**
   * Fetches no more, and tells whether the content is taken, also after the stream's own signal has aborted.
   * @param problem why it is not
   * @throws {Problem} `link.*`, `service.*` when it could not be said now; it is said later
   */
  async end(problem?: string): Promise<void> {
    this.#isEnded = true
    this.#came.resolve()
    await this.#halt()
    await tellEnd(this.#ports, this.#offer, problem)
  }

  /** What lies before is not wanted any more; a place that was passed, or is far ahead, begins anew there. */
  async #seek(index: number): Promise<void> {
    if (index < this.#next || index >= this.#next + downWindowMaxBlocks) {
      await this.#halt()
      this.#blocks.clear()
      this.#next = index
    }
    for (; this.#next < index; this.#next++) this.#blocks.delete(this.#next)
    if (!this.#receiver) this.#begin()
    else if (this.#next - this.#told >= downWindowMaxBlocks / 4) {
      this.#told = this.#next
      this.#receiver.progress()
    }
  }

  #begin(): void {
    this.#stop = new AbortController()
    this.#failure = undefined
    this.#told = this.#next
    const receiver = new Receiver(this.#ports, this.#offer, this)
    this.#receiver = receiver
    this.#running = receiver.run(AbortSignal.any([this.#signal, this.#stop.signal])).catch((error) => {
      if (this.#receiver !== receiver) return
      this.#failure = error
      this.#came.resolve()
    })
  }

  async #halt(): Promise<void> {
    this.#receiver = undefined
    this.#stop.abort(new Problem('link.offline', 'not wanted any more'))
    await this.#running
  }
}
