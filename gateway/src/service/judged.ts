/**
 * A handler runs when whoever asks has been judged as its contract's authority says (ARCHITECTURE §3): a member by the token, a
 * signer by the signature. Devices and services were judged on their way here.
 */
import type { Authority } from '@azukari/protocol/contract'
import { InternalError } from '@azukari/protocol/problem'
import type { Checked } from './checks.ts'
import type { ServiceHostOptions } from './host-options.ts'
import type { OutsideHandler } from './outsiders.ts'
import type { ActContext, Context, Handler, ServiceRequest } from './service.ts'
import { verifySigned } from './signed.ts'

export type ActingHandler = Handler & { kind: 'act' | 'signed-act' }
export type CallingHandler = Exclude<Handler, ActingHandler | OutsideHandler>
type Judges = Pick<ServiceHostOptions, 'database' | 'members' | 'signers'>

export function isActing(handler: Handler): handler is ActingHandler {
  return handler.kind === 'act' || handler.kind === 'signed-act'
}

/** The kinds of handlers that an authority asks for; commands of operators have none, for the operator API carries them out. */
const kinds: Readonly<Record<Authority, readonly Handler['kind'][]>> = {
  claim: ['act', 'call'],
  device: ['act', 'call'],
  service: ['act', 'call'],
  member: ['member-call'],
  signed: ['signed-act', 'signed-call'],
  shop: ['shop-call', 'shop-act'],
  link: ['link-call'],
  operator: [],
}

/**
 * That each handler is of the kind that its contract's authority asks for, and that what judges it is there, so that none
 * runs unjudged. @throws {InternalError}
 */
export function requireAuthority(
  handlers: readonly Handler[],
  { members, signers, links }: Pick<ServiceHostOptions, 'members' | 'signers' | 'links'>,
): void {
  for (const { contract, kind } of handlers) {
    if (!kinds[contract.authority].includes(kind))
      throw new InternalError(`${contract.id} needs a handler for the authority ${contract.authority}`)
    if (contract.https && (kind === 'shop-act') !== (contract.https.method === 'POST'))
      throw new InternalError(`${contract.id}: what is POSTed is done once, and nothing else`)
    if (kind === 'link-call' && !links) throw new InternalError(`${contract.id}: links cannot be judged`)
    if (kind === 'member-call' && !members) throw new InternalError(`${contract.id}: members’ tokens cannot be judged`)
    if (kind.startsWith('signed') && !signers) throw new InternalError(`${contract.id}: signatures cannot be verified`)
  }
}

/** @throws {Problem} of the judgement, and of the handler */
export async function answerCall(
  handler: CallingHandler,
  request: ServiceRequest,
  context: Context,
  { database, members, signers }: Judges,
): Promise<unknown> {
  const { contract } = handler
  if (handler.kind === 'member-call') {
    const member = await required(members)(request.token, context.caller.device, context.nowMs)
    return handler.handle(contract.checkRequest(request.body), { ...context, member })
  }
  const body = contract.checkRequest(request.body)
  if (handler.kind === 'call') return handler.handle(body, context)
  return handler.handle(body, { ...context, signed: await verifySigned(contract, body, required(signers), database) })
}

/**
 * Inside the act's transaction.
 * @param found what another thread found out about its signature
 * @throws {Problem} of the judgement, and of the handler
 */
export async function performAct(
  handler: ActingHandler,
  body: unknown,
  context: ActContext,
  { signers }: Judges,
  found: Checked | undefined,
): Promise<unknown> {
  if (handler.kind === 'act') return handler.handle(body, context)
  const signed = await verifySigned(handler.contract, body, required(signers), context.sql, found)
  return handler.handle(body, { ...context, signed })
}

function required<T>(judge: T | undefined): T {
  if (judge === undefined) throw new InternalError('what judges this authority is missing')
  return judge
}
