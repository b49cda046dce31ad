/**
 * Recomputes everything from the journal alone (P9): the chain, every account's sums, every hold. It reads what is in the
 * file and trusts none of the sums kept there; what the ledger's own code believes is not asked.
 */
import { type Static, Type } from '@azukari/protocol/contract'
import type { Sql } from '../../../storage/database.ts'
import { chainStart, contentHash, nextChain } from './chain.ts'
import type { Leg } from './model.ts'

export const Finding = Type.Object({
  what: Type.Union([Type.Literal('chain'), Type.Literal('account'), Type.Literal('hold'), Type.Literal('currency')]),
  where: Type.String(),
})
export type Finding = Static<typeof Finding>

export interface Audit {
  postings: number
  legs: number
  accounts: number
  /** The chain's end as recomputed. */
  chain: Uint8Array
  findings: Finding[]
}

interface LegRow {
  seq: number
  id: Uint8Array
  reason: string
  reference: string
  at: number
  epoch: number
  content: Uint8Array
  chain: Uint8Array
  kind: Leg['kind']
  debit: string
  credit: string
  amount: number
  hold: Uint8Array | null
  expires: number | null
}
interface Sums {
  debitsPosted: bigint
  creditsPosted: bigint
  debitsPending: bigint
  creditsPending: bigint
}

/** Postings read at a time, so that a journal of any length is audited in little memory. */
const pageRows = 5_000
/** More findings than this tell nothing more. */
const maxFindings = 100

export async function audit(sql: Sql): Promise<Audit> {
  const findings: Finding[] = []
  const find = (what: Finding['what'], where: string) => {
    if (findings.length < maxFindings) findings.push({ what, where })
  }
  const sums = new Map<string, Sums>()
  const holds = new Map<string, { debit: string; credit: string; amount: bigint }>()
  const resolved = new Set<string>()
  let chain: Uint8Array = chainStart
  let expected = 1
  let lastAt = 0
  let lastEpoch = 0
  let postings = 0
  let legCount = 0

  const take = (rows: readonly LegRow[]) => {
    const [first] = rows
    if (!first) return
    const { seq, id, reason, reference, at, epoch } = first
    const legs = rows.map(legOf)
    const content = contentHash({ id, reason, reference, legs })
    chain = nextChain(chain, { seq, atMs: at, epoch, content })
    if (
      seq !== expected ||
      !same(content, first.content) ||
      !same(chain, first.chain) ||
      at < lastAt ||
      epoch < lastEpoch
    )
      find('chain', `posting ${seq}`)
    chain = first.chain
    expected = seq + 1
    lastAt = at
    lastEpoch = epoch
    postings++
    legCount += rows.length
    for (const row of rows) move(row)
  }
  const move = ({ seq, kind, debit, credit, amount, hold }: LegRow) => {
    const [from, to] = [sumsOf(sums, debit), sumsOf(sums, credit)]
    const minor = BigInt(amount)
    const name = hold ? Buffer.from(hold).toString('hex') : ''
    if (kind === 'post') {
      from.debitsPosted += minor
      to.creditsPosted += minor
    } else if (kind === 'hold') {
      holds.set(name, { debit, credit, amount: minor })
      from.debitsPending += minor
      to.creditsPending += minor
    } else {
      const held = holds.get(name)
      if (!held || resolved.has(name) || held.debit !== debit || held.credit !== credit || held.amount < minor)
        return find('hold', `posting ${seq}`)
      resolved.add(name)
      from.debitsPending -= held.amount
      to.creditsPending -= held.amount
      if (kind === 'capture') {
        from.debitsPosted += minor
        to.creditsPosted += minor
      }
    }
  }

  for (let after = 0; ; ) {
    const rows = await sql.all<LegRow>(
      `SELECT p.seq, p.id, p.reason, p.reference, p.at, p.epoch, p.content, p.chain, l.kind, d.code AS debit,
         c.code AS credit, l.amount, l.hold, l.expires
       FROM ledger_postings p JOIN ledger_legs l ON l.posting = p.seq
       JOIN ledger_accounts d ON d.id = l.debit JOIN ledger_accounts c ON c.id = l.credit
       WHERE p.seq > ? AND p.seq <= ? ORDER BY p.seq, l.n`,
      after,
      after + pageRows,
    )
    let from = 0
    for (let i = 1; i <= rows.length; i++)
      if (i === rows.length || rows[i]!.seq !== rows[from]!.seq) {
        take(rows.slice(from, i))
        from = i
      }
    after += pageRows
    if (after >= ((await sql.get<{ last: number | null }>('SELECT max(seq) AS last FROM ledger_postings'))!.last ?? 0))
      break
  }

  const accounts = await sql.all<{
    code: string
    currency: string
    debits_posted: number
    credits_posted: number
    debits_pending: number
    credits_pending: number
  }>(
    'SELECT code, currency, debits_posted, credits_posted, debits_pending, credits_pending FROM ledger_accounts ORDER BY id',
  )
  const totals = new Map<string, bigint>()
  for (const row of accounts) {
    const own = sumsOf(sums, row.code)
    totals.set(row.currency, (totals.get(row.currency) ?? 0n) + own.debitsPosted - own.creditsPosted)
    if (
      own.debitsPosted !== BigInt(row.debits_posted) ||
      own.creditsPosted !== BigInt(row.credits_posted) ||
      own.debitsPending !== BigInt(row.debits_pending) ||
      own.creditsPending !== BigInt(row.credits_pending)
    )
      find('account', row.code)
  }
  for (const [currency, total] of totals) if (total !== 0n) find('currency', currency)
  for (const row of await sql.all<{ id: Uint8Array; resolved: number; amount: number }>(
    'SELECT id, resolved, amount FROM ledger_holds',
  )) {
    const name = Buffer.from(row.id).toString('hex')
    if (holds.get(name)?.amount !== BigInt(row.amount) || resolved.has(name) !== (row.resolved === 1))
      find('hold', name)
  }
  return { postings, legs: legCount, accounts: accounts.length, chain, findings }
}

function legOf({ kind, debit, credit, amount, hold, expires }: LegRow): Leg {
  const amountMinor = BigInt(amount)
  if (kind === 'post') return { kind, debit, credit, amountMinor }
  if (kind === 'hold') return { kind, debit, credit, amountMinor, hold: hold!, expiresMs: expires! }
  return kind === 'capture' ? { kind, hold: hold!, amountMinor } : { kind, hold: hold! }
}

function sumsOf(sums: Map<string, Sums>, code: string): Sums {
  let own = sums.get(code)
  if (!own) {
    own = { debitsPosted: 0n, creditsPosted: 0n, debitsPending: 0n, creditsPending: 0n }
    sums.set(code, own)
  }
  return own
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
