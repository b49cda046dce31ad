/**
 * Charges of other services (C8, C9, W11, R3): content, work and rights say who owes whom how much and for what; settlement
 * books it once. A payout grows with what a member earns, so that creators and contractors are paid like shops.
 */

import { sameBytes } from '@azukari/protocol/bytes'
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Currency } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { answers, type CallHandler, gatewayName } from '../../../transport/server.ts'
import { type ChargeItem, keepItem } from '../billing/charge-items.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { memberAccount, ownAccount } from '../ledger/accounts.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { type MemberRow, memberByNumber, members } from '../members/registers.ts'
import { derivedId, type ServiceContext } from '../service-context.ts'
import { addToPayout, takeFromPayout } from './payouts.ts'

export type Charge = RequestOf<typeof postCharge>
type Move = Charge['moves'][number]
type Party = Move['from']

/**
 * @param service who posts it: ids of different services never meet
 * @throws {Problem} `message.invalid`, `register.unknown-number`, `member.suspended`, those of the ledger
 */
export async function charge(
  shared: ServiceContext,
  service: string,
  { id, reason, reference, moves, item }: Charge,
): Promise<ReplyOf<typeof postCharge>> {
  checkItem(moves, item)
  const posting = derivedId('charge', service, id)
  return shared.store.transaction(async ({ sql, nowMs }) => {
    if (item) {
      const { row } = await memberPartyOf(sql, { card: item.card, account: 'value' })
      await keepItem(shared, sql, { id: posting, member: row.id, what: `${service}-${reason}`, item, nowMs })
    }
    // Nothing was taken: the item alone is kept.
    if (moves.length === 0) return { seq: 0, atMs: nowMs }
    const ledger = ledgerOf(sql)
    const resolved = await mapInOrder(moves, async ({ from, to, minor, currency }) => ({
      from: await partyOf(sql, from),
      to: await partyOf(sql, to),
      minor,
      currency: currency as Currency,
    }))
    const { seq, atMs, replayed } = await ledger.post(
      {
        id: posting,
        reason: `${service}-${reason}`,
        reference,
        legs: await mapInOrder(resolved, async ({ from, to, minor, currency }) => ({
          kind: 'post' as const,
          debit: await codeOf(ledger, from, currency),
          credit: await codeOf(ledger, to, currency),
          amountMinor: BigInt(minor),
        })),
      },
      nowMs,
    )
    if (!replayed)
      for (const { from, to, minor, currency } of resolved) {
        if ('row' in from && from.account === 'payable') await takeFromPayout(sql, from.row.id, currency, minor)
        if ('row' in to && to.account === 'payable') await addToPayout(sql, to.row.id, currency, minor, nowMs)
      }
    return { seq, atMs }
  })
}

/** What statements say was paid is what the ledger took. @throws {Problem} `message.invalid` */
function checkItem(moves: readonly Move[], item: ChargeItem | undefined): void {
  const sum = moves.reduce((sum, { from, minor, currency }) => {
    const isOfItem = item !== undefined && 'card' in from && from.account === 'value' && sameBytes(from.card, item.card)
    return isOfItem && currency === item.currency ? sum + minor : sum
  }, 0)
  const isRight = item?.isReversed ? moves.length === 0 : moves.length > 0 && (!item || sum === item.minor)
  if (!isRight) throw new Problem('message.invalid', 'the item says another amount than is moved')
}

type OfMember = { row: MemberRow; account: 'value' | 'payable' | 'receivable' }
type Resolved = OfMember | { own: 'income' | 'tax' }

async function partyOf(sql: Sql, party: Party): Promise<Resolved> {
  return 'own' in party ? party : memberPartyOf(sql, party)
}

async function memberPartyOf(sql: Sql, party: Exclude<Party, { own: unknown }>): Promise<OfMember> {
  const row = 'card' in party ? await holderOf(sql, party.card) : await memberByNumber(sql, party.member)
  if (row.state !== 'active' && row.state !== 'blocked') throw new Problem('member.suspended')
  return { row, account: party.account }
}

/** @throws {Problem} `register.unknown-number` */
async function holderOf(sql: Sql, card: Uint8Array): Promise<MemberRow> {
  const row = await members.byCard(sql, card)
  if (!row) throw new Problem('register.unknown-number', 'no member has this card')
  return row
}

async function codeOf(ledger: Ledger, party: Resolved, currency: Currency): Promise<string> {
  return 'own' in party
    ? await ownAccount(ledger, party.own, currency)
    : await memberAccount(ledger, party.account, party.row.id, currency)
}

/** Services that charge members, and the gateway, inside which they may run. */
const chargingPeers = ['content', 'work', 'rights', gatewayName] as const

/** The row that a settlement process adds to its call server. */
export function chargeHandlers(
  post: (service: string, request: Charge) => ReplyOf<typeof postCharge> | Promise<ReplyOf<typeof postCharge>>,
): CallHandler[] {
  return [
    answers(postCharge, chargingPeers, async (request, { peer }) => ({
      reply: await post(peer.id, request),
    })),
  ]
}
