/**
 * The processes of one service: two of which one leads (P9), or several that do the same work (docs/decisions/0034). Whoever does
 * not answer, or says that it does not lead, is left for another one for a while.
 */
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { Clock } from '@azukari/protocol/ports'
import { InternalError, isProblem } from '@azukari/protocol/problem'
import type { CallClient, CallOptions } from './client.ts'

export type Caller = Pick<CallClient, 'call' | 'close'>
export type StreamCaller = Pick<CallClient, 'call' | 'stream' | 'close'>

const turnsAway = ['server.unreachable', 'link.timeout', 'centre.not-leader', 'centre.unconfirmed'] as const
/** How long one that turned a call away is asked after all the others, ms. */
const leftMs = 2_000

export class SpreadClient implements StreamCaller {
  readonly #clients: readonly StreamCaller[]
  readonly #clock: Pick<Clock, 'monotonicMs'>
  /** Until when each is asked last, ms of the monotonic clock. */
  readonly #leftUntilMs: number[]

  constructor(clients: readonly StreamCaller[], clock: Pick<Clock, 'monotonicMs'>) {
    this.#clients = clients
    this.#clock = clock
    this.#leftUntilMs = clients.map(() => Number.NEGATIVE_INFINITY)
  }

  /** Asks each at most once. @throws {Problem} what the last one says */
  call<C extends Contract>(contract: C, request: RequestOf<C>, options: CallOptions = {}): Promise<ReplyOf<C>> {
    return this.#ofAny(options, (client) => client.call(contract, request, options))
  }

  /** As `call`; a body goes to the next one anew, so it must be one that can be read twice. */
  stream<C extends Contract>(
    contract: C,
    request: RequestOf<C>,
    options: CallOptions = {},
  ): Promise<{ reply: ReplyOf<C>; body: AsyncGenerator<Uint8Array> }> {
    return this.#ofAny(options, (client) => client.stream(contract, request, options))
  }

  async #ofAny<T>({ signal, key = '' }: CallOptions, ask: (client: StreamCaller) => Promise<T>): Promise<T> {
    const order = this.#order(placeOf(key, this.#clients.length))
    for (const [tries, at] of order.entries()) {
      try {
        const answer = await ask(this.#clients[at]!)
        this.#leftUntilMs[at] = Number.NEGATIVE_INFINITY
        return answer
      } catch (error) {
        if (signal?.aborted || !turnsAway.some((code) => isProblem(error, code))) throw error
        this.#leftUntilMs[at] = this.#clock.monotonicMs() + leftMs
        if (tries === order.length - 1) throw error
      }
    }
    throw new InternalError('a client of no process')
  }

  /** From the first one round to the last; those that turned a call away lately come after the others. */
  #order(first: number): number[] {
    const nowMs = this.#clock.monotonicMs()
    const round = this.#clients.map((_, i) => (first + i) % this.#clients.length)
    const isLeft = (at: number) => this.#leftUntilMs[at]! > nowMs
    return [...round.filter((at) => !isLeft(at)), ...round.filter(isLeft)]
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
  }
}

/** The same place for the same key (FNV-1a); the first for none. */
function placeOf(key: string, places: number): number {
  if (key === '') return 0
  let hash = 0x81_1c_9d_c5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01_00_01_93)
  return (hash >>> 0) % places
}
