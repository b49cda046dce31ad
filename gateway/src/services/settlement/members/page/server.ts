/**
 * The enrolment page (P1): people apply in a browser as they do at a terminal. What they send becomes the same sealed
 * application, and settlement, wherever it runs, takes it like any other act. Number and codes go by letter; keys are never
 * in a page, so registration stays on the terminal.
 */
import { hash } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { type Application, applicationDomain, apply, readGuide } from '@azukari/protocol/contracts/settlement-members'
import { encryptTo } from '@azukari/protocol/cose'
import { parseCoseKey } from '@azukari/protocol/keys'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { InternalError, isProblem, Problem } from '@azukari/protocol/problem'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { guardSockets } from '../../../../adapters/socket-gate.ts'
import { addressKey } from '../../../../budgets/address.ts'
import { Budgets } from '../../../../budgets/budgets.ts'
import type { RateLimit } from '../../../../budgets/rate.ts'
import type { Service } from '../../../../service/service.ts'
import { type Field, type Filled, fields, readForm } from './form.ts'
import { Tickets } from './ticket.ts'
import { formPage, pagePolicy, problemPage, receivedPage, startPage, type Terms } from './view.ts'
import type { Lang } from './words.ts'

/** How many applications may come. Without it one person could fill the clerks' desk. */
export interface RateRule {
  /** At once, and within `perMs`. */
  most: number
  perMs: number
}

const limitOf = ({ most, perMs }: RateRule): RateLimit => ({ perSecond: (most / perMs) * 1_000, burst: most })

export interface EnrolmentPageOptions {
  /** Settlement, in this process or in another. */
  settlement: Pick<Service, 'handle'>
  clock: Clock
  random: Random
  log: Log
  /** Under which the page is reached, such as `https://join.example`; told when it listens by `serve`. */
  origin: () => string
  /** PEM; without it the line is open: for loopback, or behind a TLS proxy. */
  tls?: { key: string; cert: string } | undefined
  /** A proxy on this machine stands before it and says whose address it is (X-Forwarded-For). */
  proxied?: boolean
  /** Applications from one address, and in all; by default 5 in ten minutes and 200 in an hour. */
  limits?: { address?: RateRule; all?: RateRule }
  /** Where it shows what is in use. */
  budgets?: Budgets
}

/** Connections at once, in all and of one address. */
const maxConnections = { all: 500, each: 50 }

/** How this page is named among the devices that settlement hears. */
const caller = { device: 'enrolment-page', region: 'JP', roles: ['terminal'] }
const bodyMaxBytes = 16_384
const cookie = 'azukari-form'
/** Forms that were taken, so that one sent twice is answered and not taken twice. */
const maxTaken = 2_000
/** How long the guide is held before settlement is asked again, ms. */
const guideMs = 60_000

const statusOf: Record<string, number> = {
  'apply.form-expired': 403,
  'message.unauthorised': 403,
  'apply.too-many': 429,
  'message.too-large': 413,
  'message.invalid': 400,
}

/** Makes the server; `listen` starts it. */
export function enrolmentPage(options: EnrolmentPageOptions): FastifyInstance {
  const { clock, random, log, limits = {} } = options
  const tickets = new Tickets(clock, random)
  const budgets = options.budgets ?? new Budgets()
  const perAddress = budgets.rate('applications', { stranger: limitOf(limits.address ?? { most: 5, perMs: 600_000 }) })
  const inAll = budgets.rate('applications_in_all', {
    stranger: limitOf(limits.all ?? { most: 200, perMs: 3_600_000 }),
  })
  const taken = new Map<string, string>()
  const shared = new ApplicationDesk(options)

  const server = fastify({
    logger: false,
    bodyLimit: bodyMaxBytes,
    requestTimeout: 15_000,
    connectionTimeout: 30_000,
    ...(options.proxied ? { trustProxy: 'loopback' } : {}),
    ...(options.tls ? { https: { minVersion: 'TLSv1.2', ...options.tls } } : {}),
  } as object) as unknown as FastifyInstance
  // Behind a proxy all come from its address.
  const { all, each } = maxConnections
  guardSockets(
    server.server,
    budgets.pool('page_connections', { stranger: { all, each: options.proxied ? all : each } }),
  )
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, new URLSearchParams(String(body)))
  })
  server.addHook('onRequest', async (request, reply) => {
    reply
      .header('content-security-policy', pagePolicy)
      .header('x-content-type-options', 'nosniff')
      .header('x-frame-options', 'DENY')
      // Not `no-referrer`: browsers would then hide the origin of the form from us too.
      .header('referrer-policy', 'same-origin')
      .header('cache-control', 'no-store')
      .header('permissions-policy', 'camera=(), microphone=(), geolocation=()')
    if (options.tls) reply.header('strict-transport-security', 'max-age=31536000')
    // Neither under a foreign name (DNS rebinding) nor for a page of another origin.
    const origin = new URL(options.origin())
    if (request.headers.host !== origin.host) throw new Problem('message.unauthorised', 'host')
    if (request.method === 'POST' && request.headers.origin !== origin.origin)
      throw new Problem('message.unauthorised', 'origin')
  })
  server.setErrorHandler((error, request, reply) => {
    const problem = isProblem(error) ? error : problemOfFastify(error)
    if (problem.code === 'internal')
      log.error('the enrolment page failed', { error: error instanceof Error ? error.message : '' })
    return send(
      reply.code(statusOf[problem.code] ?? (problem.retry === 'later' ? 503 : 500)),
      problemPage(langOf(request), problem.code),
    )
  })
  server.setNotFoundHandler((request, reply) => send(reply.code(404), problemPage(langOf(request), 'message.invalid')))

  server.get('/', async (request, reply) => {
    const lang = langOf(request)
    return send(reply, startPage(lang, await shared.terms(lang)))
  })

  const giveForm = async (
    request: FastifyRequest,
    reply: FastifyReply,
    kind: 'general' | 'shop',
    filled: Filled,
    problems: Parameters<typeof formPage>[1]['problems'],
    code = 200,
  ) => {
    const lang = langOf(request)
    let browser = browserOf(request)
    if (!browser) {
      browser = tickets.browser()
      const secure = options.origin().startsWith('https:') ? '; Secure' : ''
      reply.header('set-cookie', `${cookie}=${browser}; Path=/; HttpOnly; SameSite=Strict${secure}`)
    }
    const state = { kind, ticket: tickets.issue(kind, browser), terms: await shared.terms(lang), filled, problems }
    return send(reply.code(code), formPage(lang, state))
  }

  server.get('/apply', async (request, reply) =>
    giveForm(request, reply, queryOf(request).get('kind') === 'shop' ? 'shop' : 'general', {}, []),
  )

  server.post('/apply', async (request, reply) => {
    const lang = langOf(request)
    if (!(request.body instanceof URLSearchParams)) throw new Problem('message.invalid', 'no form')
    const given = request.body
    const browser = browserOf(request)
    const text = given.get('ticket') ?? ''
    const ticket = browser && tickets.open(text, browser)
    if (!ticket) throw new Problem('apply.form-expired')
    const done = taken.get(text)
    if (done) return send(reply, receivedPage(lang, done))
    const filled: Filled = Object.fromEntries(
      fields.map((field) => [field, (given.get(field as Field) ?? '').slice(0, 400)]),
    )
    const read = readForm(ticket.kind, filled)
    if ('problems' in read) return giveForm(request, reply, ticket.kind, filled, read.problems, 422)
    // Terms that changed while the form was open are shown anew, and agreed to anew.
    if (given.get('terms') !== (await shared.terms(lang)).version)
      return giveForm(
        request,
        reply,
        ticket.kind,
        { ...filled, agree: '' },
        [{ field: 'agree', code: 'register.terms' }],
        422,
      )
    const nowMs = clock.monotonicMs()
    const againMs = perAddress.take('stranger', addressKey(request.ip), nowMs) || inAll.take('stranger', 'all', nowMs)
    if (againMs > 0) {
      reply.header('retry-after', Math.ceil(againMs / 1_000))
      throw new Problem('apply.too-many')
    }
    const terms = given.get('terms') ?? ''
    await shared.send(ticket.id, { contract: apply.id, kind: ticket.kind, person: read.person, terms })
    const reference = Buffer.from(ticket.id).toString('hex').slice(0, 8)
    if (taken.size >= maxTaken) taken.delete(taken.keys().next().value!)
    taken.set(text, reference)
    return send(reply, receivedPage(lang, reference))
  })
  return server
}

/** Speaks with settlement. */
class ApplicationDesk {
  readonly #options: EnrolmentPageOptions
  /** As they were sealed, by form and content: one that is sent again after a lost answer is the same act. */
  readonly #sealed = new Map<string, Uint8Array>()
  #guide:
    | {
        agreement: Uint8Array
        terms: string
        guide: Record<Lang, string>
        conditions?: Record<Lang, string>
        atMs: number
      }
    | undefined

  constructor(options: EnrolmentPageOptions) {
    this.#options = options
  }

  async terms(lang: Lang): Promise<Terms> {
    const { terms, guide, conditions } = await this.#known()
    return { version: terms, text: conditions?.[lang] ?? '', guide: guide[lang] }
  }

  /** @throws {Problem} what settlement answers, `act.conflict` for other content under a form that was sent, `service.*` */
  async send(id: Uint8Array, application: Application): Promise<void> {
    const { random, clock, settlement } = this.#options
    const { agreement } = await this.#known()
    const content = encodeDeterministic(application)
    const name = Buffer.concat([id, hash('sha256', content, 'buffer')]).toString('hex')
    const sealed = this.#sealed.get(name) ?? encryptTo(parseCoseKey(agreement), content, applicationDomain, random)
    if (this.#sealed.size >= maxTaken) this.#sealed.delete(this.#sealed.keys().next().value!)
    this.#sealed.set(name, sealed)
    const { problem } = await settlement.handle({
      caller,
      contract: apply.id,
      id,
      atMs: clock.now(),
      body: { application: sealed },
      // Each form is a stream of its own: they come from different people, and none waits for another.
      act: { stream: id, seq: 1 },
    })
    if (problem) {
      this.#guide = undefined
      throw Problem.fromWire(problem)
    }
  }

  async #known() {
    const { random, clock, settlement } = this.#options
    if (this.#guide && clock.monotonicMs() - this.#guide.atMs < guideMs) return this.#guide
    const reply = await settlement.handle({
      caller,
      contract: readGuide.id,
      id: random.bytes(16),
      atMs: clock.now(),
      body: {},
    })
    if (reply.problem) throw Problem.fromWire(reply.problem)
    const { agreement, terms, guide, conditions } = readGuide.checkReply(reply.body)
    this.#guide = { agreement, terms, guide, ...(conditions ? { conditions } : {}), atMs: clock.monotonicMs() }
    return this.#guide
  }
}

/** What people read in the language they asked for, else in the browser's, else in Japanese. */
function langOf(request: FastifyRequest): Lang {
  const asked = queryOf(request).get('lang')
  if (asked === 'ja' || asked === 'en') return asked
  const first = /^\s*([a-z]{2})/i.exec(request.headers['accept-language'] ?? '')?.[1]?.toLowerCase()
  return first === undefined || first === 'ja' ? 'ja' : 'en'
}

function queryOf(request: FastifyRequest): URLSearchParams {
  return new URLSearchParams(request.url.split('?')[1] ?? '')
}

function browserOf(request: FastifyRequest): string | undefined {
  const value = (request.headers.cookie ?? '')
    .split(';')
    .map((one) => one.trim().split('='))
    .find(([name]) => name === cookie)?.[1]
  return value && /^[A-Za-z0-9_-]{22}$/.test(value) ? value : undefined
}

function problemOfFastify(error: unknown): Problem {
  const status = (error as { statusCode?: number }).statusCode ?? 500
  if (error instanceof InternalError || status >= 500) return new Problem('internal')
  return status === 413 ? new Problem('message.too-large') : new Problem('message.invalid', `status ${status}`)
}

function send(reply: FastifyReply, html: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(html)
}
