/**
 * The clerks of the simulated site: they accept applications, count cash, fetch and take files of the bank, make payouts,
 * close, debit, decide. A chore that breaks off is done again, and now and then one is done twice for no reason.
 */
import type { Settlement } from '@azukari/gateway/services/settlement/service'
import { isProblem } from '@azukari/protocol/problem'
import { codesOf } from '../../testkit/settlement/fixture.ts'
import type { SeededRandom } from '../../testkit/world/chance.ts'
import type { Site } from '../site.ts'
import { nameOf } from '../story.ts'
import type { Bank } from './bank.ts'
import type { Company } from './company.ts'
import type { Wallet } from './wallet.ts'

interface Cash {
  payment: string
  minor: number
  /** Counted, as the clerks were told, by so many. */
  counted: number
}

const chores = [
  ...(['letters', 'letters', 'letters', 'cash', 'cash', 'import', 'import', 'import', 'assign', 'payout'] as const),
  ...([
    'release',
    'answers',
    'close',
    'debit',
    'cards',
    'value',
    'objections',
    'disputes',
    'level',
    'disagree',
  ] as const),
]
type Chore = (typeof chores)[number]

export class Office {
  readonly cash: Cash[] = []
  /** Members who ask for new codes. */
  readonly reissues = new Map<string, Wallet>()
  /** Movements of the bank that clerks have taken in. */
  imported = 0
  readonly #site: Site
  readonly #bank: Bank
  readonly #company: Company
  readonly #wallets: readonly Wallet[]
  readonly #chance: SeededRandom
  #working = false

  constructor(site: Site, bank: Bank, company: Company, wallets: readonly Wallet[]) {
    this.#site = site
    this.#bank = bank
    this.#company = company
    this.#wallets = wallets
    this.#chance = site.world.chance('office')
  }

  async run(): Promise<void> {
    const { clock } = this.#site.world
    while (!this.#site.world.calm) {
      await clock.sleep(this.#chance.between(5_000, 40_000))
      if (this.#site.world.calm) return
      const chore = this.#chance.pick(chores)
      await this.#do(chore)
      if (!this.#chance.chance(0.15)) continue
      this.#site.world.count('clerk.twice')
      await this.#do(chore)
    }
  }

  /** Everything that must come to its end; nothing new is begun. */
  async finish(): Promise<void> {
    for (const chore of ['letters', 'cash', 'import', 'assign', 'release', 'answers'] as const) await this.#do(chore)
  }

  async #do(chore: Chore): Promise<void> {
    const { settlement, world } = this.#site
    const life = this.#site.settlementLife
    if (this.#working || !settlement || !life?.alive) return
    this.#working = true
    const work = this.#work(chore, settlement).then(
      (said) => said,
      (error) => {
        if (!isProblem(error) && life.alive)
          world.violate('bug', `clerk, ${chore}: ${error instanceof Error ? error.stack : error}`)
        return nameOf(error)
      },
    )
    const said = await Promise.race([life.run(() => work), life.ended.then(() => 'it broke off')])
    this.#working = false
    if (said) world.story.say('clerk', `${chore}: ${said}`)
  }

  async #work(chore: Chore, settlement: Settlement): Promise<string | undefined> {
    const { bank, billing, payouts, enrolment } = settlement
    switch (chore) {
      case 'letters':
        return this.#letters(settlement)
      case 'cash':
        return this.#count(settlement)
      case 'import':
        return this.#import(settlement)
      case 'assign':
        return this.#assign(settlement)
      case 'payout': {
        const file = await bank.payoutFile(this.#today, 'zengin')
        return file && `${file.payouts} payouts`
      }
      case 'release':
        return this.#release(settlement)
      case 'answers': {
        const [answer] = this.#bank.answers
        if (!answer) return undefined
        const { booked, repeated } = await bank.take(answer)
        if (!this.#chance.chance(0.2)) this.#bank.answers.shift()
        return `${booked} answers to debits, ${repeated} known`
      }
      case 'close': {
        const { issued, postponed } = await billing.close()
        return issued.length + postponed > 0 ? `${issued.length} statements, ${postponed} later` : undefined
      }
      case 'debit': {
        const file = await billing.debitFile()
        return file && `${file.debits} debits`
      }
      case 'cards': {
        const begun = await billing.collectCards()
        return begun > 0 ? `${begun} charges` : undefined
      }
      case 'value': {
        const paid = await billing.collectValue()
        return paid > 0 ? `${paid} paid from stored value` : undefined
      }
      case 'objections': {
        const [open] = await billing.objections.open(1)
        if (!open) return undefined
        await billing.objections.decide(open.id, 'clerk-1')
        return `decided about ${open.statement}`
      }
      case 'disputes': {
        const [open] = await payouts.disputes(1)
        if (!open) return undefined
        const upheld = this.#chance.chance(0.5)
        await payouts.decideDispute(open.id, 'clerk-2', upheld)
        return `${open.number} ${upheld ? 'upheld' : 'refused'}`
      }
      case 'level': {
        const members = this.#wallets.filter(({ number, kind }) => number && kind === 'general')
        if (members.length === 0 || this.#chance.chance(0.3)) return undefined
        const level = this.#chance.between(1, 3)
        const { number = '' } = this.#chance.pick(members)
        await enrolment.change(number, 'clerk-1', { level })
        return `${number} is to have level ${level}`
      }
      case 'disagree':
        this.#company.reverseOne()
        return undefined
    }
  }

  /** Applications are accepted, and whoever has none any more gets new codes: the post takes its time. */
  async #letters(settlement: Settlement): Promise<string | undefined> {
    const { enrolment } = settlement
    const applications = await enrolment.applications(20)
    for (const application of applications) {
      const { number, letter } = await enrolment.accept(application.id, 'clerk-1')
      const wallet = this.#wallets.find(({ person }) => person.name === application.person.name)
      await this.#post(settlement, letter, number, wallet)
    }
    if (applications.length > 0) return `${applications.length} applications accepted`
    const [asked] = this.reissues
    if (!asked) return undefined
    const [number, wallet] = asked
    const { letter } = await enrolment.reissue(number, 'clerk-2')
    await this.#post(settlement, letter, number, wallet)
    this.reissues.delete(number)
    return `new codes for ${number}`
  }

  async #post(settlement: Settlement, letter: Uint8Array, number: string, wallet: Wallet | undefined): Promise<void> {
    const document = await settlement.document(letter)
    if (!wallet || !document) return
    const { code } = codesOf(document.content)
    this.#site.world.clock.timer(this.#chance.between(10_000, 300_000), () => wallet.receive({ number, code }))
  }

  /** Two clerks count, or the same one by mistake. */
  async #count({ cash }: Settlement): Promise<string | undefined> {
    const [one] = this.cash
    if (!one) return undefined
    const clerk = one.counted === 0 || this.#chance.chance(0.2) ? 'clerk-1' : 'clerk-2'
    try {
      const { issued } = await cash.count(one.payment, clerk, one.minor, 'R-1')
      one.counted++
      if (issued) this.cash.shift()
      return `${one.minor} for ${one.payment}, ${clerk}${issued ? ': issued' : ''}`
    } catch (error) {
      // Issued already, when the answer was lost.
      if (isProblem(error, 'topup.state')) this.cash.shift()
      throw error
    }
  }

  /** Files of the bank overlap: each brings again what some before it brought. */
  async #import({ bank }: Settlement): Promise<string | undefined> {
    const to = this.#bank.movements.length
    if (to === 0) return undefined
    const from = Math.max(0, Math.min(this.imported, to - 1) - this.#chance.between(0, 4))
    const { booked, repeated, unmatched } = await bank.take(this.#bank.file(from, to))
    this.imported = Math.max(this.imported, to)
    return booked + unmatched > 0 ? `${booked} booked, ${unmatched} without owner, ${repeated} known` : undefined
  }

  async #assign({ bank }: Settlement): Promise<string | undefined> {
    for (const { id, minor } of await bank.unmatched(20)) {
      const payment = this.#bank.meantBy(minor)
      if (!payment) continue
      try {
        await bank.assign(id, payment, 'clerk-1')
        return `a line is for ${payment}`
      } catch (error) {
        if (!isProblem(error)) throw error
      }
    }
    return undefined
  }

  /** A file that broke off on its way is given out again; the bank lets each through once. */
  async #release(settlement: Settlement): Promise<string | undefined> {
    const { bank } = settlement
    const [waiting] = await bank.waiting(1)
    const again = !waiting && this.#released !== undefined && this.#chance.chance(0.4)
    const document = waiting?.document ?? (again ? this.#released : this.#unsent)
    if (!document) return undefined
    this.#unsent = document
    await this.#bank.take(await bank.release(document, 'clerk-2', !waiting), settlement.publicKey)
    this.#unsent = undefined
    this.#released = document
    return 'a file goes to the bank'
  }

  /** The last file that the bank has. */
  #released: Uint8Array | undefined
  /** One that was given out and may not have come there. */
  #unsent: Uint8Array | undefined

  get isBehind(): boolean {
    const bank = this.#bank
    return (
      this.cash.length + bank.answers.length + bank.underWay > 0 ||
      this.imported < bank.movements.length ||
      this.#unsent !== undefined
    )
  }

  get #today(): string {
    return new Date(this.#site.world.clock.now()).toISOString().slice(0, 10)
  }
}
