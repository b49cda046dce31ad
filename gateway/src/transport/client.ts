/** The calling side of contracts over HTTP/2 with mutual TLS: one connection per server, a limit on every wait. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import type { PeerCertificate } from 'node:tls'
import { decode, encode } from '@azukari/protocol/codec'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { Clock, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem, type ProblemWire } from '@azukari/protocol/problem'
import { contentType, frameHead, headMaxBytes, readHead } from './framing.ts'
import type { TlsIdentity } from './server.ts'

export interface CallClientOptions {
  /** `https://host:port`. */
  url: string
  /** Absent before this process has a certificate: then nobody is proved by theirs, and what is said must prove itself. */
  tls?: TlsIdentity
  /** Whom the certificate must name; of several, either. */
  server: string | readonly string[]
  clock: Clock
  limits?: Partial<CallClientLimits>
}

export interface CallClientLimits {
  connectMs: number
  /** Nothing was received or sent on a call for so long: it is given up. */
  idleMs: number
}

const defaultLimits: CallClientLimits = { connectMs: 5_000, idleMs: 30_000 }

export interface CallOptions {
  /** Raw bytes after the request. */
  body?: AsyncIterable<Uint8Array>
  signal?: AbortSignal | undefined
  /** In place of the client's, for calls that are known to take long. */
  idleMs?: number
  /** Where several processes answer, the same one is asked for the same key, as long as it answers. */
  key?: string
}

export class CallClient {
  readonly #options: CallClientOptions
  readonly #limits: CallClientLimits
  readonly #names: readonly string[]
  #session: Promise<ClientHttp2Session> | undefined

  constructor(options: CallClientOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#names = typeof options.server === 'string' ? [options.server] : options.server
  }

  /** @throws {Problem} what the server says; `server.unreachable`, `link.timeout`, `server.impostor` */
  async call<C extends Contract>(contract: C, request: RequestOf<C>, options: CallOptions = {}): Promise<ReplyOf<C>> {
    const { reply, body } = await this.stream(contract, request, options)
    // A generator that was never started would not end either.
    await body.next()
    await body.return(undefined)
    return reply
  }

  /** As `call`; the raw bytes that follow the reply are read as they are taken, and must be taken or returned. */
  async stream<C extends Contract>(
    contract: C,
    request: RequestOf<C>,
    options: CallOptions = {},
  ): Promise<{ reply: ReplyOf<C>; body: AsyncGenerator<Uint8Array> }> {
    options.signal?.throwIfAborted()
    const session = await this.#connected()
    const stream = session.request({ ':method': 'POST', ':path': `/call/${contract.id}`, 'content-type': contentType })
    const life = this.#watch(stream, contract.id, options)
    try {
      const sent = send(stream, frameHead(encode(request)), options.body, life)
      sent.catch((error: unknown) => life.fail(error))
      const { head, rest } = await readHead(life.received())
      const wire = decode(head, { maxBytes: headMaxBytes }) as { b?: unknown; p?: ProblemWire }
      if (wire.p) {
        stream.close(constants.NGHTTP2_NO_ERROR)
        throw Problem.fromWire(wire.p)
      }
      const reply = contract.checkReply(wire.b) as ReplyOf<C>
      return { reply, body: bodyOf(rest, stream, life) }
    } catch (error) {
      life.end()
      if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
      throw life.why(error)
    }
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined)
    this.#session = undefined
    if (!session || session.closed) return
    await new Promise<void>((resolve) => session.close(resolve))
  }

  #connected(): Promise<ClientHttp2Session> {
    this.#session ??= this.#connect()
    return this.#session
  }

  #connect(): Promise<ClientHttp2Session> {
    const { url, tls, clock } = this.#options
    const server = this.#names[0]
    return new Promise((resolve, reject) => {
      const session = connect(url, {
        ...(tls ?? { rejectUnauthorized: false }),
        minVersion: 'TLSv1.3',
        servername: `${server}.azukari.internal`,
        checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
          this.#names.includes(String(certificate.subject.CN))
            ? undefined
            : new Problem('server.impostor', `the certificate names ${certificate.subject.CN}`),
        settings: { initialWindowSize: 1 << 20 },
      })
      const forget = () => {
        timer.cancel()
        this.#session = undefined
      }
      const timer = clock.timer(this.#limits.connectMs, () =>
        session.destroy(new Problem('server.unreachable', 'no connection in time')),
      )
      session.once('connect', () => {
        timer.cancel()
        session.setLocalWindowSize(4 << 20)
        resolve(session)
      })
      session.on('error', (cause) => {
        forget()
        reject(isProblem(cause) ? cause : new Problem('server.unreachable', `${server}: ${cause.message}`, { cause }))
      })
      session.on('goaway', forget)
      session.on('close', () => {
        forget()
        reject(new Problem('server.unreachable', `${server}: closed`))
      })
    })
  }

  #watch(stream: ClientHttp2Stream, what: string, { signal, idleMs = this.#limits.idleMs }: CallOptions): Life {
    const { clock } = this.#options
    const server = this.#names[0]
    let timer: Timer | undefined
    let failure: unknown
    const fail = (error: unknown) => {
      failure ??= error
      stream.close(constants.NGHTTP2_CANCEL)
    }
    const aborted = () => fail(signal?.reason)
    const alive = () => {
      timer?.cancel()
      timer = clock.timer(idleMs, () => fail(new Problem('link.timeout', `${server}: ${what}`)))
    }
    signal?.addEventListener('abort', aborted, { once: true })
    alive()
    stream.on('error', (error) => {
      failure ??= error
    })
    const why = (error: unknown) => {
      const told = failure ?? error
      if (isProblem(told) || signal?.aborted) return told
      return new Problem('server.unreachable', `${server}: ${what} broke off`, { cause: told })
    }
    return {
      alive,
      fail,
      why,
      end: () => {
        timer?.cancel()
        signal?.removeEventListener('abort', aborted)
      },
      received: async function* () {
        for await (const chunk of stream as AsyncIterable<Uint8Array>) {
          alive()
          yield chunk
        }
        if (failure !== undefined || stream.rstCode !== constants.NGHTTP2_NO_ERROR) throw why(failure)
      },
    }
  }
}

interface Life {
  alive(): void
  fail(error: unknown): void
  why(error: unknown): unknown
  end(): void
  received(): AsyncGenerator<Uint8Array>
}

async function* bodyOf(
  rest: AsyncGenerator<Uint8Array>,
  stream: ClientHttp2Stream,
  life: Life,
): AsyncGenerator<Uint8Array> {
  try {
    yield* rest
  } catch (error) {
    throw life.why(error)
  } finally {
    life.end()
    if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
  }
}

async function send(
  stream: ClientHttp2Stream,
  head: Uint8Array,
  body: AsyncIterable<Uint8Array> | undefined,
  life: Life,
): Promise<void> {
  stream.write(head)
  for await (const chunk of body ?? []) {
    life.alive()
    // The server may have answered already, or have gone: then nobody wants the rest.
    if (stream.closed || stream.destroyed) return
    if (!stream.write(chunk)) await drained(stream)
  }
  stream.end()
}

function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      stream.off('drain', go)
      stream.off('close', go)
      resolve()
    }
    stream.once('drain', go)
    stream.once('close', go)
  })
}
