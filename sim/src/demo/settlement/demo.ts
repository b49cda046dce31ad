/**
 * `npm run demo -- settlement`: enrol → top up in all four ways → buy → deliver → claim → payout → close → object → re-check →
 * debit → receipt on the card, with every check computed from what really happened and the trial balance at the end.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { openBillReceipt, openPayReceipt, type PayMember } from '@azukari/device/pay/member'
import { passwordBytes, Vault } from '@azukari/device/vault/vault'
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import { BankGate } from '@azukari/gateway/services/settlement/bank/release'
import { civilDate, daysBetween } from '@azukari/gateway/services/settlement/billing/calendar'
import { partOf } from '@azukari/gateway/services/settlement/billing/price'
import {
  choosePayment,
  objectionDecided,
  objectTo,
  receiptSent,
  statementSent,
} from '@azukari/protocol/contracts/settlement-billing'
import type { Person } from '@azukari/protocol/contracts/settlement-members'
import {
  actAsShop,
  balanceChanged,
  instructPayment,
  listOffer,
  payNotice,
  placeOrder,
  putOffer,
} from '@azukari/protocol/contracts/settlement-purchase'
import { readAccount, requestValue, type TopUpWay, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import type { Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { type Check, Checks } from '../../site/checks.ts'
import { until } from '../../site/wait.ts'
import type { VirtualCard } from '../../testkit/card/virtual-card.ts'
import { type DemoMember, SettlementStage } from './stage.ts'

export interface SettlementDemoOptions {
  /** Where the site goes; a folder of its own by default. */
  folder?: string
  log: Log
  tell: (line: string) => void
}

export interface SettlementDemoReport {
  checks: Check[]
  /** Path of every document, by what it is. */
  documents: { what: string; path: string }[]
  /** Per currency; their difference is zero. */
  trialBalance: { currency: string; debits: number; credits: number; difference: number }[]
  folder: string
}

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })

class SettlementDemo {
  readonly stage: SettlementStage
  readonly checks = new Checks()
  readonly documents: { what: string; path: string }[] = []
  readonly #tell: (line: string) => void
  #buyer!: DemoMember
  #shop!: DemoMember
  #card!: VirtualCard
  #placementNumber = ''
  #bankSeen = 0

  constructor(stage: SettlementStage, tell: (line: string) => void) {
    this.stage = stage
    this.#tell = tell
  }

  async run(): Promise<void> {
    await this.#enrol()
    await this.#topUp()
    const transactions = await this.#buy()
    await this.#payOut(transactions)
    await this.#bill()
    await this.#chargeCard()
    await this.#history()
    await this.#books()
  }

  async #enrol(): Promise<void> {
    this.#tell('— P1–P4 Enrolment')
    const [home, counter] = [await this.stage.terminal('home'), await this.stage.terminal('counter')]
    const issued = await this.stage.issueCard('預金 花子', 2)
    this.#card = issued.card
    this.#placementNumber = issued.number
    home.board.reader.insert(issued.card)
    await until('the member’s session', () => home.runtime.presence?.card?.session)
    const buyer = await this.stage.enrol('general', person('預金 花子', 'ﾖｷﾝ ﾊﾅｺ', '1234561'), home, issued.thumbprint)
    this.#buyer = buyer
    const shop = await this.stage.enrol(
      'shop',
      { ...person('写真の店', 'ｼﾔｼﾝﾉﾐｾ', '1234562'), invoiceNumber: 'T1234567890123' },
      counter,
    )
    this.#shop = shop
    this.#document('letter to the member', buyer.letter)
    this.#document('letter to the shop', shop.letter)
    const members = await this.stage.settlement.store.sql.all<{ state: string }>('SELECT state FROM members')
    this.checks.add(
      'P1',
      'a general and a shop member applied, got their numbers by letter and registered',
      members.filter(({ state }) => state === 'active').length === 2,
      `${buyer.number}, ${shop.number}`,
    )
    const alone = await refusalOf(buyer.vault.unlock(passwordBytes('ひらけごま 一番'), () => undefined))
    this.checks.add(
      'P2',
      'password A opens the history and never the signature key',
      alone === 'vault.wrong',
      `unlocking with A: ${alone}`,
    )
    this.checks.add(
      'P3',
      'the registration rested sealed in the vault and left it when it was sent',
      buyer.vault.waiting.length === 0,
      `${buyer.vault.waiting.length} waiting`,
    )
  }

  async #topUp(): Promise<void> {
    this.#tell('— P5 Stored value in all four ways')
    const ask = async (way: TopUpWay, minor: number, token?: string) => {
      const request = await this.stage.signing(this.#buyer, (pay) => pay.topUp(way, yen(minor), token))
      return (await this.#buyer.terminal.pay.send(requestValue, { request })).payment
    }
    await this.stage.cardCompany.fault({ fault: 'lost', answers: 1 })
    await ask('credit', 4_000, 'tok-good')
    const transfer = await ask('transfer', 3_000)
    const deposit = await ask('deposit', 2_000)
    const cash = await ask('cash', 1_000)
    const date = this.#today()
    await this.stage.bank.ask({ do: 'pay', minor: 3_000, text: transfer, date, payer: 'ﾖｷﾝ ﾊﾅｺ' })
    await this.#takeMovements('zengin')
    await this.stage.bank.ask({ do: 'pay', minor: 2_000, text: `FURIKOMI ${deposit}`, date })
    await this.#takeMovements('camt')
    await this.stage.settlement.cash.count(cash, 'clerk-1', 1_000, 'R-123-456')
    await this.stage.settlement.cash.count(cash, 'clerk-2', 1_000, 'R-123-456')
    const events = await until('all four issues', async () => {
      const kept = await this.#buyer.terminal.pay.kept(valueIssued)
      return kept.length >= 4 ? kept : undefined
    })
    const issues = await this.stage.signing(this.#buyer, (pay) => events.map(({ body }) => pay.openIssue(body.issue)))
    const issued = issues.filter(({ state }) => state === 'issued')
    const books = await this.stage.cardCompany.books()
    this.checks.add(
      'P5',
      'value was issued once the money was certain: credit card, transfer, deposit, cash',
      issued.length === 4,
      issued.map(({ amount }) => amount.minor).join(' + '),
    )
    this.checks.add(
      'P5',
      'an answer of the card company that was lost cost nothing and nobody twice',
      books.captured === 4_000,
      `the company captured ${books.captured}`,
    )
  }

  async #buy(): Promise<{ transaction: string; total: number }[]> {
    this.#tell('— P6, P7 Purchase and delivery')
    const offer = await this.stage.signing(this.#shop, (pay) =>
      pay.offer([
        { item: 'photo', name: '写真データ', kind: 'digital', price: 550, currency: 'JPY', tax: 10 },
        { item: 'tea', name: '茶', kind: 'goods', price: 1_080, currency: 'JPY', tax: 8 },
        { item: 'scan', name: 'スキャン', kind: 'metered', price: 20, currency: 'JPY', tax: 10, unit: 'page' },
      ]),
    )
    await this.#shop.terminal.pay.send(putOffer, { offer })
    const { items } = await this.#buyer.terminal.runtime.link.call(listOffer, { shop: this.#shop.number })
    const done: { transaction: string; total: number }[] = []
    for (const [item, count] of [
      ['photo', 1],
      ['tea', 2],
      ['scan', 50],
    ] as const) {
      const order = await this.stage.signing(this.#buyer, (pay) => pay.order(this.#shop.number, [{ item, count }]))
      const { transaction, total } = await this.#buyer.terminal.pay.send(placeOrder, { order })
      const instruction = await this.stage.signing(this.#buyer, (pay) =>
        pay.instruction(transaction, this.#shop.number, total),
      )
      const { result } = await this.#buyer.terminal.pay.send(instructPayment, { instruction })
      const told = await this.stage.signing(this.#buyer, (pay) => pay.openResult(result))
      await this.#buyer.vault.note({
        atMs: this.stage.clock.now(),
        what: 'purchase',
        reference: transaction,
        changeMinor: -told.paid.minor,
        currency: 'JPY',
        ...(told.receipt ? { receipt: told.receipt } : {}),
      })
      if (told.receipt) {
        const { taxes } = openPayReceipt(this.stage.centre, told.receipt)
        this.checks.add(
          'P6',
          `paid for ${item}: new balance and a signed receipt with tax`,
          taxes.length === 1,
          `balance ${told.balance.minor}, tax ${taxes[0]?.tax}`,
        )
      }
      done.push({ transaction, total: total.minor })
    }
    const notices = await until('three notices', async () => {
      const kept = await this.#shop.terminal.pay.kept(payNotice)
      return kept.length >= 3 ? kept : undefined
    })
    const opened = await this.stage.signing(this.#shop, (pay) => notices.map(({ body }) => pay.openNotice(body.notice)))
    this.checks.add(
      'P6',
      'the shop was told of each payment, signed and sealed, with the order’s number',
      done.every(({ transaction }) => opened.some((notice) => notice.transaction === transaction)),
      `${items.length} items, ${opened.length} notices`,
    )

    const [photo, tea, scan] = done
    await this.#shopDoes(photo!.transaction, { do: 'deliver', state: 'delivered', how: 'transfer' })
    await this.#shopDoes(tea!.transaction, { do: 'deliver', state: 'sent', how: 'parcel 17' })
    await this.#shopDoes(tea!.transaction, { do: 'refund', minor: 1_080, reason: 'one was broken' })
    await this.#shopDoes(tea!.transaction, { do: 'deliver', state: 'delivered', how: 'parcel 17' })
    const tick = await this.stage.signing(this.#buyer, (pay) => pay.tick(scan!.transaction, 12))
    await this.#shopDoes(scan!.transaction, { do: 'meter', tick })
    await until('what came back', async () => (await this.#buyer.terminal.pay.kept(balanceChanged)).length >= 2)
    const balance = await this.#balance()
    // 10,000 in; 550 and 1,080 of 2,160 and 12 pages at 20 out.
    this.checks.add(
      'P7',
      'delivered at once, later, and by the page; what was not used or was broken came back',
      balance === 10_000 - 550 - 1_080 - 240,
      `balance ${balance}`,
    )
    return done
  }

  async #payOut(transactions: { transaction: string }[]): Promise<void> {
    this.#tell('— P7 Claim and payout')
    for (const { transaction } of transactions) await this.#shopDoes(transaction, { do: 'claim' })
    const { bank } = this.stage.settlement
    const file = (await bank.payoutFile(this.#today(), 'zengin'))!
    this.#document('payout file', await this.stage.keep(file.document))
    // The gate before the bank knows settlement's public key alone.
    const gate = await BankGate.open(memoryDatabase(), this.stage.settlement.publicKey)
    const { content, note } = await bank.release(file.document, 'clerk-1')
    const { epoch } = await gate.admit(content, note, this.stage.clock.now())
    const twice = await refusalOf(Promise.resolve().then(() => gate.admit(content, note, this.stage.clock.now())))
    this.checks.add(
      'P9',
      'the bank file left with a signed note of its epoch, and the gate before the bank let it through once',
      twice === 'bank.file-known',
      `epoch ${epoch}; again: ${twice}`,
    )
    await this.stage.bank.ask({ do: 'transfers', file: Buffer.from(content).toString('base64'), date: this.#today() })
    const records = Buffer.from(content).toString('latin1').split('\r\n').slice(0, -1)
    await this.#takeMovements('zengin')
    const states = await this.stage.settlement.store.sql.all<{ state: string; amount: number }>(
      'SELECT state, amount FROM payouts',
    )
    this.checks.add(
      'P7',
      'claims went out in one bank file of 120-byte records, and the bank’s file says they were paid',
      states.every(({ state }) => state === 'paid') && records.every(({ length }) => length === 120),
      `${states.map(({ amount }) => amount).join(', ')} in ${records.length} records`,
    )
  }

  async #bill(): Promise<void> {
    this.#tell('— S13 Statement, objection, debit, receipt')
    const { billing } = this.stage.settlement
    const placement = this.stage.placement
    const { pay } = this.#buyer.terminal
    // Day by day, to the first closing day, which is each member's own.
    let issued: string[] = []
    while (issued.length === 0) {
      this.stage.clock.turnDays(1)
      issued = (await billing.close()).issued
    }
    const first = await this.#statement(1)
    const part = partOf(first.from, first.to)
    const net = part ? Math.floor((1_000 * part.days) / part.of) : 1_000
    this.#document('statement', await this.#documentOf('statement', 0))
    this.checks.add(
      'S13',
      'the period was closed, checked and billed; the statement says until when and how to object',
      first.total.minor === net + Math.floor(net / 10),
      `${first.total.minor} JPY (${first.lines[0]?.how}), objections until ${first.objectBy}`,
    )

    const objection = await this.stage.signing(this.#buyer, (member) =>
      member.objection(first.statement, 'profile', 'my level is 1'),
    )
    await pay.send(objectTo, { objection })
    this.stage.clock.turnDays(20)
    const held = (await billing.debitFile()) === undefined
    // For the months to come; the month that was billed is what the clerk finds about it.
    await placement.changeMember(this.#placementNumber, { level: 1 })
    const [open] = await billing.objections.open(1)
    const found = { level: 1, reason: 'the contract says level 1' }
    const decided = await billing.objections.decide(open!.id, 'clerk-1', found)
    await until('the decision', async () => (await pay.kept(objectionDecided)).length === 1)
    const second = await this.#statement(2)
    this.#document('credit note', await this.#documentOf('credit-note', 0))
    this.#document('statement in its place', await this.#documentOf('statement', 1))
    this.checks.add(
      'S13',
      'an objection stopped the debit; the re-check found it right; credit note and a new statement',
      held && decided.upheld && second.replaces === first.statement,
      `${decided.findings[1]}: ${first.total.minor} → ${second.total.minor}`,
    )

    const again = await this.stage.signing(this.#buyer, (member) =>
      member.objection(second.statement, 'fee', 'still too much'),
    )
    await pay.send(objectTo, { objection: again })
    const refused = await billing.objections.decide((await billing.objections.open(1))[0]!.id, 'clerk-1')
    this.checks.add(
      'S13',
      'an objection that is wrong is refused with the terms compared',
      !refused.upheld,
      refused.findings[0] ?? '',
    )

    this.stage.clock.turnDays(16)
    const file = (await billing.debitFile())!
    this.#document('debit file', await this.stage.keep(file.document))
    const content = Buffer.from((await this.stage.settlement.document(file.document))!.content)
    const late = await this.stage.signing(this.#buyer, (member) =>
      member.objection(second.statement, 'fee', 'too late'),
    )
    const refusal = await refusalOf(pay.send(objectTo, { objection: late }))
    const answer = await this.stage.bank.ask<{ file: string }>({
      do: 'debits',
      file: content.toString('base64'),
      date: this.#today(),
      poor: [],
    })
    await this.stage.settlement.bank.take(new Uint8Array(Buffer.from(answer.file, 'base64')))
    const [receipt] = await until('the receipt', async () => {
      const kept = await pay.kept(receiptSent)
      return kept.length > 0 ? kept : undefined
    })
    const { amountMinor, paidOn } = openBillReceipt(this.stage.centre, receipt!.body.receipt)
    this.#document('receipt', await this.#documentOf('receipt', 0))
    this.checks.add(
      'S13',
      'the bank collected once, past the deadline; an objection after that is refused',
      amountMinor === second.total.minor && refusal === 'bill.handed-over',
      `${amountMinor} JPY on ${paidOn}; late objection: ${refusal}`,
    )
    this.#buyer.terminal.runtime.presence?.refresh()
    await until('the receipt on the card', async () => (await pay.receiptsWaiting()) === 0)
    const onCard = Buffer.from(this.#card.save()).includes(Buffer.from(receipt!.body.receipt))
    this.checks.add('S13', 'the signed receipt is on the card', onCard, `${receipt!.body.receipt.length} bytes`)
  }

  /** The next period, by credit card: objected to while it is authorised, paid once, and taken back in the end. */
  async #chargeCard(): Promise<void> {
    this.#tell('— S14 A statement by credit card')
    const { billing, cardsIdle } = this.stage.settlement
    const { pay } = this.#buyer.terminal
    const before = await this.stage.cardCompany.books()
    const choice = await this.stage.signing(this.#buyer, (member) => member.payChoice('card', 'tok-good'))
    await pay.send(choosePayment, { choice })
    this.stage.clock.turnDays(31)
    // Every period that has ended since the first one.
    const { issued } = await billing.close()
    const kept = await until('the statements by card', async () => {
      const all = await pay.kept(statementSent)
      return all.length >= 2 + issued.length ? all.slice(2) : undefined
    })
    const statements = await this.stage.signing(this.#buyer, (member) =>
      kept.map(({ body }) => member.openStatement(body.statement)),
    )
    const statement = statements.at(-1)!
    const due = statements.reduce((sum, { total }) => sum + total.minor, 0)
    const inState = async (state: string) =>
      (
        await this.stage.settlement.store.sql.all<{ number: string }>(
          'SELECT number FROM statements WHERE state = ?',
          state,
        )
      ).map(({ number }) => number)
    this.stage.clock.turnDays(Math.max(0, daysBetween(this.#today(), statement.objectBy)))
    await billing.collectCards()
    await until('authorised', async () => (await this.stage.cardCompany.books()).open === issued.length)
    const objection = await this.stage.signing(this.#buyer, (member) =>
      member.objection(statement.statement, 'fee', 'a word before you collect'),
    )
    await pay.send(objectTo, { objection })
    await until('given back', async () => {
      await cardsIdle()
      return (await this.stage.cardCompany.books()).open === issued.length - 1
    })
    const stopped = await this.stage.cardCompany.books()
    this.checks.add(
      'S14',
      'an objection between authorisation and capture gave the authorisation back; nothing was taken',
      stopped.captured === before.captured && (await inState('objected')).includes(statement.statement),
      `${stopped.captured - before.captured} captured, ${stopped.open} of ${issued.length} still authorised`,
    )
    await billing.objections.decide((await billing.objections.open(1))[0]!.id, 'clerk-1')
    this.stage.clock.turnDays(Math.max(0, daysBetween(this.#today(), statement.debitOn)))
    await this.stage.cardCompany.fault({ fault: 'lost', answers: 2 })
    await billing.collectCards()
    const receipts = await until('the receipt', async () => {
      const all = await pay.kept(receiptSent)
      return all.length >= 1 + issued.length ? all : undefined
    })
    const { receipt } = receipts.at(-1)!.body
    const { amountMinor, payment } = openBillReceipt(this.stage.centre, receipt)
    const paid = await this.stage.cardCompany.books()
    this.checks.add(
      'S14',
      'paid by credit card on its day, once, although two of the company’s answers were lost',
      paid.captured - before.captured === due && payment === 'card',
      `${issued.length} statements, the last of ${amountMinor} JPY by ${payment}; the company captured ${paid.captured - before.captured}`,
    )
    this.#buyer.terminal.runtime.presence?.refresh()
    await until('the receipt on the card', async () => (await pay.receiptsWaiting()) === 0)
    const onCard = Buffer.from(this.#card.save()).includes(Buffer.from(receipt))
    this.checks.add('S14', 'its receipt is on the card', onCard, `${receipt.length} bytes`)

    await this.stage.cardCompany.event('reverse-last')
    this.stage.clock.turnDays(1)
    await billing.collectCards()
    await until('open again', async () => (await inState('returned')).length === 1)
    this.#document('reminder', await this.#documentOf('dunning', 0))
    this.checks.add(
      'S14',
      'a payment that the card company took back leaves the statement open, with a reminder',
      (await this.stage.settlement.documents('dunning')).length === 1,
      `${(await inState('returned')).join()} is to be paid again`,
    )
  }

  async #history(): Promise<void> {
    const { folder } = this.#buyer.terminal
    const offline = await new Vault(this.stage.ports, `${folder}/vault`).open(passwordBytes('ひらけごま 一番'))
    const without = await refusalOf(offline.unlock(this.#buyer.passwordB, () => undefined))
    this.checks.add(
      'P8',
      'without a line and without the card password A shows the history; nothing can be signed',
      offline.history.length === 3 && without === 'card.absent',
      `${offline.history.length} entries; signing: ${without}`,
    )
    offline.lock()
  }

  async #books(): Promise<void> {
    const { settlement } = this.stage
    const { findings, postings, accounts } = await settlement.audit()
    const head = await settlement.head(this.#today())
    this.checks.add(
      'P9',
      'an audit from the journal alone agrees with every balance, hold and the chain',
      findings.length === 0,
      `${postings} postings, ${accounts} accounts, head of ${head.length} bytes signed`,
    )
    const equal = (await this.trialBalance()).every(({ difference }) => difference === 0)
    this.checks.add(
      'P9',
      'the trial balance is zero',
      equal,
      (await this.trialBalance()).map(({ currency, debits }) => `${debits} ${currency} on both sides`).join(', '),
    )
  }

  async trialBalance(): Promise<SettlementDemoReport['trialBalance']> {
    return (await this.stage.settlement.trialBalance()).map(({ currency, debitsMinor, creditsMinor }) => ({
      currency,
      debits: Number(debitsMinor),
      credits: Number(creditsMinor),
      difference: Number(debitsMinor - creditsMinor),
    }))
  }

  async #statement(count: number) {
    const { pay } = this.#buyer.terminal
    const kept = await until(`statement ${count}`, async () => {
      const all = await pay.kept(statementSent)
      return all.length >= count ? all : undefined
    })
    return this.stage.signing(this.#buyer, (member) => member.openStatement(kept[count - 1]!.body.statement))
  }

  async #balance(): Promise<number> {
    const query = await this.stage.signing(this.#buyer, (pay) => pay.accountQuery('JPY'))
    const { state } = await this.#buyer.terminal.runtime.link.call(readAccount, { query })
    return this.stage.signing(this.#buyer, (pay) => pay.openAccount(state).balance.minor)
  }

  async #shopDoes(transaction: string, what: Parameters<PayMember['shopAct']>[1]): Promise<void> {
    const act = await this.stage.signing(this.#shop, (pay) => pay.shopAct(transaction, what))
    await this.#shop.terminal.pay.send(actAsShop, { act })
  }

  async #takeMovements(format: 'zengin' | 'camt'): Promise<void> {
    const { file, count } = await this.stage.bank.movements(this.#bankSeen, format)
    this.#bankSeen += count
    await this.stage.settlement.bank.take(file)
  }

  async #documentOf(kind: 'statement' | 'credit-note' | 'receipt' | 'dunning', nth: number): Promise<string> {
    return this.stage.keep((await this.stage.settlement.documents(kind))[nth]!.id)
  }

  #document(what: string, path: string): void {
    this.documents.push({ what, path })
    this.#tell(`  ${what}: ${path}`)
  }

  #today(): string {
    return civilDate(this.stage.clock.now(), 'Asia/Tokyo')
  }
}

/** Runs the whole way. The site's folder stays, so that documents can be looked at. */
export async function runSettlementDemo(options: SettlementDemoOptions): Promise<SettlementDemoReport> {
  const folder = options.folder ? resolve(options.folder) : await mkdtemp(join(tmpdir(), 'azukari-demo-'))
  const stage = new SettlementStage(folder, options.log)
  const demo = new SettlementDemo(stage, options.tell)
  try {
    await stage.start()
    let trialBalance: SettlementDemoReport['trialBalance'] = []
    try {
      await demo.run()
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      demo.checks.add('S13', 'the demo came to its end', false, detail)
    }
    trialBalance = await demo.trialBalance()
    return { checks: demo.checks.list, documents: demo.documents, trialBalance, folder }
  } finally {
    options.tell('Stopping the site')
    await stage.stop()
  }
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'nothing'
  } catch (error) {
    return isProblem(error) ? error.code : String(error)
  }
}

function person(name: string, holder: string, number: string): Person {
  return {
    name,
    kana: 'ヨキン',
    postcode: '100-0001',
    address: '東京都千代田区千代田1-1',
    account: { bank: '0001', branch: '001', kind: 'ordinary', number, holder },
  }
}
