/** Two servers of which one leads (P9): whoever does not answer, or says that it does not lead, is left for the other. */
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { isProblem } from '@azukari/protocol/problem'
import type { CallClient, CallOptions } from './client.ts'

export type Caller = Pick<CallClient, 'call' | 'close'>
export type StreamCaller = Pick<CallClient, 'call' | 'stream' | 'close'>

const turnsAway = ['server.unreachable', 'link.timeout', 'centre.not-leader', 'centre.unconfirmed'] as const

export class PairClient implements StreamCaller {
  readonly #clients: readonly StreamCaller[]
  #at = 0

  constructor(clients: readonly StreamCaller[]) {
    this.#clients = clients
  }

  /** Asks each at most once. @throws {Problem} what the last one says */
  call<C extends Contract>(contract: C, request: RequestOf<C>, options: CallOptions = {}): Promise<ReplyOf<C>> {
    return this.#ofEither(options, (client) => client.call(contract, request, options))
  }

  /** As `call`; a body goes to the second one anew, so it must be one that can be read twice. */
  stream<C extends Contract>(
    contract: C,
    request: RequestOf<C>,
    options: CallOptions = {},
  ): Promise<{ reply: ReplyOf<C>; body: AsyncGenerator<Uint8Array> }> {
    return this.#ofEither(options, (client) => client.stream(contract, request, options))
  }

  async #ofEither<T>({ signal }: CallOptions, ask: (client: StreamCaller) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const at = this.#at
      try {
        return await ask(this.#clients[at]!)
      } catch (error) {
        if (signal?.aborted || !turnsAway.some((code) => isProblem(error, code))) throw error
        if (this.#at === at) this.#at = (at + 1) % this.#clients.length
        if (tries >= this.#clients.length) throw error
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
  }
}
