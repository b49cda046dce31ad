/** How a member's statements are paid (S14): the member's own signed choice, or a clerk's on the member's word. */
import { choosePayment, type PaymentWay } from '@azukari/protocol/contracts/settlement-billing'
import { encrypt0 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import type { Handler } from '../../../service/service.ts'
import { atRestKey } from '../keystore.ts'
import { type MemberRow, openPerson } from '../members/registers.ts'
import { tokenDomain } from '../payments/top-up.ts'
import { memberAct, type Within } from '../service-context.ts'
import { civilDate, nextBankDay } from './calendar.ts'
import { openAccount } from './closing.ts'
import type { BillingPorts } from './ports.ts'
import { nextStage } from './stages.ts'
import { type StatementRow, statements } from './statements.ts'

export function payChoiceHandlers(ports: BillingPorts): Handler[] {
  const { shared } = ports
  return [
    memberAct(shared, choosePayment, async ({ member, body: { way, cardToken } }, context) => {
      if (cardToken !== undefined && way !== 'card')
        throw new Problem('message.invalid', 'a card token goes with the way “card” only')
      await payBy(ports, context, member, way, cardToken)
      return { way, atMs: context.nowMs }
    }),
  ]
}

/**
 * Sets the way, for statements to come and for open ones that are not being collected; those in arrears are asked for once
 * more.
 * @param cardToken of another card than the one that is known
 * @throws {Problem} `bill.way` without a bank account, a card, or a card company
 */
export async function payBy(
  ports: BillingPorts,
  { sql, nowMs }: Within,
  member: MemberRow,
  way: PaymentWay,
  cardToken?: string,
): Promise<void> {
  const { shared, rules } = ports
  if (member.since === null) throw new Problem('bill.way', 'not registered yet')
  const account = await openAccount(sql, member, rules.timeZone)
  const token =
    cardToken === undefined
      ? account.token
      : encrypt0(Buffer.from(cardToken), atRestKey(shared.keys, 'card-token'), shared.random.bytes(12), tokenDomain)
  if (way === 'card' && !ports.cards) throw new Problem('bill.way', 'no card company')
  if (way === 'card' && !token) throw new Problem('bill.way', 'no card')
  if (way === 'debit' && !openPerson(shared.keys, member.id, member.person).account)
    throw new Problem('bill.way', 'no bank account')
  await sql.run('UPDATE billing_accounts SET payment = ?, token = ? WHERE member = ?', way, token, member.id)
  const open = await sql.all<StatementRow>(
    "SELECT * FROM statements WHERE member = ? AND state IN ('sent', 'objected', 'returned', 'arrears')",
    member.id,
  )
  for (const { number, state } of open)
    await statements.set(sql, number, {
      payment: way,
      ...(state === 'arrears' && {
        state: nextStage(state, 'again'),
        debit_on: nextBankDay(civilDate(nowMs, rules.timeZone)),
      }),
    })
}
