/**
 * Problems that need not be listed by each contract, because whoever takes a message in may answer any with them: the
 * host, the router and the wire between processes do so for all contracts alike (ARCHITECTURE §3).
 */
import type { Authority, Contract } from './contract.ts'
import type { ProblemCode } from './problem.ts'

export const commonProblems: readonly ProblemCode[] = [
  // What was sent cannot be read, is not asked for, or comes too late.
  'cbor.malformed',
  'cbor.too-large',
  'cbor.too-deep',
  'cbor.duplicate-key',
  'cbor.indefinite',
  'cbor.forbidden-tag',
  'cbor.bad-utf8',
  'cbor.trailing',
  'message.invalid',
  'message.unknown-contract',
  'message.unauthorised',
  'message.expired',
  'message.too-large',
  // Acts, once and in order.
  'act.gap',
  'act.conflict',
  // There is no room, no disk, no service, or no way to it.
  'quota.exceeded',
  'service.busy',
  'service.unavailable',
  'storage.full',
  'storage.failed',
  'storage.unreachable',
  'storage.held',
  'link.offline',
  'link.timeout',
  'internal',
]

/** What the check of an authority may answer, whichever contract names it. */
export const authorityProblems: Partial<Record<Authority, readonly ProblemCode[]>> = {
  signed: [
    'cose.malformed',
    'cose.bad-signature',
    'cose.unknown-key',
    'cose.wrong-algorithm',
    'cose.decrypt-failed',
    'cose.expired',
    'cose.wrong-audience',
    'act.replayed',
  ],
  operator: [
    'operator.unauthenticated',
    'operator.forbidden',
    'operator.same-person',
    'operator.pending-unknown',
    'operator.login-wait',
    'command.invalid',
    'config.invalid',
    'centre.not-leader',
  ],
  shop: [
    'api.key-required',
    'api.key-refused',
    'api.key-ended',
    'api.scope',
    'api.wait',
    'api.idempotency-key',
    'api.idempotency-conflict',
  ],
  link: ['url.refused', 'url.expired', 'url.range'],
  member: ['session.required', 'session.expired', 'session.ended', 'session.elsewhere', 'session.forged'],
}

const commonSet: ReadonlySet<string> = new Set(commonProblems)

/** Whether a contract may be answered with this problem: it lists it, or every contract of its authority may. */
export function mayAnswer({ problems, authority }: Pick<Contract, 'problems' | 'authority'>, code: string): boolean {
  const listed: readonly string[] = problems
  const checked: readonly string[] = authorityProblems[authority] ?? []
  return commonSet.has(code) || listed.includes(code) || checked.includes(code)
}
