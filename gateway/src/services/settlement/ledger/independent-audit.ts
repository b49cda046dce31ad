/**
 * The auditor (P9): a process of its own that trusts settlement's file for nothing but the journal's own bytes. It recomputes
 * balances, checks the signed heads with the key that it keeps itself, and holds the bank's lines against the account.
 */
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import { isProblem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { type Audit, audit } from './audit.ts'
import { headHolds, openHead } from './head.ts'
import { auditOperations, type OperationsTip } from './operations.ts'

export interface SiteAudit extends Omit<Audit, 'findings' | 'chain'> {
  chain: string
  heads: number
  /** The bank's lines in and out, and what the ledger's bank account says of them. */
  bank: { lines: number }
  findings: { what: string; where: string }[]
}

export async function auditSite(sql: Sql, publicKey: Uint8Array): Promise<SiteAudit> {
  const { findings, chain, ...rest } = await audit(sql)
  const found: { what: string; where: string }[] = [...findings]
  const key = parseCoseKey(publicKey)
  const kid = thumbprint(key)
  const heads = await sql.all<{ day: string; head: Uint8Array }>('SELECT day, head FROM ledger_heads ORDER BY day')
  const ends: OperationsTip[] = []
  for (const { day, head } of heads)
    try {
      const body = openHead(head, (asked) => (Buffer.compare(asked, kid) === 0 ? key : undefined))
      if (body.operations) ends.push(body.operations)
      if (body.day !== day || !(await headHolds(sql, body))) found.push({ what: 'head', where: day })
    } catch (error) {
      if (!isProblem(error)) throw error
      found.push({ what: 'head', where: `${day}: ${error.code}` })
    }
  for (const where of await auditOperations(sql, ends)) found.push({ what: 'operations', where })
  // Every line that the bank has told is in the journal once, as what it was matched to or in suspense.
  const lost = await sql.all<{ id: string; matched: string | null }>(
    `SELECT lower(hex(b.id)) AS id, b.matched FROM bank_lines b WHERE NOT EXISTS (
       SELECT 1 FROM ledger_postings p
       WHERE p.reference = CASE WHEN b.matched IS NULL OR length(b.matched) < 14 THEN lower(hex(b.id)) ELSE b.matched END)
     AND (b.parent IS NULL OR b.matched IS NOT NULL) LIMIT 100`,
  )
  for (const { id, matched } of lost) found.push({ what: 'bank line', where: matched ?? id })
  // The bank's account is what the bank's entries come to.
  for (const { currency, told, kept } of await sql.all<{ currency: string; told: number; kept: number }>(
    `SELECT * FROM (SELECT a.currency, a.debits_posted - a.credits_posted AS kept,
         coalesce((SELECT balance FROM bank_opening o WHERE o.currency = a.currency), 0)
         + coalesce((SELECT sum(CASE e.direction WHEN 'in' THEN e.amount ELSE -e.amount END) FROM bank_entries e
             WHERE e.currency = a.currency), 0) AS told
       FROM ledger_accounts a WHERE a.code LIKE 'bank/%') AS sums WHERE told <> kept`,
  ))
    found.push({ what: 'bank', where: `${currency}: entries come to ${told}, the account has ${kept}` })
  // A statement is paid when money for it came, and was not taken back; no statement twice.
  const wrong = await sql.all<{ number: string; state: string; times: number }>(
    `SELECT * FROM (SELECT s.number, s.state, (SELECT coalesce(sum(CASE p.reason WHEN 'statement-paid' THEN 1 ELSE -1 END), 0)
         FROM ledger_postings p WHERE p.reference = s.number AND p.reason IN ('statement-paid', 'payment-reversed')) AS times
     FROM statements s WHERE s.total > 0) AS counted
     WHERE times <> CASE state WHEN 'paid' THEN 1 ELSE 0 END LIMIT 100`,
  )
  for (const { number, state, times } of wrong)
    found.push({ what: 'statement', where: `${number} is ${state} and was paid ${times} times` })
  const lines = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM bank_lines'))!.n
  return { ...rest, chain: Buffer.from(chain).toString('hex'), heads: heads.length, bank: { lines }, findings: found }
}
