/**
 * Programs and people outside the site (D6, P6, P7): contracts with the authorities `shop` and `link` at the HTTPS listener. Who
 * comes is judged first, by the service that knows the key or made the link; only then is a body read, and it is counted
 * among strangers no longer.
 */
import type { Contract, ServiceName } from '@azukari/protocol/contract'
import { checker } from '@azukari/protocol/contract'
import { admitOutsider, FilePiece } from '@azukari/protocol/contracts/https'
import { fromJson, fromText, toJson } from '@azukari/protocol/json-body'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Budgets } from '../budgets/budgets.ts'
import type { Rate, RateLimit } from '../budgets/rate.ts'
import { credentialOf } from '../service/api-keys.ts'
import { matchPath } from '../service/https-path.ts'
import { type Holder, outsideCaller, type Service, type ServiceRequest } from '../service/service.ts'
import type { HttpsCaller, HttpsRequest, HttpsResponse, HttpsRoute } from '../transport/https-listener.ts'
import { answerJson, answerProblem } from './answer.ts'
import { openApi } from './openapi.ts'
import { type BodyLimits, readJson } from './read-body.ts'
import { sendFile } from './send-file.ts'

export interface HttpsApiLimits extends BodyLimits {
  /** How long whoever reads a file may take nothing. */
  silentMs: number
  /** Requests of one holder of keys, and of one link. */
  requests: RateLimit
  /** Keys and links that are none, of one address. */
  wrong: RateLimit
}

const standardLimits: HttpsApiLimits = {
  maxBytes: 65_536,
  bodyMs: 10_000,
  silentMs: 30_000,
  requests: { perSecond: 10, burst: 50 },
  wrong: { perSecond: 0.2, burst: 10 },
}

export interface HttpsApiParts {
  /** Those of other kinds are left out. */
  contracts: readonly Contract[]
  service(name: ServiceName): Service | undefined
  budgets: Budgets
  clock: Clock
  random: Random
  log: Log
  limits?: Partial<HttpsApiLimits>
}

/** Where everything of this API begins, and where it describes itself. */
const root = '/v1/'
export const openApiPath = '/v1/openapi.json'
const checkPiece = checker(FilePiece, 'piece of a file')

export function httpsRoutes(parts: HttpsApiParts): HttpsRoute[] {
  const api = new HttpsApi(parts)
  const handle: HttpsRoute['handle'] = (request, response, caller) => api.handle(request, response, caller)
  return [
    { method: 'GET', path: root, handle },
    { method: 'POST', path: root, handle },
  ]
}

interface Asked {
  contract: Contract
  fields: Record<string, string>
  path: string
  query: URLSearchParams
}

class HttpsApi {
  readonly #parts: HttpsApiParts
  readonly #limits: HttpsApiLimits
  readonly #contracts: readonly Contract[]
  readonly #requests: Rate
  readonly #wrong: Rate
  #description: unknown

  constructor(parts: HttpsApiParts) {
    this.#parts = parts
    this.#limits = { ...standardLimits, ...parts.limits }
    this.#contracts = parts.contracts.filter(({ https }) => https)
    const { requests, wrong } = this.#limits
    this.#requests = parts.budgets.rate('https_requests', { shop: requests, link: requests })
    this.#wrong = parts.budgets.rate('https_refused', { stranger: wrong })
  }

  async handle(request: HttpsRequest, response: HttpsResponse, caller: HttpsCaller): Promise<void> {
    try {
      if (request.method === 'GET' && request.url === openApiPath) {
        this.#description ??= openApi(this.#contracts)
        return answerJson(response, this.#description)
      }
      await this.#answer(request, response, caller)
    } catch (error) {
      if (!isProblem(error))
        this.#parts.log.error('a request failed', { error: error instanceof Error ? error.stack : String(error) })
      answerProblem(request, response, error)
    } finally {
      endUnread(request, response)
    }
  }

  async #answer(request: HttpsRequest, response: HttpsResponse, caller: HttpsCaller): Promise<void> {
    const asked = this.#find(request)
    const { contract, fields, path } = asked
    const credential = contract.authority === 'shop' ? keyOf(request) : linkOf(asked.query)
    const of = await this.#admit(contract, path, credential, caller)
    const https: ServiceRequest['https'] = { credential: of.credential, path }
    if (contract.authority === 'link') {
      const ask = async (from: number, count: number) =>
        checkPiece(await this.#ask(contract, https, { ...fields, from, count }))
      return sendFile(request, response, ask, { clock: this.#parts.clock, silentMs: this.#limits.silentMs })
    }
    if (contract.https?.method === 'GET') {
      const given = { ...Object.fromEntries(asked.query), ...fields }
      return answerJson(response, toJson(await this.#ask(contract, https, fromText(contract.request, given))))
    }
    const once = request.headers['idempotency-key']
    if (typeof once !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(once)) throw new Problem('api.idempotency-key')
    const json = await readJson(request, this.#limits, this.#parts.clock)
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new Problem('message.invalid', 'the body is no JSON object')
    const body = fromJson(contract.request, { ...json, ...fields })
    answerJson(response, toJson(await this.#ask(contract, { ...https, once }, body)))
  }

  /** @throws {Problem} `message.unknown-contract` */
  #find({ method, url }: HttpsRequest): Asked {
    const { pathname: path, searchParams: query } = new URL(url, 'https://site')
    for (const contract of this.#contracts) {
      if (contract.https?.method !== method || path.length > 256) continue
      const fields = matchPath(contract.https.path, path)
      if (fields) return { contract, fields, path, query }
    }
    throw new Problem('message.unknown-contract', `${method} ${path.slice(0, 128)}`)
  }

  /** @throws {Problem} of the judgement; `api.wait` for an address that was refused again and again, or who asks too often */
  async #admit(
    contract: Contract,
    path: string,
    credential: Uint8Array | undefined,
    caller: HttpsCaller,
  ): Promise<Holder & { credential: Uint8Array }> {
    const { clock } = this.#parts
    const kind = contract.authority === 'link' ? 'link' : 'shop'
    wait(this.#wrong.waitMs('stranger', caller.address, clock.now()))
    try {
      if (!credential) throw new Problem(kind === 'link' ? 'url.refused' : 'api.key-required')
      const request = { contract: contract.id }
      const of = admitOutsider.checkReply(
        await this.#ask({ ...admitOutsider, service: contract.service }, { credential, path }, request),
      )
      caller.prove(kind, of.who)
      wait(this.#requests.take(kind, kind === 'shop' ? of.holder : of.who, clock.now()))
      return { ...of, credential }
    } catch (error) {
      if (isProblem(error) && /^(api\.key-|url\.)/.test(error.code))
        this.#wrong.take('stranger', caller.address, clock.now())
      throw error
    }
  }

  /** @throws {Problem} of the service */
  async #ask(contract: Contract, https: NonNullable<ServiceRequest['https']>, body: unknown): Promise<unknown> {
    const { service, clock, random } = this.#parts
    const to = service(contract.service)
    if (!to) throw new Problem('service.unavailable', contract.service)
    const id = random.bytes(16)
    const reply = await to.handle({ caller: outsideCaller, contract: contract.id, id, atMs: clock.now(), https, body })
    if (reply.problem) throw Problem.fromWire(reply.problem)
    return reply.body
  }
}

/** Whoever was answered before it had sent everything sends no more: nobody would read it. */
function endUnread(request: HttpsRequest, response: HttpsResponse): void {
  if (request.complete) return
  const isHttp2 = request.httpVersionMajor === 2
  // Of HTTP/2 the response tells of its end only when the stream has closed.
  const sent = isHttp2 ? request.stream : response
  const end = () => (isHttp2 ? request.stream.close() : request.destroy())
  if (sent.writableFinished || sent.destroyed) end()
  else sent.once('finish', end)
}

/** @throws {Problem} `api.wait` */
function wait(waitMs: number): void {
  if (waitMs <= 0) return
  const waitS = Math.ceil(waitMs / 1_000)
  throw new Problem('api.wait', `${waitS} s`, { data: { waitS } })
}

/** @throws {Problem} `api.key-required`, `api.key-refused` for what has not the form of a key */
function keyOf({ headers }: HttpsRequest): Uint8Array | undefined {
  const [, key] = /^Bearer ([\w-]{1,128})$/i.exec(headers.authorization ?? '') ?? []
  return key === undefined ? undefined : (credentialOf(key) ?? noKey)
}

/** What no key can be. */
const noKey = new Uint8Array(40)

function linkOf(query: URLSearchParams): Uint8Array | undefined {
  const token = query.get('link') ?? ''
  return /^[\w-]{80,1300}$/.test(token) ? new Uint8Array(Buffer.from(token, 'base64url')) : undefined
}
