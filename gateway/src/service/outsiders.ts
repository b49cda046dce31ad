/**
 * Requests of programs and people outside the site (ARCHITECTURE §3): the host judges the API key or the link before a handler
 * runs, and does what a shop asks once for each idempotency key, in one transaction with what was answered.
 */
import { sameBytes } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import type { Contract } from '@azukari/protocol/contract'
import { admitOutsider } from '@azukari/protocol/contracts/https'
import { InternalError, Problem, type ProblemWire } from '@azukari/protocol/problem'
import { DatabaseProblem, type Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import { judgeApiKey } from './api-keys.ts'
import { actHash } from './inbox.ts'
import { judgeLink, type LinkKeys } from './links.ts'
import {
  type Context,
  callingService,
  type Handler,
  type Holder,
  outsideCaller,
  type ServiceReply,
  type ServiceRequest,
  type ServiceStore,
} from './service.ts'
import type { HostTables } from './tables.ts'

export type OutsideHandler = Extract<Handler, { kind: 'shop-call' | 'shop-act' | 'link-call' }>
type OutsideAct = Extract<Handler, { kind: 'shop-act' }>

/** How long an answer is kept for who asks again with the same idempotency key. */
export const onceKeptMs = 86_400_000

const query = queries<HostTables>()
const claim = query<HostTables['https_replies']>()((db, p) =>
  db
    .insertInto('https_replies')
    .values({ holder: p.holder, once: p.once, hash: p.hash, reply: p.reply, at_ms: p.at_ms })
    .onConflict((c) => c.doNothing()),
)
const answered = query<{ holder: string; once: string }>()((db, p) =>
  db.selectFrom('https_replies').select(['hash', 'reply']).where('holder', '=', p.holder).where('once', '=', p.once),
)
const record = query<{ holder: string; once: string; reply: Uint8Array }>()((db, p) =>
  db.updateTable('https_replies').set({ reply: p.reply }).where('holder', '=', p.holder).where('once', '=', p.once),
)
const forget = query<{ before: number }>()((db, p) => db.deleteFrom('https_replies').where('at_ms', '<', p.before))

/** Forgets answers that nobody asks for again. */
export async function forgetReplies(sql: Sql, nowMs: number): Promise<void> {
  await forget.run(sql, { before: nowMs - onceKeptMs })
}

export function isOutside(handler: Handler): handler is OutsideHandler {
  return handler.kind === 'shop-call' || handler.kind === 'shop-act' || handler.kind === 'link-call'
}

export interface OutsiderParts {
  handlers: ReadonlyMap<string, Handler>
  store: ServiceStore
  links: LinkKeys | undefined
  context(request: ServiceRequest): Context
  problemOf(error: unknown, request: ServiceRequest, contract: Contract): ProblemWire
  confirmed(): Promise<void>
}

export class Outsiders {
  readonly #parts: OutsiderParts

  constructor(parts: OutsiderParts) {
    this.#parts = parts
  }

  /** Whether the request is for the host itself: to judge who comes. */
  static asksAdmission({ contract }: ServiceRequest): boolean {
    return contract === admitOutsider.id
  }

  async admit(request: ServiceRequest): Promise<ServiceReply> {
    try {
      const { contract: id } = admitOutsider.checkRequest(request.body)
      const handler = this.#parts.handlers.get(id)
      if (!handler || !isOutside(handler)) throw new Problem('message.unknown-contract', id)
      return { body: await this.#judge(this.#parts.store.sql, handler, request) }
    } catch (error) {
      return { problem: this.#parts.problemOf(error, request, admitOutsider) }
    }
  }

  async answer(handler: OutsideHandler, request: ServiceRequest): Promise<ServiceReply> {
    const { contract } = handler
    try {
      const body = contract.checkRequest(request.body)
      if (handler.kind === 'shop-act') return await this.#once(handler, request, body)
      const holder = await this.#judge(this.#parts.store.sql, handler, request)
      const reply = await handler.handle(body, { ...this.#parts.context(request), ...holder })
      return { body: checkedReply(contract, reply) }
    } catch (error) {
      return { problem: this.#parts.problemOf(error, request, contract) }
    }
  }

  async #judge(sql: Sql, { contract, kind }: OutsideHandler, request: ServiceRequest): Promise<Holder> {
    const { https } = request
    // A device or a service has no keys of this kind, whatever it sends along.
    if (request.caller.device !== outsideCaller.device || callingService(request.caller) !== undefined)
      throw new Problem('message.unauthorised', contract.id)
    const { nowMs } = this.#parts.context(request)
    if (kind !== 'link-call') return judgeApiKey(sql, https?.credential, contract.https?.scope ?? '', nowMs)
    const { links } = this.#parts
    if (!links) throw new InternalError(`${contract.id}: links cannot be judged`)
    return judgeLink(https?.credential, { contract, path: https?.path ?? '', nowMs }, links)
  }

  /** @throws {Problem} of the judgement, and `storage.*` */
  async #once(handler: OutsideAct, request: ServiceRequest, body: unknown): Promise<ServiceReply> {
    const { store, context, problemOf, confirmed } = this.#parts
    const { contract } = handler
    const once = request.https?.once
    if (once === undefined) throw new Problem('api.idempotency-key')
    const hash = actHash(contract.id, new Uint8Array(0), body)
    let holder: Holder | undefined
    const inTransaction = (
      work: (own: Parameters<Parameters<ServiceStore['transaction']>[0]>[0], of: Holder) => Promise<ServiceReply>,
    ) =>
      store.transaction(async (own) => {
        holder = await this.#judge(own.sql, handler, request)
        const key = { holder: holder.holder, once }
        const isNew =
          (await claim.run(own.sql, { ...key, hash, reply: new Uint8Array(0), at_ms: own.nowMs })).changes > 0
        if (!isNew) return before(await answered.get(own.sql, key), hash)
        const reply = await work(own, holder)
        await record.run(own.sql, { ...key, reply: encode(reply) })
        return reply
      })
    let reply: ServiceReply
    try {
      reply = await inTransaction(async (own, of) => {
        const made = await handler.handle(body, { ...own, ...context(request), sql: own.sql, ...of })
        return { body: checkedReply(contract, made) }
      })
    } catch (error) {
      if (error instanceof DatabaseProblem || !holder) throw error
      const problem = problemOf(error, request, contract)
      if (problem.retry === 'later' || problem.code === 'api.idempotency-conflict') return { problem }
      // Nothing of it remains; that it was refused does, so that the same request has the same answer.
      reply = await inTransaction(async () => ({ problem }))
    }
    await confirmed()
    return reply
  }
}

function before(row: { hash: Uint8Array; reply: Uint8Array } | undefined, hash: Uint8Array): ServiceReply {
  if (!row || row.reply.length === 0) throw new Problem('service.busy', 'the first request is under way')
  if (!sameBytes(row.hash, hash)) throw new Problem('api.idempotency-conflict')
  return decode(row.reply) as ServiceReply
}

/** What goes out is what the contract says: those who read it have nothing else to go by. @throws {InternalError} */
function checkedReply(contract: Contract, reply: unknown): unknown {
  try {
    return contract.checkReply(reply)
  } catch (error) {
    throw new InternalError(`${contract.id} answers with something else`, { cause: error })
  }
}
