/**
 * What settlement told a member's terminal goes into the history under password A, so that it can be read without a line
 * (P8). Opening it needs the member's key; what was sealed for another member of this terminal stays closed.
 */
import {
  type Decision,
  objectionDecided,
  type Statement,
  statementSent,
} from '@azukari/protocol/contracts/settlement-billing'
import { balanceChanged } from '@azukari/protocol/contracts/settlement-purchase'
import { valueIssued } from '@azukari/protocol/contracts/settlement-value'
import { isProblem } from '@azukari/protocol/problem'
import type { PayMember } from '../../pay/member.ts'
import type { HistoryEntry, OpenVault } from '../../vault/vault.ts'
import type { PayApp } from '../pay.ts'

export type HeardFrom = Pick<PayApp, 'kept'>

/** Notes what is not in the history yet. @returns how many entries that were */
export async function noteNews(pay: HeardFrom, member: PayMember, open: OpenVault): Promise<number> {
  const found: HistoryEntry[] = []
  for (const { body } of await pay.kept(valueIssued)) {
    const said = ours(() => member.openIssue(body.issue))
    if (!said) continue
    const { payment, state, amount, issuedMs } = said
    const changeMinor = state === 'issued' ? amount.minor : state === 'reversed' ? -amount.minor : 0
    found.push(entry(issuedMs, `topup.${state}`, payment, changeMinor, amount.currency))
  }
  for (const { body } of await pay.kept(balanceChanged)) {
    const said = ours(() => member.openResult(body.result))
    if (said) found.push(entry(said.issuedMs, 'changed', said.transaction, 0, said.paid.currency))
  }
  for (const said of await statementsOf(pay, member))
    found.push(entry(said.issuedMs, 'statement', said.statement, 0, said.total.currency))
  for (const { body } of await pay.kept(objectionDecided)) {
    const said: Decision | undefined = ours(() => member.openDecision(body.decision))
    if (said) found.push(entry(said.issuedMs, said.upheld ? 'objection.upheld' : 'objection.refused', said.statement))
  }
  const known = new Set(open.history.map(nameOf))
  const fresh = found.filter((one) => !known.has(nameOf(one))).sort((a, b) => a.atMs - b.atMs)
  for (const one of fresh) await open.note(one)
  return fresh.length
}

/** The member's statements that came to this terminal, newest first. */
export async function statementsOf(pay: HeardFrom, member: PayMember): Promise<Statement[]> {
  const found: Statement[] = []
  for (const { body } of await pay.kept(statementSent)) {
    const said = ours(() => member.openStatement(body.statement))
    if (said) found.unshift(said)
  }
  return found
}

/** Undefined for what another member's key, or an older one, would open. */
export function ours<T>(open: () => T): T | undefined {
  try {
    return open()
  } catch (error) {
    if (isProblem(error, 'cose.decrypt-failed') || isProblem(error, 'cose.wrong-audience')) return undefined
    throw error
  }
}

const entry = (atMs: number, what: string, reference: string, changeMinor = 0, currency = ''): HistoryEntry => ({
  atMs,
  what,
  reference,
  changeMinor,
  currency,
})

const nameOf = ({ atMs, what, reference }: HistoryEntry) => `${what} ${reference} ${atMs}`
