/**
 * Settlement from a seed: members, shops, clerks and a bank act at random while the service dies before and after commits,
 * every act comes several times and in any order between devices, and bank files overlap. An own model, fed only with
 * what was acknowledged and what the bank really moved, says what every balance must be.
 */

import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { choosePayment, objectTo, statementSent } from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import {
  actAsShop,
  instructPayment,
  placeOrder,
  putOffer,
  type ShopAct,
} from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { debitAnswerFile, type Movement, movementsFile, readTransfers } from '../../testkit/settlement/bank-side.ts'
import { CompanyBooks } from '../../testkit/settlement/card-company-books.ts'
import { companyInside } from '../../testkit/settlement/card-company-inside.ts'
import { Crash, CrashMedium } from '../../testkit/settlement/crash-database.ts'
import { type FixtureMember, ownAccount, SettlementFixture, seeded } from '../../testkit/settlement/fixture.ts'

export interface ChaosReport {
  seed: number
  crashes: number
  postings: number
  paid: number
  refunded: number
  debits: number
  /** Statements that the card company collected, and those of which it took the money back. */
  charged: number
  chargedBack: number
  /** What was broken; empty when everything held. */
  violations: string[]
}

interface Sold {
  number: string
  buyer: FixtureMember
  shop: FixtureMember
  left: number
}

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })

class Chaos {
  readonly #random: ReturnType<typeof seeded>
  readonly #medium = new CrashMedium()
  readonly #fixture: SettlementFixture
  readonly #violations: string[] = []
  readonly #members: FixtureMember[] = []
  readonly #shops: FixtureMember[] = []
  /** By member: what the model says is stored. */
  readonly #value = new Map<string, number>()
  readonly #sold: Sold[] = []
  readonly #movements: Movement[] = []
  /** Transfers to us that the bank has booked, by payment number: whose and how much. */
  readonly #requested = new Map<string, { member: FixtureMember; minor: number }>()
  readonly #open: { payment: string; member: FixtureMember; minor: number }[] = []
  readonly #handed = new Set<string>()
  readonly #objected = new Set<string>()
  readonly #statements = new Map<string, { member: FixtureMember; number: string }>()
  #bankBalance = 0
  #levels = 2
  #paid = 0
  #refunded = 0
  #debits = 0
  readonly #company = new CompanyBooks()
  #chargedBack = 0

  constructor(seed: number) {
    this.#random = seeded(seed + 1_000_000)
    const placement = { account: async (): Promise<AccountFacts> => this.#facts() }
    const cardCompany = companyInside(this.#company, {
      fate: () => {
        const fate = this.#below(12)
        return fate === 0 ? 'before' : fate === 1 ? 'after' : undefined
      },
      heard: (path, id) => this.#heard(path, id),
    })
    // Authorised long ahead, so that many an objection comes between authorisation and capture.
    const more = { billing: { authoriseDays: 20 } }
    this.#fixture = new SettlementFixture({ seed, placement, medium: this.#medium, cardCompany, more })
  }

  async run(steps: number): Promise<Omit<ChaosReport, 'seed'>> {
    await this.#fixture.start()
    for (let i = 0; i < 3; i++)
      this.#members.push(await this.#fixture.enrol('general', {}, this.#fixture.random.bytes(32)))
    for (let i = 0; i < 2; i++) this.#shops.push(await this.#fixture.enrol('shop'))
    const byCard = this.#members[1]!
    await this.#act(choosePayment, { choice: byCard.pay.payChoice('card', 'tok-good') }, byCard)
    for (const shop of this.#shops)
      await this.#act(
        putOffer,
        {
          offer: shop.pay.offer([
            { item: 'x', name: 'x', kind: 'digital', price: 100 + this.#below(900), currency: 'JPY', tax: 10 },
          ]),
        },
        shop,
      )
    for (let step = 0; step < steps; step++) {
      if (this.#below(3) === 0)
        this.#medium.plan = {
          at: this.#medium.commits + 1 + this.#below(6),
          side: this.#below(2) === 0 ? 'before' : 'after',
        }
      await this.#step()
    }
    this.#medium.plan = undefined
    await this.#revive()
    await this.#settle()
    await this.#check()
    return {
      crashes: this.#medium.crashes,
      postings: (await this.#fixture.settlement.audit()).postings,
      ...{ paid: this.#paid, refunded: this.#refunded, debits: this.#debits, violations: this.#violations },
      charged: this.#company.list().filter(({ state }) => state === 'captured' || state === 'reversed').length,
      chargedBack: this.#chargedBack,
    }
  }

  async #step(): Promise<void> {
    const steps = [
      () => this.#ask(),
      () => this.#payIn(),
      () => this.#bankFile(),
      () => this.#cash(),
      () => this.#buy(),
      () => this.#buy(),
      () => this.#shopAct(),
      () => this.#payOut(),
      () => this.#days(),
      () => this.#days(),
      () => this.#object(),
      () => this.#decide(),
      () => this.#debit(),
      () => this.#choose(),
      () => this.#charge(),
      () => this.#disagree(),
    ]
    await steps[this.#below(steps.length)]!()
    await this.#asked()
  }

  async #ask(): Promise<void> {
    const member = this.#one(this.#members)
    const minor = 100 + this.#below(5_000)
    const reply = await this.#act(
      requestValue,
      { request: member.pay.topUp(this.#below(2) === 0 ? 'transfer' : 'deposit', yen(minor)) },
      member,
    )
    if (reply) {
      this.#requested.set(reply.payment, { member, minor })
      this.#open.push({ payment: reply.payment, member, minor })
    }
  }

  /** The member pays at the bank: rightly, without the number, or twice. */
  async #payIn(): Promise<void> {
    const asked = this.#open.pop()
    if (!asked) return
    const times = this.#below(8) === 0 ? 2 : 1
    for (let i = 0; i < times; i++)
      this.#move({
        direction: 'in',
        minor: asked.minor,
        text: this.#below(8) === 0 ? 'SORRY NO NUMBER' : asked.payment,
      })
  }

  async #cash(): Promise<void> {
    const member = this.#one(this.#members)
    const minor = 100 + this.#below(2_000)
    const reply = await this.#act(requestValue, { request: member.pay.topUp('cash', yen(minor)) }, member)
    if (!reply) return
    for (const clerk of ['clerk-1', 'clerk-2'])
      await this.#clerk(() => this.#fixture.settlement.cash.count(reply.payment, clerk, minor, 'R'))
    this.#add(member, minor)
  }

  /** A file of the bank: any window over its movements, in either format. */
  async #bankFile(): Promise<void> {
    if (this.#movements.length === 0) return
    const from = this.#below(this.#movements.length)
    await this.#take(from, from + 1 + this.#below(this.#movements.length - from))
  }

  async #take(from: number, to: number): Promise<void> {
    const some = this.#movements.slice(from, to)
    // The formats name a movement differently, so one bank tells one account in one format only.
    await this.#clerk(() => this.#fixture.settlement.bank.take(movementsFile(ownAccount.account, some)))
  }

  async #buy(): Promise<void> {
    const [buyer, shop] = [this.#one(this.#members), this.#one(this.#shops)]
    const order = await this.#act(
      placeOrder,
      { order: buyer.pay.order(shop.number, [{ item: 'x', count: 1 + this.#below(3) }]) },
      buyer,
    )
    if (!order) return
    const paid = await this.#act(
      instructPayment,
      { instruction: buyer.pay.instruction(order.transaction, shop.number, order.total) },
      buyer,
    )
    if (!paid) return
    this.#paid++
    this.#add(buyer, -order.total.minor)
    this.#sold.push({ number: order.transaction, buyer, shop, left: order.total.minor })
  }

  async #shopAct(): Promise<void> {
    const sold = this.#sold[this.#below(Math.max(1, this.#sold.length))]
    if (!sold) return
    const minor = 1 + this.#below(sold.left + 20)
    const what = this.#one<ShopAct['what']>([
      { do: 'deliver', state: 'delivered', how: 'line' },
      { do: 'claim' },
      { do: 'refund', minor, reason: 'chance' },
    ])
    const done = await this.#act(actAsShop, { act: sold.shop.pay.shopAct(sold.number, what) }, sold.shop)
    if (!done || what.do !== 'refund') return
    this.#refunded++
    sold.left -= minor
    if (sold.left < 0) this.#violations.push(`${sold.number} gave back more than was paid`)
    this.#add(sold.buyer, minor)
  }

  async #payOut(): Promise<void> {
    await this.#clerk(() => this.#fixture.settlement.bank.payoutFile(this.#today(), 'zengin'))
    // The clerk hands over every file once; after a crash it lies among the documents.
    for (const { id } of await this.#fixture.settlement.documents('payout-file')) {
      if (!this.#once(id)) continue
      for (const { reference, minor } of readTransfers((await this.#fixture.settlement.document(id))!.content))
        this.#move({ direction: 'out', minor, text: reference })
    }
  }

  async #days(): Promise<void> {
    this.#fixture.clock.turn((1 + this.#below(9)) * 86_400_000)
    if (this.#below(4) === 0) this.#levels = this.#below(4)
    await this.#clerk(() => this.#fixture.settlement.billing.close())
    if (this.#below(2) === 0) await this.#charge()
    await this.#clerk(() => this.#fixture.settlement.payouts.lapse())
    for (const member of this.#members) await this.#clerk(() => this.#read(member))
  }

  async #read(member: FixtureMember): Promise<void> {
    for (const { statement } of await this.#fixture.events(statementSent, member.device)) {
      const { statement: number } = member.pay.openStatement(statement)
      this.#statements.set(number, { member, number })
    }
  }

  async #object(): Promise<void> {
    const [some] = [...this.#statements.values()].slice(-1 - this.#below(3))
    if (!some) return
    const done = await this.#act(
      objectTo,
      { objection: some.member.pay.objection(some.number, 'fee', 'too much') },
      some.member,
    )
    if (done) this.#objected.add(some.number)
  }

  async #decide(): Promise<void> {
    const [open] = await this.#fixture.settlement.billing.objections.open(1)
    if (!open) return
    await this.#clerk(() => this.#fixture.settlement.billing.objections.decide(open.id, 'clerk-1'))
    this.#objected.delete(open.statement)
  }

  async #debit(): Promise<void> {
    await this.#clerk(() => this.#fixture.settlement.billing.debitFile())
    for (const { id } of await this.#fixture.settlement.documents('debit-file')) {
      if (!this.#once(id)) continue
      const file = (await this.#fixture.settlement.document(id))!.content
      const answer = debitAnswerFile(file, (reference) => {
        if (this.#objected.has(reference)) this.#violations.push(`${reference} was debited past an open objection`)
        return this.#below(4) === 0 ? '1' : '0'
      })
      await this.#clerk(() => this.#fixture.settlement.bank.take(answer))
      this.#debits++
      this.#bankBalance += paidIn(answer)
    }
  }

  async #choose(): Promise<void> {
    // The first one stays with the bank.
    const member = this.#one(this.#members.slice(1))
    const [way, token] = this.#one<['debit' | 'value'] | ['card', string]>([
      ['debit'],
      ['value'],
      ['card', 'tok-good'],
      ['card', 'tok-good'],
      ['card', 'tok-good'],
      ['card', 'tok-empty'],
    ])
    await this.#act(choosePayment, { choice: member.pay.payChoice(way, token) }, member)
  }

  async #charge(): Promise<void> {
    await this.#clerk(() => this.#fixture.settlement.billing.collectCards())
  }

  /** A cardholder disputes what was captured, or authorisations run out. */
  async #disagree(): Promise<void> {
    if (this.#below(3) === 0) return this.#company.lapse()
    const captured = this.#company.list().filter(({ state }) => state === 'captured')
    const one = captured[this.#below(Math.max(1, captured.length))]
    if (one && this.#company.reverse(one.authorisation)) this.#chargedBack++
  }

  /** The company hears a question: what is captured must be past every objection that was acknowledged. */
  async #heard(path: string, id: string): Promise<void> {
    if (!path.endsWith('/capture')) return
    const row = await this.#medium.sqlite.get<{ statement: string }>(
      'SELECT statement FROM card_charges WHERE lower(hex(id)) = ?',
      id,
    )
    if (row && this.#objected.has(row.statement))
      this.#violations.push(`${row.statement} was captured past an open objection`)
  }

  /** The company has been asked what is due, in a process that lives. */
  async #asked(): Promise<void> {
    await this.#fixture.settlement.cardsIdle()
    await this.#revive()
  }

  /** Everything that the bank moved is told, and every hold that can still end ends. */
  async #settle(): Promise<void> {
    await this.#payOut()
    await this.#debit()
    await this.#take(0, this.#movements.length)
    // Longer than an authorisation is asked for ahead, so that every question to the company comes to its end.
    for (let i = 0; i < 240; i++) {
      this.#fixture.clock.turn(3 * 3_600_000)
      await this.#asked()
    }
  }

  async #check(): Promise<void> {
    const { settlement } = this.#fixture
    const { findings } = await settlement.audit()
    for (const { what, where } of findings) this.#violations.push(`audit: ${what} ${where}`)
    for (const { currency, debitsMinor, creditsMinor } of await settlement.trialBalance())
      if (debitsMinor !== creditsMinor)
        this.#violations.push(`${currency}: debits ${debitsMinor}, credits ${creditsMinor}`)
    const accounts = await this.#medium.sqlite.all<{ code: string; net: number }>(
      'SELECT code, credits_posted - debits_posted AS net FROM ledger_accounts',
    )
    const net = new Map(accounts.map(({ code, net }) => [code, net]))
    const bank = -(net.get('bank/JPY') ?? 0)
    if (bank !== this.#bankBalance) this.#violations.push(`the bank has ${this.#bankBalance}, the ledger says ${bank}`)
    const { captured, open } = this.#company.totals()
    const company = -(net.get('card-company/JPY') ?? 0)
    if (company !== captured) this.#violations.push(`the card company took ${captured}, the ledger says ${company}`)
    if (open > 0) this.#violations.push(`${open} authorisations were neither captured nor given back`)
    await this.#checkStatements(net)
    // Value by transfer is issued once per number that the bank brought, however often it was paid.
    const issued = new Set<string>()
    for (const { text, direction } of this.#movements) {
      const asked = this.#requested.get(text)
      if (direction !== 'in' || !asked || issued.has(text)) continue
      issued.add(text)
      this.#add(asked.member, asked.minor)
    }
    for (const member of this.#members) {
      const { id } = (await this.#medium.sqlite.get<{ id: Uint8Array }>(
        'SELECT id FROM members WHERE number = ?',
        member.number,
      ))!
      const stands = net.get(`value/${Buffer.from(id).toString('hex')}/JPY`) ?? 0
      const expected = this.#value.get(member.number) ?? 0
      if (stands !== expected) this.#violations.push(`${member.number} has ${stands}, the model says ${expected}`)
    }
  }

  /** What each member owes is what statements ask for and nobody paid; each is paid as often as money came, less what went back. */
  async #checkStatements(net: ReadonlyMap<string, number>): Promise<void> {
    const { sqlite } = this.#medium
    const owed = await sqlite.all<{ member: string; owed: number }>(
      `SELECT lower(hex(member)) AS member, sum(total) AS owed FROM statements WHERE state NOT IN ('paid', 'credited')
       GROUP BY member`,
    )
    const of = new Map(owed.map(({ member, owed }) => [member, owed]))
    for (const [code, sum] of net) {
      const member = /^receivable\/([0-9a-f]+)\/JPY$/.exec(code)?.[1]
      if (member && -sum !== (of.get(member) ?? 0))
        this.#violations.push(`${member} owes ${-sum}, open statements say ${of.get(member) ?? 0}`)
    }
    const times = new Map<string, number>()
    for (const { reason, reference } of await sqlite.all<{ reason: string; reference: string }>(
      "SELECT reason, reference FROM ledger_postings WHERE reason IN ('statement-paid', 'payment-reversed')",
    ))
      times.set(reference, (times.get(reference) ?? 0) + (reason === 'statement-paid' ? 1 : -1))
    for (const { number, state } of await sqlite.all<{ number: string; state: string }>(
      'SELECT number, state FROM statements WHERE total > 0',
    ))
      if ((times.get(number) ?? 0) !== (state === 'paid' ? 1 : 0))
        this.#violations.push(`${number} is ${state} and was paid ${times.get(number) ?? 0} times`)
  }

  /** An act until it is answered, through crashes, and again after it was: the answer must not change. */
  async #act<C extends Contract>(
    contract: C,
    body: RequestOf<C>,
    member: FixtureMember,
  ): Promise<ReplyOf<C> | undefined> {
    try {
      return await this.#fixture.insist(contract, body, member.device, () => this.#revive())
    } catch (error) {
      if (isProblem(error)) return undefined
      throw error
    }
  }

  /** A clerk repeats what broke off; that it was done already is an answer too. */
  async #clerk(work: () => unknown): Promise<void> {
    for (let tries = 0; tries < 20; tries++)
      try {
        await work()
        return
      } catch (error) {
        if (error instanceof Crash) await this.#revive()
        else if (isProblem(error)) return
        else throw error
      }
    throw new Problem('service.unavailable', 'it never came to its end')
  }

  async #revive(): Promise<void> {
    await this.#fixture.revive()
  }

  #move(movement: Omit<Movement, 'id' | 'date'>): void {
    this.#movements.push({ id: this.#movements.length + 1, date: this.#today(), ...movement })
    this.#bankBalance += movement.direction === 'in' ? movement.minor : -movement.minor
  }

  #once(id: Uint8Array): boolean {
    const name = Buffer.from(id).toString('hex')
    if (this.#handed.has(name)) return false
    this.#handed.add(name)
    return true
  }

  #add(member: FixtureMember, minor: number): void {
    this.#value.set(member.number, (this.#value.get(member.number) ?? 0) + minor)
  }

  #today(): string {
    return new Date(this.#fixture.clock.now()).toISOString().slice(0, 10)
  }

  #below(n: number): number {
    return Math.floor(this.#random.float() * n)
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!
  }

  #facts(): AccountFacts {
    return {
      ...{ level: this.#levels, home: 'JP-13', sinceMs: 0, objects: 1, bytes: 1, tamperings: 0, kept: [], faults: [] },
      check: { objects: 1, checked: 1, bad: 0, atMs: this.#fixture.clock.now() },
    }
  }
}

/** What the bank says in its answer that it collected. */
function paidIn(answer: Uint8Array): number {
  const trailer = Buffer.from(answer)
    .toString('latin1')
    .split('\r\n')
    .find((record) => record.startsWith('8'))!
  return Number(trailer.slice(25, 37))
}

export async function runSettlementSeed(seed: number, steps = 80): Promise<ChaosReport> {
  return { seed, ...(await new Chaos(seed).run(steps)) }
}
