/**
 * Stored value (P5): requests, and the one place where value is issued: only after the money is certain. What makes it
 * certain differs by way: a capture by the card company, a line of the bank's file, the count of two clerks.
 */

import {
  issueDomain,
  requestValue,
  type TopUpState,
  type TopUpWay,
  valueIssued,
} from '@azukari/protocol/contracts/settlement-value'
import { encrypt0 } from '@azukari/protocol/cose'
import type { Currency } from '@azukari/protocol/money'
import { InternalError, Problem } from '@azukari/protocol/problem'
import type { Handler } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { atRestKey } from '../keystore.ts'
import { memberAccount, ownAccount } from '../ledger/accounts.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { availableOf, balanceOf } from '../ledger/model.ts'
import { noteOperation } from '../ledger/operations.ts'
import { nextNumber } from '../numbers.ts'
import { derivedId, memberAct, type ServiceContext, type Within } from '../service-context.ts'
import { tell } from '../tell.ts'

export interface TopUpRow {
  id: Uint8Array
  payment: string
  member: Uint8Array
  way: TopUpWay
  amount: number
  currency: Currency
  state: TopUpState
  at: number
  pay_by: number
  /** The card company's token, sealed. */
  token: Uint8Array | null
  authorisation: string | null
  tries: number
  /** When the card company is asked next. */
  next: number | null
}

export const topUps = {
  get: (sql: Sql, payment: string) => sql.get<TopUpRow>('SELECT * FROM top_ups WHERE payment = ?', payment),
  due: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<TopUpRow>('SELECT * FROM top_ups WHERE next IS NOT NULL AND next <= ? ORDER BY next LIMIT ?', nowMs, limit),
  set: async (
    sql: Sql,
    payment: string,
    change: Partial<Pick<TopUpRow, 'state' | 'authorisation' | 'tries' | 'next'>>,
  ) => {
    const entries = Object.entries(change)
    await sql.run(
      `UPDATE top_ups SET ${entries.map(([name]) => `${name} = ?`).join(', ')} WHERE payment = ?`,
      ...entries.map(([, value]) => value),
      payment,
    )
  },
}

export const tokenDomain = new TextEncoder().encode('azukari/card-token/1')

export function topUpHandlers(shared: ServiceContext, kickCards: () => void): Handler[] {
  return [
    memberAct(shared, requestValue, async ({ member, body }, context) => {
      const { sql, nowMs, requestId, afterCommit } = context
      const { minor, currency } = body.amount
      if (minor === 0) throw new Problem('ledger.bad-amount')
      if (!shared.rules.currencies.includes(currency)) throw new Problem('ledger.wrong-currency', currency)
      if ((body.way === 'credit') !== (body.cardToken !== undefined))
        throw new Problem('message.invalid', 'a card token goes with the way “credit”, and only with it')
      const payment = await nextNumber(sql, 'payment', nowMs)
      const sealed =
        body.cardToken === undefined
          ? null
          : encrypt0(
              Buffer.from(body.cardToken),
              atRestKey(shared.keys, 'card-token'),
              shared.random.bytes(12),
              tokenDomain,
            )
      const row: TopUpRow = {
        id: requestId,
        payment,
        member: member.id,
        way: body.way,
        amount: minor,
        currency,
        state: 'waiting',
        at: nowMs,
        pay_by: nowMs + shared.rules.topUpMs,
        token: sealed,
        authorisation: null,
        tries: 0,
        next: sealed ? nowMs : null,
      }
      await insertRow(sql, 'top_ups', row)
      if (sealed) afterCommit(kickCards)
      return { request: requestId, payment, state: 'waiting' as const, payByMs: row.pay_by }
    }),
  ]
}

/** From where money for stored value comes. */
export type MoneySource = 'bank' | 'card-company' | 'cash' | 'unmatched' | 'unexplained'

/**
 * Issues the value of a request: the money has come. The same request is issued once, whoever reports the money how often.
 * @throws {Problem} `topup.state` when it was issued, declined or reversed before
 */
export async function issueValue(
  shared: ServiceContext,
  within: Within,
  row: TopUpRow,
  source: MoneySource,
): Promise<void> {
  const { sql, nowMs } = within
  if (row.state !== 'waiting' && row.state !== 'authorised' && row.state !== 'expired')
    throw new Problem('topup.state', `${row.payment} is ${row.state}`)
  const ledger = ledgerOf(sql)
  await ledger.post(
    {
      id: derivedId('issue', row.id),
      reason: `top-up-${row.way}`,
      reference: row.payment,
      legs: [
        {
          kind: 'post',
          debit: await ownAccount(ledger, source, row.currency),
          credit: await memberAccount(ledger, 'value', row.member, row.currency),
          amountMinor: BigInt(row.amount),
        },
      ],
    },
    nowMs,
  )
  await topUps.set(sql, row.payment, { state: 'issued', next: null })
  await tellState(shared, within, row, 'issued')
}

/** Ends a request for which no money will come. */
export async function declineValue(
  shared: ServiceContext,
  within: Within,
  row: TopUpRow,
  state: 'declined' | 'expired',
): Promise<void> {
  await topUps.set(within.sql, row.payment, { state, next: null })
  await tellState(shared, within, row, state)
}

/**
 * Takes issued value back because its money was: a reversed bank line, a charge-back. What the member has spent already
 * becomes a debt.
 * @throws {Problem} `topup.state` when nothing was issued
 */
export async function reverseValue(
  shared: ServiceContext,
  within: Within,
  row: TopUpRow,
  source: MoneySource,
): Promise<void> {
  if (row.state !== 'issued') throw new Problem('topup.state', `${row.payment} is ${row.state}`)
  const { sql, nowMs } = within
  const ledger = ledgerOf(sql)
  const value = await memberAccount(ledger, 'value', row.member, row.currency)
  const available = availableOf(await accountOf(ledger, value))
  const amount = BigInt(row.amount)
  const taken = available < amount ? available : amount
  const to = await ownAccount(ledger, source, row.currency)
  const debt = await memberAccount(ledger, 'receivable', row.member, row.currency)
  await ledger.post(
    {
      id: derivedId('reverse', row.id),
      reason: 'top-up-reversed',
      reference: row.payment,
      legs: [
        ...(taken > 0n ? [{ kind: 'post' as const, debit: value, credit: to, amountMinor: taken }] : []),
        ...(taken < amount ? [{ kind: 'post' as const, debit: debt, credit: to, amountMinor: amount - taken }] : []),
      ],
    },
    nowMs,
  )
  await topUps.set(sql, row.payment, { state: 'reversed', next: null })
  await tellState(shared, within, row, 'reversed')
}

async function tellState(
  shared: ServiceContext,
  within: Within,
  { id, payment, member, amount, currency }: TopUpRow,
  state: TopUpState,
): Promise<void> {
  const ledger = ledgerOf(within.sql)
  const account = await accountOf(ledger, await memberAccount(ledger, 'value', member, currency))
  await tell(shared, within, {
    member,
    contract: valueIssued,
    domain: issueDomain,
    body: {
      contract: valueIssued.id,
      request: id,
      payment,
      state,
      amount: { minor: amount, currency },
      balance: { minor: Number(balanceOf(account)), currency },
    },
    wrap: (issue) => ({ issue }),
  })
}

async function accountOf(ledger: Ledger, code: string) {
  const account = await ledger.account(code)
  if (!account) throw new InternalError(`${code} is not open`)
  return account
}

/** The clerks' side: cash by registered post is counted twice, by two people, before it is anything (P5). */
export interface CashDesk {
  /**
   * The first count opens the mail; the second confirms it and the value is issued.
   * @param mail the post's number of the registered letter
   * @throws {Problem} `topup.unknown`, `topup.state`, `topup.same-clerk`, `topup.counts-differ`
   */
  count(payment: string, clerk: string, minor: number, mail: string): Promise<{ issued: boolean }>
}

export function cashDesk(shared: ServiceContext): CashDesk {
  return {
    count: async (payment, clerk, minor, mail) => {
      const outcome = await shared.store.transaction(async (within): Promise<{ issued: boolean } | Problem> => {
        const { sql, nowMs } = within
        const row = await topUps.get(sql, payment)
        if (!row) throw new Problem('topup.unknown')
        if (row.way !== 'cash' || row.state !== 'waiting') throw new Problem('topup.state', `${row.way}, ${row.state}`)
        const first = await sql.get<{ first_clerk: string; first_minor: number; mail: string }>(
          'SELECT first_clerk, first_minor, mail FROM cash_counts WHERE payment = ?',
          payment,
        )
        await noteOperation(sql, nowMs, clerk, 'count cash', `${payment} ${minor}`)
        if (!first) {
          await insertRow(sql, 'cash_counts', {
            payment,
            first_clerk: clerk,
            first_minor: minor,
            first_at: nowMs,
            mail,
          })
          return { issued: false }
        }
        if (first.first_clerk === clerk) throw new Problem('topup.same-clerk')
        if (first.first_minor !== minor || first.mail !== mail) {
          // Both count again: what stands is neither clerk's word against the other's. This is kept although it is refused.
          await sql.run('DELETE FROM cash_counts WHERE payment = ?', payment)
          return new Problem('topup.counts-differ')
        }
        await sql.run('UPDATE cash_counts SET second_clerk = ?, second_at = ? WHERE payment = ?', clerk, nowMs, payment)
        // What two people counted is what came, whatever was announced.
        await issueValue(shared, within, { ...row, amount: minor }, 'cash')
        if (minor !== row.amount) await sql.run('UPDATE top_ups SET amount = ? WHERE payment = ?', minor, payment)
        return { issued: true }
      })
      if (outcome instanceof Problem) throw outcome
      return outcome
    },
  }
}
