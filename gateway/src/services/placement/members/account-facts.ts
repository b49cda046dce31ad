/**
 * What settlement asks of placement for a statement and after an objection (S13): the member's profile, whether the data
 * is whole in both places, and where it lies.
 */
import type { RequestOf } from '@azukari/protocol/contract'
import { type AccountFacts, readAccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { answers, type CallHandler } from '../../../transport/server.ts'
import { memberChecks } from '../audit/member-checks.ts'
import { settlementPeers } from '../peers.ts'
import { catalogueMedia, members } from '../store.ts'

/** Objects named in a statement; the card and the terminal show the others. */
const maxKept = 64

/** @throws {Problem} `card.unknown` */
export async function accountFacts(
  sql: Sql,
  { card, fromMs, toMs, checkedSinceMs }: RequestOf<typeof readAccountFacts>,
  nowMs: number,
): Promise<AccountFacts> {
  const member = await members.byCard(sql, card)
  if (!member) throw new Problem('card.unknown')
  // Bytes are those of the period: what came later is no part of its price, however late it is closed.
  // Whole: both replicas acknowledged, and neither under suspicion or an open verdict (S11).
  const sums = (await sql.get<{ objects: number; bytes: number; checked: number; bad: number }>(
    `SELECT count(*) AS objects,
       coalesce(sum(CASE WHEN coalesce(s.kept, s.at) < ? THEN s.size ELSE 0 END), 0) AS bytes, count(s.receipt) AS checked,
       coalesce(sum(CASE WHEN
         (SELECT count(*) FROM replicas r WHERE r.object = s.object AND r.version = s.version AND r.receipt IS NOT NULL) < 2
         OR EXISTS (SELECT 1 FROM suspects u WHERE u.object = s.object AND u.version = s.version)
         OR EXISTS (SELECT 1 FROM verdicts v WHERE v.object = s.object AND v.version = s.version AND v.done IS NULL)
       THEN 1 ELSE 0 END), 0) AS bad
     FROM saves s WHERE s.member = ? AND s.media <> ? AND s.state = 'kept'`,
    toMs,
    member.id,
    catalogueMedia,
  ))!
  const faults = await sql.all<{ atMs: number; verdict: string; server: string }>(
    `SELECT at AS atMs, kind AS verdict, server FROM verdicts WHERE member = ? AND at >= ? AND at < ?
     ORDER BY id DESC LIMIT ?`,
    member.id,
    fromMs,
    toMs,
    maxKept,
  )
  const tampered = (await sql.get<{ n: number }>(
    "SELECT count(*) AS n FROM verdicts WHERE member = ? AND kind = 'tampering' AND at >= ? AND at < ?",
    member.id,
    fromMs,
    toMs,
  ))!
  const kept = await sql.all<{ object: Uint8Array; server: string; algorithm: string }>(
    `SELECT r.object, r.server, r.algorithm FROM replicas r JOIN saves s ON s.object = r.object AND s.version = r.version
     WHERE s.member = ? AND s.media <> ? AND s.state = 'kept' ORDER BY s.taken DESC, r.slot LIMIT ?`,
    member.id,
    catalogueMedia,
    maxKept,
  )
  const check: AccountFacts['check'] = { objects: sums.objects, checked: sums.checked, bad: sums.bad, atMs: nowMs }
  if (checkedSinceMs !== undefined) {
    check.waiting = await memberChecks.waiting(sql, member.id, checkedSinceMs)
    check.checked = check.objects - check.waiting
  }
  return {
    level: member.level,
    home: member.home,
    sinceMs: member.since,
    objects: sums.objects,
    bytes: sums.bytes,
    tamperings: tampered.n,
    check,
    kept,
    faults,
  }
}

/** What answers settlement. */
export interface AccountPorts {
  store: { sql: Sql; transaction<T>(work: (context: { sql: Sql }) => Promise<T>): Promise<T> }
  now(): number
  /** There may be data to look at. */
  wake(): void
}

/** The row that a placement process, or a gateway with placement inside, adds to its call server. */
export function accountHandlers(ports: AccountPorts): CallHandler[] {
  return [
    answers(readAccountFacts, settlementPeers, async (request) => ({ reply: await answerAccount(ports, request) })),
  ]
}

/**
 * The facts; what has still to be looked at for them is begun, and ended when nothing is left of it.
 * @throws {Problem} `card.unknown`
 */
export async function answerAccount(
  { store, now, wake }: AccountPorts,
  request: RequestOf<typeof readAccountFacts>,
): Promise<AccountFacts> {
  const { card, checkedSinceMs } = request
  const facts = await accountFacts(store.sql, request, now())
  if (checkedSinceMs === undefined) return facts
  const isWaiting = (facts.check.waiting ?? 0) > 0
  await store.transaction(async ({ sql }) => {
    const { id } = (await members.byCard(sql, card))!
    if (isWaiting) await memberChecks.begin(sql, id, checkedSinceMs)
    else await memberChecks.end(sql, id)
  })
  if (isWaiting) wake()
  return facts
}
