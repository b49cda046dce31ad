/** What lies outside the site: whoever the gateway and its services ask over HTTPS, by host name. */
import type { OutboundAnswer, OutboundRequest } from '@azukari/gateway/adapters/guarded-fetch'
import { Problem } from '@azukari/protocol/problem'
import type { Life } from '../testkit/world/life.ts'
import type { World } from './world.ts'

/** Answers a request; undefined: never. */
export type Host = (request: OutboundRequest) => Promise<{ status: number; body: unknown } | undefined>

export class Internet {
  readonly #world: World
  readonly #hosts = new Map<string, Host>()

  constructor(world: World) {
    this.#world = world
  }

  add(name: string, host: Host): void {
    this.#hosts.set(name, host)
  }

  fetch(life: Life, request: OutboundRequest): Promise<OutboundAnswer> {
    const { problems, signal, timeoutMs } = request
    return life.run(async () => {
      const host = this.#hosts.get(new URL(request.url).hostname)
      if (!host) throw new Problem(problems.unreachable, request.url)
      signal.throwIfAborted()
      const late = Promise.withResolvers<never>()
      const stop = () => late.reject(new Problem(problems.unreachable, 'given up'))
      signal.addEventListener('abort', stop, { once: true })
      using _limit = this.#world.clock.timer(timeoutMs, stop)
      try {
        const answer = await Promise.race([host(request), late.promise])
        if (!answer) return await late.promise
        return { status: answer.status, headers: {}, bytes: Buffer.from(JSON.stringify(answer.body)) }
      } finally {
        signal.removeEventListener('abort', stop)
      }
    })
  }
}
