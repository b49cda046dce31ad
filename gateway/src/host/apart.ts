/** How the services of a site are reached from one process: those inside it, and those that run apart. */
import type { Contract, ReplyOf, RequestOf, ServiceName } from '@azukari/protocol/contract'
import type { Clock, Log } from '@azukari/protocol/ports'
import { InternalError, isProblem, Problem } from '@azukari/protocol/problem'
import { remoteService } from '../service/remote.ts'
import type { Service } from '../service/service.ts'
import { CallClient } from '../transport/client.ts'
import { type CallHandler, gatewayName, mayCall, type TlsIdentity } from '../transport/server.ts'
import { type Caller, SpreadClient, type StreamCaller } from '../transport/spread-client.ts'

/** Addresses of services that run apart, by name: one, or those of several processes with a comma between them. */
export type Addresses = Readonly<Partial<Record<ServiceName, string>>>

/**
 * Clients of each process of a service that runs apart. The second of two centres has a name of its own in its certificate; all
 * of several that do the same work have the service's.
 */
export function clientsOf(
  name: string,
  urls: string,
  tls: TlsIdentity,
  clock: Clock,
): { id: string; client: CallClient }[] {
  return urls.split(',').map((url, at) => {
    const server = at === 1 ? [name, `${name}-backup`] : name
    return { id: at === 0 ? name : `${name}-${at + 1}`, client: new CallClient({ url, tls, server, clock }) }
  })
}

/** Clients for `Peers`, by the addresses of services that run apart. */
export function clientsAt(addresses: Addresses, tls: TlsIdentity, clock: Clock): PeersOptions['client'] {
  return (name) => {
    const urls = addresses[name]
    return urls ? apartClient(name, urls, tls, clock) : undefined
  }
}

/** One client of a service that runs apart, in one process or several. */
export function apartClient(name: string, urls: string, tls: TlsIdentity, clock: Clock): StreamCaller {
  const clients = clientsOf(name, urls, tls, clock).map(({ client }) => client)
  return clients.length === 1 ? clients[0]! : new SpreadClient(clients, clock)
}

/** A service that runs in this process, as the others see it. */
export interface Inside {
  service: Service
  handlers: readonly CallHandler[]
}

export interface PeersOptions {
  /** Speaks to a service that runs apart; undefined when nobody knows where that is. Asked once for each. */
  client: (name: ServiceName) => Caller | undefined
  clock: Clock
  log: Log
  /** A service that runs in this process, looked up when something is asked. */
  inside: (name: ServiceName) => Inside | undefined
}

/** How a service asks the others, and where its acts are taken. */
export class Peers {
  readonly #o: PeersOptions
  readonly #clients = new Map<ServiceName, Caller>()

  constructor(options: PeersOptions) {
    this.#o = options
  }

  /** Takes acts for a service, wherever it runs; undefined while nobody knows where that is. */
  reach(name: ServiceName): Pick<Service, 'handle'> | undefined {
    const { inside, clock, log } = this.#o
    const here = inside(name)
    if (here) return here.service
    const client = this.#client(name)
    return client && remoteService({ name, client, clock, log })
  }

  /** The way in which a service asks what it says that it asks. */
  callOf(name: ServiceName, calls: readonly Contract[]) {
    const allowed = new Set(calls.map(({ id }) => id))
    return async <C extends Contract>(contract: C, request: RequestOf<C>): Promise<ReplyOf<C>> => {
      if (!allowed.has(contract.id)) throw new InternalError(`${name} does not say that it calls ${contract.id}`)
      const here = this.#o.inside(contract.service)
      if (here) return inside(name, here.handlers, contract, request)
      const client = this.#client(contract.service)
      if (!client) throw new Problem('service.unavailable', `no address of ${contract.service}`)
      return client.call(contract, request)
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()))
  }

  #client(name: ServiceName): Caller | undefined {
    const client = this.#clients.get(name) ?? this.#o.client(name)
    if (client) this.#clients.set(name, client)
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
  if (!mayCall(handler, { id: from, role: from === gatewayName ? 'gateway' : 'service' }))
    throw new Problem('message.unauthorised', `${from} may not call ${contract.id}`)
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
