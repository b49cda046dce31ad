/**
 * Contracts over HTTP/2 with mutual TLS, for services and data servers that are processes of their own (D4):
 * `POST /call/{contract@version}`. Who calls is who its certificate says; a foreign certificate does not come through
 * the handshake.
 */
import { constants, createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { decode, encode } from '@azukari/protocol/codec'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { guardSockets } from '../adapters/socket-gate.ts'
import { Budgets } from '../budgets/budgets.ts'
import { type Pool, Reservation } from '../budgets/pool.ts'
import { checkListed, type Unlisted } from '../service/unlisted.ts'
import { contentType, frameHead, headMaxBytes, readHead } from './framing.ts'

/** The one peer whose certificate has the gateway's role; every other caller is a service. */
export const gatewayName = 'gateway'

/** Who calls, by certificate: common name and organisational unit. */
export interface Peer {
  id: string
  role: string
}

export interface CallContext {
  peer: Peer
  /** Raw bytes after the request. */
  body: AsyncIterable<Uint8Array>
  /** Aborted when the caller goes away or the limit is reached. */
  signal: AbortSignal
}

/** A reply, and raw bytes to follow it. */
export interface StreamedReply<C extends Contract> {
  reply: ReplyOf<C>
  body?: AsyncIterable<Uint8Array>
}

/**
 * Who may call: peers by the names in their certificates; every data server of the site; or anybody at all, where the request
 * proves itself.
 */
export type Callers = readonly string[] | 'data-servers' | 'strangers'

export interface CallHandler {
  contract: Contract
  callers: Callers
  handle(request: never, context: CallContext): Promise<StreamedReply<Contract>>
}

/**
 * One row of a server's dispatch table, with types checked.
 * @param callers who may call; all others are answered `message.unauthorised`
 */
export function answers<C extends Contract>(
  contract: C,
  callers: Callers,
  handle: (request: RequestOf<C>, context: CallContext) => Promise<StreamedReply<C>>,
): CallHandler {
  return { contract, callers, handle: handle as CallHandler['handle'] }
}

export interface TlsIdentity {
  /** PEM: certificates that are trusted, old and new while they are being changed. */
  ca: string | string[]
  /** PEM. */
  cert: string
  /** PEM. */
  key: string
}

export interface CallServerOptions {
  tls: TlsIdentity
  /** With a row for strangers whoever has no certificate of the site gets in too, as far as that row. */
  handlers: readonly CallHandler[]
  clock: Clock
  log: Log
  host?: string
  port: number
  limits?: Partial<CallServerLimits>
  /** Where it shows what is in use. */
  budgets?: Budgets
  /** Hears of answers that contracts do not list: `logUnlisted`, in tests `throwUnlisted`. */
  unlisted: Unlisted
}

export interface CallServerLimits {
  /** Nothing was received or sent on a call for so long: it is given up. */
  idleMs: number
  /** How long a TLS handshake may take. */
  handshakeMs: number
  /** Calls at once on one connection. */
  streamsMax: number
  /** Calls at once of one peer, and of all. */
  peerCallsMax: number
  callsMax: number
  /** Calls at once of all who show no certificate. */
  strangerCallsMax: number
  /** Connections at once of one peer, and of all. */
  peerConnectionsMax: number
  connectionsMax: number
  /** Connections whose certificate is not known yet, of one address and in all; beyond it the oldest goes. */
  strangersPerAddress: number
  strangersMax: number
}

export interface CallServer {
  host: string
  port: number
  /** Takes a renewed certificate without a restart. */
  renew(tls: TlsIdentity): void
  /** Finishes calls under way, for at most `graceMs`. */
  stop(graceMs?: number): Promise<void>
}

const defaultLimits: CallServerLimits = {
  idleMs: 60_000,
  handshakeMs: 10_000,
  streamsMax: 64,
  peerCallsMax: 512,
  callsMax: 4_096,
  strangerCallsMax: 8,
  peerConnectionsMax: 64,
  connectionsMax: 256,
  strangersPerAddress: 64,
  strangersMax: 128,
}

export async function startCallServer(options: CallServerOptions): Promise<CallServer> {
  const { tls, clock, log, host = '127.0.0.1', port } = options
  const limits = { ...defaultLimits, ...options.limits }
  const handlers = new Map(options.handlers.map((handler) => [`/call/${handler.contract.id}`, handler]))
  const sessions = new Set<ServerHttp2Session>()
  const underWay = new Set<Promise<void>>()
  const server = createSecureServer({
    ...tls,
    requestCert: true,
    rejectUnauthorized: !options.handlers.some(({ callers }) => callers === 'strangers'),
    minVersion: 'TLSv1.3',
    handshakeTimeout: limits.handshakeMs,
    settings: { maxConcurrentStreams: limits.streamsMax, initialWindowSize: 1 << 20 },
  })
  const budgets = options.budgets ?? new Budgets()
  const connections = budgets.pool('call_connections', {
    service: { all: limits.connectionsMax, each: limits.peerConnectionsMax },
    stranger: { all: limits.strangersMax, each: limits.strangersPerAddress },
  })
  const calls = budgets.pool('calls', {
    service: { all: limits.callsMax, each: limits.peerCallsMax },
    stranger: { all: limits.strangerCallsMax, each: limits.strangerCallsMax },
  })
  const gate = guardSockets(server, connections)
  const peers = new WeakMap<object, Peer>()
  server.on('session', (session: ServerHttp2Session) => {
    const socket = session.socket as TLSSocket
    // A stranger keeps the place that its address has among strangers.
    const peer = socket.authorized ? peerOf(socket) : stranger
    peers.set(session, peer)
    if (peer !== stranger) {
      gate.prove(socket)
      const place = connections.take('service', peer.id)
      if (!(place instanceof Reservation)) {
        log.warn('a caller has too many connections', { peer: peer.id, limit: place.limit })
        return session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM)
      }
      session.on('close', () => place.release())
    }
    sessions.add(session)
    session.setLocalWindowSize(4 << 20)
    session.on('error', (error) => log.debug('a connection ended', { error: error.message }))
    session.on('close', () => sessions.delete(session))
  })
  server.on('tlsClientError', (error) => log.warn('a caller was refused', { error: error.message }))
  server.on('stream', (stream, headers) => {
    const path = headers[':path'] ?? ''
    const work = answer(stream, headers[':method'] === 'POST' ? handlers.get(path) : undefined, {
      clock,
      log,
      limits,
      path,
      calls,
      unlisted: options.unlisted,
      peer: stream.session && peers.get(stream.session),
    })
    underWay.add(work)
    void work.finally(() => underWay.delete(work))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    host,
    port: (server.address() as AddressInfo).port,
    renew: (renewed) => server.setSecureContext({ ...renewed, minVersion: 'TLSv1.3' }),
    stop: async (graceMs = 10_000) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const session of sessions) session.close()
      using _limit = clock.timer(graceMs, () => {
        for (const session of sessions) session.destroy()
      })
      await Promise.allSettled(underWay)
      await closed
    },
  }
}

interface Surroundings {
  clock: Clock
  log: Log
  limits: CallServerLimits
  path: string
  calls: Pool
  unlisted: Unlisted
  /** Absent when the connection is going. */
  peer: Peer | undefined
}

/** Whoever shows no certificate of the site. */
const stranger: Peer = { id: '', role: 'stranger' }

/**
 * Whether this peer is one that the handler names. The role counts too: a data server or a device that bears a service's
 * name is not that service.
 */
export function mayCall({ callers }: Pick<CallHandler, 'callers'>, { id, role }: Peer): boolean {
  if (callers === 'strangers') return true
  if (callers === 'data-servers') return role === 'data-server'
  return role === (id === gatewayName ? 'gateway' : 'service') && callers.includes(id)
}

/** Answers one call; what goes wrong is in the answer. */
async function answer(
  stream: ServerHttp2Stream,
  handler: CallHandler | undefined,
  { clock, log, limits, path, calls, unlisted, peer }: Surroundings,
): Promise<void> {
  const abort = new AbortController()
  let timer: Timer | undefined
  let place: Reservation | Problem | undefined
  const alive = () => {
    timer?.cancel()
    timer = clock.timer(limits.idleMs, () => {
      abort.abort(new Problem('link.timeout', path))
      stream.close(constants.NGHTTP2_CANCEL)
    })
  }
  alive()
  stream.on('error', (error) => log.debug('a call broke off', { path, error: error.message }))
  stream.on('close', () => {
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || !stream.writableFinished)
      abort.abort(new Problem('link.offline', path))
  })
  try {
    if (!handler) throw new Problem('message.unknown-contract', path)
    if (!peer) throw new Problem('service.busy', 'the connection ends')
    place = calls.reserve(
      peer === stranger ? 'stranger' : 'service',
      peer.id,
      1,
      () => new Problem('service.busy', 'too many calls under way'),
    )
    if (place instanceof Problem) throw place
    if (!mayCall(handler, peer))
      throw new Problem('message.unauthorised', `${peer.role} ${peer.id} may not call ${path}`)
    const { head, rest } = await readHead(watched(stream, alive))
    const request = handler.contract.checkRequest(decode(head, { maxBytes: headMaxBytes }))
    const { reply, body } = await handler.handle(request as never, { peer, body: rest, signal: abort.signal })
    stream.respond({ ':status': 200, 'content-type': contentType })
    await write(stream, frameHead(encode({ b: reply ?? {} })), abort.signal)
    for await (const chunk of body ?? []) {
      alive()
      await write(stream, chunk, abort.signal)
    }
    stream.end()
    // What the caller still sends is not wanted any more.
    stream.resume()
  } catch (error) {
    const problem = isProblem(error) ? error : new Problem('internal')
    if (handler) checkListed(handler.contract, problem.toWire(), unlisted)
    if (!isProblem(error))
      log.error('a call failed', {
        path,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      })
    if (stream.destroyed || stream.closed) return
    if (stream.headersSent) stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else {
      stream.respond({ ':status': 200, 'content-type': contentType })
      stream.end(frameHead(encode({ p: problem.toWire() })))
      stream.resume()
    }
  } finally {
    timer?.cancel()
    if (place instanceof Reservation) place.release()
  }
}

/** Whoever stops reading early can still answer: the stream is not destroyed then. */
async function* watched(stream: ServerHttp2Stream, alive: () => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    alive()
    yield chunk
  }
}

/** Waits while the other side is slow, so that memory does not grow. */
async function write(stream: ServerHttp2Stream, chunk: Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  if (stream.write(chunk)) return
  await new Promise<void>((resolve, reject) => {
    const drained = () => {
      signal.removeEventListener('abort', aborted)
      resolve()
    }
    const aborted = () => {
      stream.off('drain', drained)
      reject(signal.reason)
    }
    stream.once('drain', drained)
    signal.addEventListener('abort', aborted, { once: true })
  })
}

function peerOf(socket: TLSSocket): Peer {
  const { subject } = socket.getPeerCertificate()
  const one = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value) ?? ''
  return { id: one(subject?.CN), role: one(subject?.OU) }
}
