/** Settlement's part of the simulated site: its members and shops, its clerks, its bank and its card company. */
import { settlement as settlementModule } from '@azukari/gateway/services/settlement/module'
import type { Sql } from '@azukari/gateway/storage/database'
import { ownAccount } from '../../testkit/settlement/fixture.ts'
import type { Site } from '../site.ts'
import { Bank } from './bank.ts'
import { checkBooks } from './books.ts'
import { Buyer } from './buyer.ts'
import { Company, companyHost } from './company.ts'
import { Office } from './office.ts'
import { Shop } from './shop.ts'

/** What the site's operator has written down about settlement. */
export const settlementFile: Record<string, unknown> = {
  issuer: { name: 'Azukari', invoiceNumber: 'T9876543210987' },
  own: ownAccount,
  cardCompany: { url: `https://${companyHost}`, key: 'sim' },
}

export class Money {
  readonly bank: Bank
  readonly company: Company
  readonly office: Office
  readonly shops: readonly Shop[]
  readonly buyers: readonly Buyer[]
  readonly #site: Site

  constructor(site: Site) {
    const { world } = site
    this.#site = site
    this.bank = new Bank(world, (statement) => this.#mayCollect(statement))
    this.company = new Company(world, async (id) => {
      const row = await this.#sql.get<{ statement: string }>(
        'SELECT statement FROM card_charges WHERE lower(hex(id)) = ?',
        id,
      )
      if (row) await this.#mayCollect(row.statement)
    })
    site.internet.add(companyHost, this.company.host)
    this.shops = [1, 2].map((n) => new Shop(world, `Shop ${n}`, 100 + n))
    const partners = { bank: this.bank, office: () => this.office, shops: this.shops }
    this.buyers = site.people
      .filter(({ stranger }) => !stranger)
      .map((person, i) => {
        const buyer = new Buyer(world, person.name, i + 1, person.cardId, partners)
        person.wallet = buyer
        return buyer
      })
    const wallets = [...this.shops, ...this.buyers]
    this.office = new Office(site, this.bank, this.company, wallets)
    for (const wallet of wallets)
      wallet.onLost = () => {
        if (wallet.number !== undefined) this.office.reissues.set(wallet.number, wallet)
      }
  }

  start(): void {
    for (const shop of this.shops) void shop.live(this.#site)
    void this.office.run()
  }

  /** What is not at its end yet, of what must come to one. */
  async left(): Promise<string[]> {
    const { settlement, world } = this.#site
    if (!settlement) return ['settlement is down']
    await this.office.finish()
    const left: string[] = []
    if (this.office.isBehind) left.push('the clerks are behind')
    for (const wallet of [...this.shops, ...this.buyers])
      if (wallet.isBusy) left.push(`${wallet.name} is at a terminal`)
    const sql = this.#sql
    const heard = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM card_reversals'))!.n
    if (heard < this.company.reversed) left.push('the card company has taken back what nobody has heard of')
    for (const [what, query, ...values] of [
      ['payments wait for the card company', 'SELECT count(*) AS n FROM top_ups WHERE next IS NOT NULL'],
      [
        'charges wait for the card company',
        'SELECT count(*) AS n FROM card_charges WHERE next IS NOT NULL AND next <= ?',
        world.clock.now() + 60_000,
      ],
      ['files wait for their release', 'SELECT count(*) AS n FROM bank_out WHERE released IS NULL'],
      ['payouts are with the bank', "SELECT count(*) AS n FROM payouts WHERE state = 'sent'"],
      ['debits are with the bank', "SELECT count(*) AS n FROM statements WHERE state = 'debit-sent'"],
      ['words on cards wait for placement', 'SELECT count(*) AS n FROM card_standings WHERE next IS NOT NULL'],
    ] as const) {
      const { n } = (await sql.get<{ n: number }>(query, ...values))!
      if (n > 0) left.push(`${n} ${what}`)
    }
    return left
  }

  /** M6: nothing is collected past an objection that was acknowledged and is open. */
  async #mayCollect(statement: string): Promise<void> {
    const open = await this.#sql.get('SELECT 1 FROM objections WHERE statement = ? AND decided IS NULL', statement)
    if (open) this.#site.world.violate('M6', `${statement} is collected past an open objection`)
  }

  get #sql(): Sql {
    return this.#site.services.database(settlementModule).sql
  }

  check(): Promise<void> {
    return checkBooks(this.#site, this)
  }

  /** How much happened, for the report. */
  get counts(): Record<string, number> {
    const sum = (of: (buyer: Buyer) => number) => this.buyers.reduce((total, buyer) => total + of(buyer), 0)
    return {
      members: [...this.buyers, ...this.shops].filter(({ isMember }) => isMember).length,
      payments: sum(({ paid }) => paid.size),
      statements: sum(({ statements }) => statements.size),
      objections: sum(({ objected }) => objected.size),
      movements: this.bank.movements.length,
      captured: this.company.books.list().filter(({ state }) => state === 'captured' || state === 'reversed').length,
    }
  }
}
