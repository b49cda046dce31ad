/** The lines between the site's processes: what HTTP/2 with mutual TLS promises between them, and what goes wrong on it. */

import { type CallHandler, gatewayName, mayCall } from '@azukari/gateway/transport/server'
import type { Caller } from '@azukari/gateway/transport/spread-client'
import { decode, encode } from '@azukari/protocol/codec'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { SeededRandom } from '../testkit/world/chance.ts'
import { type Life, never } from '../testkit/world/life.ts'
import { giveUpMs, goodLine, type LineToServers } from './server-machine.ts'
import type { World } from './world.ts'

interface Listening {
  life: Life
  handlers: readonly CallHandler[]
}

/** As long as a call may be without an answer, when its caller does not say. */
const idleMs = 60_000
const codecLimits = { maxBytes: 4 << 20 }

export class Lines {
  readonly #world: World
  readonly #random: SeededRandom
  readonly #listening = new Map<string, Listening>()
  line: LineToServers = goodLine

  constructor(world: World) {
    this.#world = world
    this.#random = world.chance('lines')
  }

  /** A process takes calls as long as it lives. */
  listen(name: string, life: Life, handlers: readonly CallHandler[]): void {
    this.#listening.set(name, { life, handlers })
  }

  /** How one process speaks to another. */
  caller(life: Life, from: string, to: string): Caller {
    return {
      call: (contract, request, options = {}) =>
        life.run(async () => {
          const { signal } = options
          signal?.throwIfAborted()
          const over = Promise.withResolvers<never>()
          const stop = () => over.reject(signal?.reason)
          signal?.addEventListener('abort', stop, { once: true })
          using _limit = this.#world.clock.timer(options.idleMs ?? idleMs, () =>
            over.reject(new Problem('link.timeout', `${to}: ${contract.id}`)),
          )
          try {
            return await Promise.race([this.#carry(from, to, contract, request), over.promise])
          } finally {
            signal?.removeEventListener('abort', stop)
          }
        }),
      close: async () => {},
    }
  }

  async #carry<C extends Contract>(from: string, to: string, contract: C, request: RequestOf<C>): Promise<ReplyOf<C>> {
    await this.#delay()
    const target = this.#listening.get(to)
    if (!target?.life.alive) {
      await this.#world.clock.sleep(this.#random.between(...giveUpMs))
      throw new Problem('server.unreachable', `${to} does not answer`)
    }
    const asked = decode(encode(request), codecLimits)
    const answer = this.#answer(from, to, target, contract, asked)
    const reply = await Promise.race([answer, this.#broken(target.life, to)])
    await this.#delay()
    if (this.#random.chance(this.line.lostReply)) {
      this.#world.count('line.lost-reply')
      throw new Problem('server.unreachable', `${to}: the answer was lost`)
    }
    return contract.checkReply(decode(encode(reply), codecLimits)) as ReplyOf<C>
  }

  async #answer(
    from: string,
    to: string,
    { handlers, life }: Listening,
    contract: Contract,
    asked: unknown,
  ): Promise<unknown> {
    const row = handlers.find((one) => one.contract.id === contract.id)
    if (!row) throw new Problem('message.unknown-contract', contract.id)
    const peer = { id: from, role: from === gatewayName ? 'gateway' : 'service' }
    if (!mayCall(row, peer)) throw new Problem('message.unauthorised', `${from} may not call ${contract.id}`)
    try {
      const signal = new AbortController().signal
      return (await row.handle(contract.checkRequest(asked) as never, { peer, body: nothing(), signal })).reply
    } catch (error) {
      if (isProblem(error)) throw Problem.fromWire(error.toWire())
      if (!life.alive) return await never()
      this.#world.violate('bug', `${to} fails at ${contract.id}: ${error instanceof Error ? error.stack : error}`)
      throw new Problem('internal')
    }
  }

  async #broken(life: Life, name: string): Promise<never> {
    await life.ended
    throw new Problem('server.unreachable', `${name}: the line broke`)
  }

  #delay(): Promise<void> {
    const [low, high] = this.line.delayMs
    return this.#world.clock.sleep(this.#random.between(low, high))
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
