/** A member who tops up, buys, pays statements, objects and disputes, and remembers what was said. */
import { openPayReceipt, type PayMember } from '@azukari/device/pay/member'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import {
  choosePayment,
  objectionDecided,
  objectTo,
  type Statement,
  statementSent,
} from '@azukari/protocol/contracts/settlement-billing'
import {
  balanceChanged,
  disputeOrder,
  instructPayment,
  listOffer,
  type PayResult,
  placeOrder,
} from '@azukari/protocol/contracts/settlement-purchase'
import { readAccount, requestValue, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import type { World } from '../world.ts'
import type { Bank } from './bank.ts'
import type { Office } from './office.ts'
import type { Shop } from './shop.ts'
import { type Counter, Wallet, yen } from './wallet.ts'

export class Buyer extends Wallet {
  /** Amounts that payment instructions were signed for, by the number of the order. */
  readonly signed = new Map<string, number>()
  /** Orders whose payment was acknowledged. */
  readonly paid = new Set<string>()
  /** Balances that settlement told, with what it told them by. */
  readonly told: { minor: number; by: string }[] = []
  readonly statements = new Map<string, Statement>()
  /** Statements to which an objection was acknowledged. */
  readonly objected = new Set<string>()
  /** Payment numbers of cash that was sent, with the amount. */
  readonly cash = new Map<string, number>()
  readonly #bank: Bank
  readonly #office: () => Office
  readonly #shops: readonly Shop[]
  #untried: string[] = []

  constructor(
    world: World,
    name: string,
    index: number,
    card: Uint8Array,
    partners: { bank: Bank; office: () => Office; shops: readonly Shop[] },
  ) {
    super(world, name, 'general', index, card)
    this.#bank = partners.bank
    this.#office = partners.office
    this.#shops = partners.shops
  }

  protected async business(counter: Counter): Promise<void> {
    const open = this.#untried.pop()
    if (open !== undefined && this.chance.chance(0.5)) return this.#object(counter, open)
    const kinds = [
      this.#topUp,
      this.#topUp,
      this.#topUp,
      this.#buy,
      this.#buy,
      this.#buy,
      this.#buy,
      this.#ask,
      this.#choose,
      this.#dispute,
    ]
    for (let times = this.chance.between(2, 5); times > 0; times--) {
      const isShort = (this.told.at(-1)?.minor ?? 0) < 1_500
      await (isShort && this.chance.chance(0.7) ? this.#topUp : this.chance.pick(kinds)).call(this, counter)
    }
  }

  protected async hear(counter: Counter): Promise<void> {
    for (const { issue } of await this.news(counter, valueIssued)) {
      const said = await this.opened(counter, (member) => member.openIssue(issue))
      if (said) this.#hearBalance(said.balance.minor, `${said.payment} ${said.state}`)
    }
    for (const { result } of await this.news(counter, balanceChanged)) {
      const said = await this.opened(counter, (member) => member.openResult(result))
      if (said) this.#hearResult(counter, said)
    }
    for (const { statement } of await this.news(counter, statementSent)) {
      const said = await this.opened(counter, (member) => member.openStatement(statement))
      if (!said) continue
      this.statements.set(said.statement, said)
      this.#untried.push(said.statement)
      this.say(`reads ${said.statement}: ${said.total.minor} by ${said.payment}`)
    }
    for (const { decision } of await this.news(counter, objectionDecided)) {
      const said = await this.opened(counter, (member) => member.openDecision(decision))
      if (said) this.say(`hears that ${said.statement} was ${said.upheld ? 'wrong' : 'right'}`)
    }
  }

  async #topUp(counter: Counter): Promise<void> {
    const minor = this.chance.between(300, 5_000)
    const way = this.chance.pick(['transfer', 'deposit', 'cash', 'credit'] as const)
    const token = way === 'credit' ? this.#token() : undefined
    const { payment } = await this.#send(counter, requestValue, (member) => ({
      request: member.topUp(way, yen(minor), token),
    }))
    this.say(`asks for ${minor} by ${way}: ${payment}`)
    if (way === 'cash') {
      this.cash.set(payment, minor)
      this.#office().cash.push({ payment, minor, counted: 0 })
    } else if (way !== 'credit') this.#bank.payLater(payment, minor)
  }

  async #buy(counter: Counter): Promise<void> {
    const shop = this.chance.pick(this.#shops)
    if (!shop.number || !shop.hasOffer) return
    const { items } = await counter.runtime.link.call(listOffer, { shop: shop.number })
    if (items.length === 0) return
    const { number } = shop
    const lines = [{ item: this.chance.pick(items).item, count: this.chance.between(1, 3) }]
    const order = await this.#send(counter, placeOrder, (member) => ({ order: member.order(number, lines) }))
    const { transaction, total } = order
    this.signed.set(transaction, total.minor)
    const answer = await this.#send(counter, instructPayment, (member) => ({
      instruction: member.instruction(transaction, number, total),
    }))
    this.paid.add(transaction)
    const said = await this.opened(counter, (member) => member.openResult(answer.result))
    this.say(`pays ${total.minor} for ${transaction}`)
    if (said) this.#hearResult(counter, said)
  }

  async #ask({ ...counter }: Counter): Promise<void> {
    const query = await this.signing(counter, (member) => member.accountQuery('JPY'))
    const { state } = await counter.runtime.link.call(readAccount, { query })
    const said = await this.opened(counter, (member) => member.openAccount(state))
    if (said) this.#hearBalance(said.balance.minor, 'account')
  }

  async #choose(counter: Counter): Promise<void> {
    const way = this.chance.pick(['debit', 'card', 'card', 'value'] as const)
    const token = way === 'card' ? this.#token() : undefined
    await this.#send(counter, choosePayment, (member) => ({ choice: member.payChoice(way, token) }))
    this.say(`pays statements by ${way}`)
  }

  async #object(counter: Counter, statement: string): Promise<void> {
    await this.#send(counter, objectTo, (member) => ({ objection: member.objection(statement, 'fee', 'too much') }))
    this.objected.add(statement)
    this.say(`objects to ${statement}`)
  }

  async #dispute(counter: Counter): Promise<void> {
    const [transaction] = [...this.paid].slice(-1)
    if (transaction === undefined || this.chance.chance(0.5)) return
    await this.#send(counter, disputeOrder, (member) => ({ dispute: member.dispute(transaction, 'never came') }))
    this.say(`disputes ${transaction}`)
  }

  #token(): string {
    return this.chance.chance(0.85) ? 'tok-good' : 'tok-empty'
  }

  #hearResult({ centre }: Counter, { transaction, paid, balance, receipt }: PayResult): void {
    this.#hearBalance(balance.minor, transaction)
    if (!receipt) return
    const said = openPayReceipt(centre, receipt)
    if (said.transaction !== transaction || said.amount.minor !== paid.minor)
      this.world.violate(
        'M6',
        `${this.name}: the receipt of ${transaction} says ${said.amount.minor}, not ${paid.minor}`,
      )
  }

  #hearBalance(minor: number, by: string): void {
    this.told.push({ minor, by })
  }

  /** Signs and sends, and takes a refusal for an answer: most are the member's own doing. */
  async #send<C extends Contract>(
    counter: Counter,
    contract: C,
    body: (member: PayMember) => RequestOf<C>,
  ): Promise<ReplyOf<C>> {
    return counter.pay.send(contract, await this.signing(counter, body))
  }
}
