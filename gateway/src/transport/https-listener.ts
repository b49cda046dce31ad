/**
 * The door for people and programs outside the site (D6): HTTPS by HTTP/2, and by HTTP/1.1 for what speaks no other. What
 * is asked there is in routes; the listener knows none of them. Whoever connects is a stranger until a route has judged
 * who it is, and strangers have budgets of their own.
 */
import {
  constants,
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { guardSockets } from '../adapters/socket-gate.ts'
import { addressKey } from '../budgets/address.ts'
import type { Budgets } from '../budgets/budgets.ts'
import { type Kind, type Pool, Reservation } from '../budgets/pool.ts'
import type { TlsIdentity } from './server.ts'

/** One request at the door. */
export interface HttpsCaller {
  /** By which strangers are counted. */
  address: string
  /** The name under which the site was reached, in lower case, with its port. */
  authority: string
  /**
   * Who it is has been judged: from now on it is counted there, and no flood of strangers ends its connection.
   * @throws {Problem} `quota.exceeded`, `service.busy` when it has too much under way
   */
  prove(kind: Kind, who: string): void
}

export type HttpsRequest = Http2ServerRequest
export type HttpsResponse = Http2ServerResponse

export interface HttpsRoute {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** The whole path, or its beginning when it ends in `/`. */
  path: string
  /** Resolves when it has answered. What it throws is an answer of 500 when nothing was sent yet. */
  handle(request: HttpsRequest, response: HttpsResponse, caller: HttpsCaller): Promise<void>
}

export interface HttpsLimits {
  handshakeMs: number
  /** A connection on which nothing is asked ends after so long. */
  idleMs: number
  /** Connections of strangers, of one address and in all; beyond it the oldest goes. */
  strangersPerAddress: number
  strangers: number
  /** Requests under way of strangers, of one address and in all, and of each who has proved who it is. */
  callsPerAddress: number
  calls: number
  provenCalls: number
}

const standardLimits: HttpsLimits = {
  handshakeMs: 10_000,
  idleMs: 60_000,
  strangersPerAddress: 64,
  strangers: 512,
  callsPerAddress: 16,
  calls: 128,
  provenCalls: 32,
}

export interface HttpsListenerOptions {
  tls: TlsIdentity
  host: string
  /** 0 = any free one. */
  port: number
  routes: readonly HttpsRoute[]
  budgets: Budgets
  log: Log
  limits?: Partial<HttpsLimits>
}

export interface HttpsListener {
  port: number
  /** Takes a renewed certificate without a restart. */
  renew(tls: TlsIdentity): void
  /** Takes no more requests, ends those under way. */
  stop(): Promise<void>
}

/** @throws {Problem} `config.invalid` for an address that cannot be had */
export async function startHttpsListener(options: HttpsListenerOptions): Promise<HttpsListener> {
  const { host, port, routes, budgets, log } = options
  const limits = { ...standardLimits, ...options.limits }
  const server = createSecureServer({
    ...shown(options.tls),
    allowHTTP1: true,
    handshakeTimeout: limits.handshakeMs,
    settings: { maxConcurrentStreams: limits.provenCalls, initialWindowSize: 1 << 20 },
  })
  const gate = guardSockets(
    server,
    budgets.pool('https_connections', { stranger: { all: limits.strangers, each: limits.strangersPerAddress } }),
  )
  const proven = { all: limits.calls, each: limits.provenCalls }
  const calls = budgets.pool('https_calls', {
    stranger: { all: limits.calls, each: limits.callsPerAddress },
    operator: proven,
    reader: proven,
    service: proven,
    shop: proven,
    link: proven,
  })
  const sessions = new Set<ServerHttp2Session>()
  const underWay = new Set<Promise<void>>()
  server.on('session', (session) => {
    sessions.add(session)
    session.setLocalWindowSize(4 << 20)
    session.setTimeout(limits.idleMs, () => session.close())
    session.on('error', (error) => log.debug('a connection ended', { error: error.message }))
    session.on('close', () => sessions.delete(session))
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  server.on('request', (request, response) => {
    const work = answer(request, response, { routes, calls, gate, log })
    underWay.add(work)
    void work.finally(() => underWay.delete(work))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new Problem('config.invalid', `${host}:${port}: ${error.message}`)))
    server.listen(port, host, () => {
      server.on('error', (error) => log.error('the HTTPS listener', { error: error.message }))
      resolve()
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    renew: (tls) => server.setSecureContext(shown(tls)),
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const session of sessions) session.destroy()
      await Promise.allSettled(underWay)
      await closed
    },
  }
}

/** With the authority behind the certificate, so that whoever knows its fingerprint alone can judge it. */
function shown({ ca, cert, key }: TlsIdentity) {
  const [authority = ''] = [ca].flat()
  return { cert: `${cert.trim()}\n${authority.trim()}\n`, key, minVersion: 'TLSv1.3' as const }
}

interface Surroundings {
  routes: readonly HttpsRoute[]
  calls: Pool
  gate: { prove(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): void }
  log: Log
}

async function answer(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  { routes, calls, gate, log }: Surroundings,
): Promise<void> {
  request.on('error', () => undefined)
  response.on('error', () => undefined)
  // Read now: a socket that has ended tells it no more.
  const { remoteAddress, remotePort } = request.socket
  const address = addressKey(remoteAddress)
  const busy = () => new Problem('service.busy', 'too many requests under way')
  const take = (kind: Kind, who: string) => {
    const taken = calls.reserve(kind, who, 1, busy)
    if (taken instanceof Reservation) return taken
    throw taken
  }
  let place: Reservation | undefined
  try {
    place = take('stranger', address)
    const path = URL.parse(request.url, 'https://site')?.pathname ?? ''
    const route = routes.find(
      (one) =>
        one.method === request.method && (one.path.endsWith('/') ? path.startsWith(one.path) : path === one.path),
    )
    if (!route) return refuse(response, constants.HTTP_STATUS_NOT_FOUND)
    const authority = (request.authority || request.headers.host || '').toLowerCase()
    await route.handle(request, response, {
      address,
      authority,
      prove: (kind, who) => {
        const proven = take(kind, who)
        place?.release()
        place = proven
        gate.prove({ remoteAddress, remotePort })
      },
    })
  } catch (error) {
    if (!isProblem(error))
      log.error('a request failed', { error: error instanceof Error ? error.stack : String(error) })
    const isBusy = isProblem(error, 'service.busy') || isProblem(error, 'quota.exceeded')
    refuse(response, isBusy ? constants.HTTP_STATUS_TOO_MANY_REQUESTS : constants.HTTP_STATUS_INTERNAL_SERVER_ERROR)
  } finally {
    place?.release()
  }
}

function refuse(response: Http2ServerResponse, status: number): void {
  if (response.headersSent || response.writableEnded) return void response.end()
  response.writeHead(status).end()
}
