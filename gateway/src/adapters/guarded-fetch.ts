/**
 * The one way out over HTTP. Bounded in time, bytes (also after decompression), redirects and types; addresses that are not
 * public are refused unless the operator named that very host and port. Every redirect is judged anew, and the connection
 * goes to the address that was judged: what a name resolves to a moment later does not matter.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { isProblem, Problem, type ProblemCode } from '@azukari/protocol/problem'
import { hostAndPort, isPublic, type Resolve, systemResolve } from './outbound-address.ts'

export interface OutboundRequest {
  url: string
  method?: 'GET' | 'POST'
  /** How many redirects are followed, 3 when not given; those of a POST never are. Headers go along to wherever it leads. */
  redirects?: number
  headers?: Readonly<Record<string, string>>
  body?: string
  /** `host:port` that the operator named: reached on any network, on this machine also without TLS. */
  named: readonly string[]
  /** Content types that are taken of an answer with status 200; an answer that names none is taken. */
  types?: RegExp
  maxBytes: number
  timeoutMs: number
  signal: AbortSignal
  problems: {
    unreachable: ProblemCode
    /** An address, a redirect or a scheme that is not allowed. */
    refused: ProblemCode
    tooLarge: ProblemCode
    type: ProblemCode
  }
}

export interface OutboundAnswer {
  status: number
  headers: IncomingMessage['headers']
  /** Empty unless the status is 200 … 299. */
  bytes: Uint8Array
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]'])
const redirecting = new Set([301, 302, 303, 307, 308])

/** @throws {Problem} one of `request.problems` */
export async function guardedFetch(
  request: OutboundRequest,
  resolve: Resolve = systemResolve,
): Promise<OutboundAnswer> {
  const { problems, method = 'GET', redirects = 3 } = request
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(request.timeoutMs)])
  try {
    let url = urlOf(request.url, request)
    for (let hop = 0; ; hop++) {
      const answer = await once(url, request, signal, resolve)
      if (!redirecting.has(answer.status) || method !== 'GET' || redirects === 0) return answer
      const { location } = answer.headers
      if (hop >= redirects) throw new Problem(problems.refused, `${url.host} redirects more than ${redirects} times`)
      if (location === undefined) throw new Problem(problems.unreachable, `${url.host} redirects nowhere`)
      url = urlOf(new URL(location, url).href, request)
    }
  } catch (error) {
    if (isProblem(error)) throw error
    const words = error instanceof Error ? error.message : String(error)
    throw new Problem(problems.unreachable, words || 'no connection', { cause: error })
  }
}

/** Judges what can be judged without the network. */
function urlOf(text: string, { named, problems }: OutboundRequest): URL {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new Problem(problems.refused, `${text.slice(0, 100)} is no http URL`)
  if (url.username || url.password) throw new Problem(problems.refused, `${url.host}: a password in a URL`)
  if (url.protocol === 'http:' && !(named.includes(hostAndPort(url)) && loopbackNames.has(url.hostname)))
    throw new Problem(problems.refused, `${url.host} without TLS`)
  return url
}

async function once(
  url: URL,
  request: OutboundRequest,
  signal: AbortSignal,
  resolve: Resolve,
): Promise<OutboundAnswer> {
  const address = await addressOf(url, request, signal, resolve)
  const response = await respond(url, request, signal, address)
  const { statusCode: status = 0, headers } = response
  if (status < 200 || status > 299) {
    response.destroy()
    return { status, headers, bytes: new Uint8Array() }
  }
  const type = headers['content-type']
  if (request.types && type !== undefined && !request.types.test(type)) {
    response.destroy()
    throw new Problem(request.problems.type, `${url.host} answers with ${type.slice(0, 60)}`)
  }
  return { status, headers, bytes: await read(response, request) }
}

/** The address to connect to. Every address of the name must be allowed: which of them is used is left to chance. */
async function addressOf(
  url: URL,
  { named, problems }: OutboundRequest,
  signal: AbortSignal,
  resolve: Resolve,
): Promise<{ address: string; family: number }> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const family = isIP(host)
  const found = family ? [{ address: host, family }] : await orAborted(resolve(host), signal)
  const [first] = found
  if (!first) throw new Problem(problems.unreachable, `${host} has no address`)
  const inside = found.find(({ address }) => !isPublic(address))
  if (inside && !named.includes(hostAndPort(url)))
    throw new Problem(problems.refused, `${url.host} is ${inside.address}, an address that is not public`)
  return first
}

function respond(
  url: URL,
  { method = 'GET', headers, body }: OutboundRequest,
  signal: AbortSignal,
  pinned: { address: string; family: number },
): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((done, failed) => {
    const outgoing = send(
      url,
      {
        method,
        headers: { 'user-agent': 'azukari-gateway', 'accept-encoding': 'gzip', ...headers },
        agent: false,
        signal,
        lookup: (_host, options, give) => {
          if (options.all) give(null, [pinned])
          else give(null, pinned.address, pinned.family)
        },
      },
      done,
    )
    outgoing.on('error', failed)
    outgoing.end(body)
  })
}

async function read(response: IncomingMessage, { maxBytes, problems }: OutboundRequest): Promise<Uint8Array> {
  const encoding = response.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip') {
    response.destroy()
    throw new Problem(problems.type, `content-encoding ${encoding.slice(0, 40)}`)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  // The stream is closed when the loop is left, however it is left.
  const stream: Readable = encoding === 'gzip' ? unzipped(response) : response
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > maxBytes) {
      response.destroy()
      throw new Problem(problems.tooLarge, `more than ${maxBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function unzipped(response: IncomingMessage): Readable {
  const gunzip = createGunzip()
  response.on('error', (error) => gunzip.destroy(error))
  return response.pipe(gunzip)
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((done, failed) => {
    const stop = () => failed(signal.reason)
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(done, failed).finally(() => signal.removeEventListener('abort', stop))
  })
}
