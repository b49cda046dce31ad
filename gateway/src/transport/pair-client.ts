/** Two servers of which one leads (P9): whoever does not answer, or says that it does not lead, is left for the other. */
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { isProblem } from '@azukari/protocol/problem'
import type { CallClient, CallOptions } from './client.ts'

export type Caller = Pick<CallClient, 'call' | 'close'>

const turnsAway = ['server.unreachable', 'link.timeout', 'centre.not-leader', 'centre.unconfirmed'] as const

export class PairClient implements Caller {
  readonly #clients: readonly Caller[]
  #at = 0

  constructor(clients: readonly Caller[]) {
    this.#clients = clients
  }

  /** Asks each at most once. @throws {Problem} what the last one says */
  async call<C extends Contract>(contract: C, request: RequestOf<C>, options: CallOptions = {}): Promise<ReplyOf<C>> {
    for (let tries = 1; ; tries++) {
      const at = this.#at
      try {
        return await this.#clients[at]!.call(contract, request, options)
      } catch (error) {
        if (options.signal?.aborted || !turnsAway.some((code) => isProblem(error, code))) throw error
        if (this.#at === at) this.#at = (at + 1) % this.#clients.length
        if (tries >= this.#clients.length) throw error
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
  }
}
