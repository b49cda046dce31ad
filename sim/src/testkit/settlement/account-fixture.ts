/** A site whose account at the bank is told of by files: what they say, and what the books show afterwards. */
import { writeXml, type Xml } from '@azukari/gateway/services/settlement/bank/files/xml'
import { auditSite } from '@azukari/gateway/services/settlement/ledger/independent-audit'
import type { Person } from '@azukari/protocol/contracts/settlement-members'
import { actAsShop, instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { coseKey } from '@azukari/protocol/keys'
import type { Test } from 'tap'
import { type FixtureMember, type FixtureOptions, ownAccount as own, SettlementFixture } from './fixture.ts'

/** A camt.053 of our account with entries as they are given. */
export function statement(id: string, entries: Xml[], account = own.account.number): Uint8Array {
  return writeXml([
    'Document',
    { xmlns: 'urn:iso:std:iso:20022:tech:xsd:camt.053.001.08' },
    [
      'BkToCstmrStmt',
      ['GrpHdr', ['MsgId', id], ['CreDtTm', '2026-11-04T06:00:00']],
      ['Stmt', ['Id', id], ['CreDtTm', '2026-11-04T06:00:00'], ['Acct', ['Id', ['Othr', ['Id', account]]]], entries],
    ],
  ])
}

export interface Told {
  minor: number | string
  ref?: string
  ntryRef?: string
  direction?: 'CRDT' | 'DBIT'
  reversal?: string
  date?: string
  currency?: string
  text?: string
  details?: Xml[]
  more?: Xml[]
}

export function entry({ minor, ref, ntryRef, direction = 'CRDT', reversal, date = '2026-11-03', ...rest }: Told): Xml {
  const { currency = 'JPY', text, details, more = [] } = rest
  return [
    'Ntry',
    ntryRef ? ['NtryRef', ntryRef] : undefined,
    ['Amt', { Ccy: currency }, String(minor)],
    ['CdtDbtInd', direction],
    reversal ? ['RvslInd', reversal] : undefined,
    ['Sts', ['Cd', 'BOOK']],
    ['BookgDt', ['Dt', date]],
    ref ? ['AcctSvcrRef', ref] : undefined,
    ['BkTxCd'],
    more,
    details || text ? ['NtryDtls', details ?? [['TxDtls', ['RmtInf', ['Ustrd', text!]]]]] : undefined,
  ]
}

export function detail(minor: number, text: string, direction?: 'CRDT' | 'DBIT'): Xml {
  return [
    'TxDtls',
    ['AmtDtls', ['TxAmt', ['Amt', { Ccy: 'JPY' }, String(minor)]]],
    direction ? ['CdtDbtInd', direction] : undefined,
    ['RmtInf', ['Ustrd', text]],
  ]
}

export class AccountFixture {
  readonly fixture: SettlementFixture
  readonly member: FixtureMember
  #claims = 0
  private constructor(fixture: SettlementFixture, member: FixtureMember) {
    this.fixture = fixture
    this.member = member
  }
  /** @param card of the member, where it is billed */
  static async open(options: FixtureOptions = {}, card?: Uint8Array): Promise<AccountFixture> {
    const fixture = await new SettlementFixture(options).start()
    return new AccountFixture(fixture, await fixture.enrol('general', {}, card))
  }
  get bank() {
    return this.fixture.settlement.bank
  }
  /** A number under which a transfer of so much is awaited. */
  async awaits(minor: number): Promise<string> {
    const request = this.member.pay.topUp('transfer', { minor, currency: 'JPY' })
    return (await this.fixture.act(requestValue, { request }, this.member.device)).payment
  }
  async #balance(account: string): Promise<number> {
    const { minor } = (await this.fixture.database.get<{ minor: number | null }>(
      `SELECT sum(CASE side WHEN 'debit' THEN debits_posted - credits_posted ELSE credits_posted - debits_posted END) AS minor
       FROM ledger_accounts WHERE code LIKE ?`,
      `${account}/%`,
    ))!
    return Number(minor ?? 0)
  }
  /** What the ledger says of the bank, of members' value, and of what waits without an owner, in and out. */
  async shows(t: Test, expected: { bank: number; value: number; in?: number; out?: number }, what = ''): Promise<void> {
    t.strictSame(
      {
        bank: await this.#balance('bank'),
        value: await this.#balance('value'),
        in: await this.#balance('unmatched'),
        out: await this.#balance('unexplained'),
      },
      { in: 0, out: 0, ...expected },
      what,
    )
    const { database, settlement } = this.fixture
    t.strictSame((await auditSite(database, coseKey(settlement.publicKey))).findings, [])
  }

  /** A shop whose claim of 800 waits for a file: the member has paid 5000 in and bought something. */
  async claim(person: Partial<Person> = {}): Promise<FixtureMember> {
    const { fixture, member: buyer } = this
    const shop = await fixture.enrol('shop', person)
    await this.bank.take(
      statement(`T${this.#claims}`, [entry({ minor: 5000, ref: `T${++this.#claims}`, text: await this.awaits(5000) })]),
    )
    const offer = shop.pay.offer([{ item: 'x', name: 'x', kind: 'digital', price: 800, currency: 'JPY', tax: 10 }])
    await fixture.act(putOffer, { offer }, shop.device)
    const order = buyer.pay.order(shop.number, [{ item: 'x', count: 1 }])
    const { transaction, total } = await fixture.act(placeOrder, { order }, buyer.device)
    const instruction = buyer.pay.instruction(transaction, shop.number, total)
    await fixture.act(instructPayment, { instruction }, buyer.device)
    for (const what of [{ do: 'deliver', state: 'delivered', how: 'x' }, { do: 'claim' }] as const)
      await fixture.act(actAsShop, { act: shop.pay.shopAct(transaction, what) }, shop.device)
    return shop
  }
}
