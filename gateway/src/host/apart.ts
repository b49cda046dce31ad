/** How the services of a site are reached from one process: those inside it, and those that run apart. */
import type { Contract, ReplyOf, RequestOf, ServiceName } from '@azukari/protocol/contract'
import type { Clock } from '@azukari/protocol/ports'
import { InternalError, isProblem, Problem } from '@azukari/protocol/problem'
import { CallClient } from '../transport/client.ts'
import { type Caller, PairClient, type StreamCaller } from '../transport/pair-client.ts'
import type { CallHandler, TlsIdentity } from '../transport/server.ts'

/** Addresses of services that run apart, by name: one, or two that stand in for each other with a comma between them. */
export type Addresses = Readonly<Partial<Record<ServiceName, string>>>

/** Clients of each process of a service that runs apart. The second of two has a name of its own in its certificate. */
export function clientsOf(
  name: string,
  urls: string,
  tls: TlsIdentity,
  clock: Clock,
): { id: string; client: CallClient }[] {
  return urls.split(',').map((url, at) => {
    const id = at === 0 ? name : `${name}-backup`
    return { id, client: new CallClient({ url, tls, server: id, clock }) }
  })
}

/** One client of a service that runs apart, in one process or two. */
export function apartClient(name: string, urls: string, tls: TlsIdentity, clock: Clock): StreamCaller {
  const clients = clientsOf(name, urls, tls, clock).map(({ client }) => client)
  return clients.length === 1 ? clients[0]! : new PairClient(clients)
}

/** How a service asks the others. */
export class Peers {
  readonly #addresses: Addresses
  readonly #tls: TlsIdentity
  readonly #clock: Clock
  readonly #inside: (name: ServiceName) => readonly CallHandler[] | undefined
  readonly #clients = new Map<ServiceName, Caller>()

  /** @param inside the rows of a service that runs in this process, looked up when something is asked */
  constructor(
    addresses: Addresses,
    tls: TlsIdentity,
    clock: Clock,
    inside: (name: ServiceName) => readonly CallHandler[] | undefined,
  ) {
    this.#addresses = addresses
    this.#tls = tls
    this.#clock = clock
    this.#inside = inside
  }

  /** The way in which a service asks what it says that it asks. */
  callOf(name: ServiceName, calls: readonly Contract[]) {
    const allowed = new Set(calls.map(({ id }) => id))
    return async <C extends Contract>(contract: C, request: RequestOf<C>): Promise<ReplyOf<C>> => {
      if (!allowed.has(contract.id)) throw new InternalError(`${name} does not say that it calls ${contract.id}`)
      const handlers = this.#inside(contract.service)
      return handlers
        ? inside(name, handlers, contract, request)
        : this.#client(contract.service).call(contract, request)
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()))
  }

  #client(name: ServiceName): Caller {
    let client = this.#clients.get(name)
    if (!client) {
      const urls = this.#addresses[name]
      if (!urls) throw new Problem('service.unavailable', `no address of ${name}`)
      client = apartClient(name, urls, this.#tls, this.#clock)
      this.#clients.set(name, client)
    }
    return client
  }
}

/** Asks a service in this process through the rows that other processes ask, with the same checks. */
async function inside<C extends Contract>(
  from: ServiceName,
  handlers: readonly CallHandler[],
  contract: C,
  request: RequestOf<C>,
): Promise<ReplyOf<C>> {
  const handler = handlers.find((row) => row.contract.id === contract.id)
  if (!handler) throw new Problem('message.unknown-contract', contract.id)
  if (!handler.callers.includes(from)) throw new Problem('message.unauthorised', `${from} may not call ${contract.id}`)
  try {
    const { reply } = await handler.handle(contract.checkRequest(request) as never, {
      peer: { id: from, role: 'service' },
      body: nothing(),
      signal: new AbortController().signal,
    })
    return reply as ReplyOf<C>
  } catch (error) {
    throw isProblem(error) ? error : new Problem('internal', undefined, { cause: error })
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
