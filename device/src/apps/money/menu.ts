/**
 * Money at the terminal (P1–P8, S13): becoming a member, history without a line, statements and objection, balance, top up,
 * buying, passwords. The vault is opened with password A for as long as the menu stands open; password B is asked for each
 * piece of work that signs or reads what was sealed, and nothing of it is kept.
 */
import { hex } from '@azukari/protocol/bytes'
import { objectTo, type Statement } from '@azukari/protocol/contracts/settlement-billing'
import { chooseMail } from '@azukari/protocol/contracts/settlement-mail'
import { apply, readGuide, register } from '@azukari/protocol/contracts/settlement-members'
import { instructPayment, listOffer, type OfferItem, placeOrder } from '@azukari/protocol/contracts/settlement-purchase'
import { readAccount, requestValue } from '@azukari/protocol/contracts/settlement-value'
import type { Language } from '@azukari/protocol/finding-text'
import { localMinute } from '@azukari/protocol/local-time'
import { type Currency, formatAmount, isCurrency, type Money } from '@azukari/protocol/money'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Choice, Display, RemovableMemory, Shown } from '../../drivers.ts'
import type { Link } from '../../link.ts'
import { type CentreKeys, centreKeys, PayMember, sealApplication } from '../../pay/member.ts'
import type { KdfCost } from '../../vault/boxes.ts'
import { makeSeed } from '../../vault/seed.ts'
import { type OpenVault, Vault } from '../../vault/vault.ts'
import { type Act, offerActs, orBack } from '../acts.ts'
import type { Dialogue } from '../dialogue.ts'
import type { PayApp } from '../pay.ts'
import type { PresentCard } from '../presence.ts'
import { problemShown } from '../words.ts'
import { MoneyQuestions } from './ask.ts'
import { noteNews, ours, statementsOf } from './news.ts'
import { moneyWordsOf } from './words.ts'

export interface MoneyMenuOptions {
  dialogue: Dialogue
  pay: Pick<PayApp, 'send' | 'kept' | 'pages' | 'page'>
  link: Pick<Link, 'call'>
  clock: Clock
  random: Random
  files: Files
  /** Folder below which each member of this terminal has a vault. */
  folder: string
  memory?: RemovableMemory | undefined
  display?: Display | undefined
  language: () => Language
  log: Log
  /** How much stretching a password costs; tests take less than the usual. */
  cost?: KdfCost | undefined
}

/** Lines on one page of a list. */
const pageSize = 48

/** One visit: the card that is in, and until when. */
interface Visit {
  card: PresentCard
  until: AbortSignal
  ask: MoneyQuestions
}

export class MoneyMenu {
  readonly #o: MoneyMenuOptions

  constructor(options: MoneyMenuOptions) {
    this.#o = options
  }

  /** What the menu is called. */
  get label(): string {
    return this.#words.money
  }

  /** Until the person goes back. @throws {Problem} `vault.*`, `panel.*` */
  async open(card: PresentCard, until: AbortSignal): Promise<void> {
    const visit: Visit = { card, until, ask: new MoneyQuestions(this.#o.dialogue, this.#words, until) }
    const vault = this.#vaultOf(card)
    if (!(await vault.exists())) {
      await this.#offer(visit, () => this.#beforeVault(visit, vault))
      return
    }
    using open = await this.#opened(visit, vault)
    await this.#offer(visit, () =>
      open.number === undefined ? this.#unregistered(visit, open) : this.#acts(visit, open),
    )
  }

  #beforeVault(visit: Visit, vault: Vault): Act[] {
    const words = this.#words
    return [
      { label: words.apply, act: () => this.#apply(visit) },
      {
        label: words.register,
        act: async () => {
          using open = await this.#makeVault(visit, vault)
          await this.#register(visit, open)
        },
      },
    ]
  }

  #unregistered(visit: Visit, open: OpenVault): Act[] {
    return [
      { label: this.#words.register, act: () => this.#register(visit, open) },
      { label: this.#words.apply, act: () => this.#apply(visit) },
    ]
  }

  #acts(visit: Visit, open: OpenVault): Act[] {
    const words = this.#words
    return [
      { label: words.history, act: () => this.#history(visit, open) },
      { label: words.news, act: () => this.#news(visit, open) },
      { label: words.statements, act: () => this.#statements(visit, open) },
      { label: words.balance, act: () => this.#balance(visit, open) },
      { label: words.topUp, act: () => this.#topUp(visit, open) },
      { label: words.buy, act: () => this.#buy(visit, open) },
      { label: words.mail, act: () => this.#mail(visit, open) },
      { label: words.changeA, act: () => this.#changeA(visit, open) },
      { label: words.changeB, act: () => this.#changeB(visit, open) },
    ]
  }

  /** P1: the number and the codes come by letter. */
  async #apply({ card, until, ask }: Visit): Promise<void> {
    const { dialogue, link, pay, random } = this.#o
    const words = this.#words
    const guide = await link.call(readGuide, {})
    const person = await ask.person(card.facts.member.name)
    const agreed = await dialogue.choose(words.agree(guide.terms), [{ label: words.yes }, { label: words.no }], until)
    if (agreed.label !== words.yes) return
    const said = { kind: 'general' as const, person, terms: guide.terms }
    await pay.send(apply, { application: sealApplication(centreKeys(guide), said, random) })
    await this.#show({ lines: words.applied, tone: 'good' })
  }

  /** P2, P10: a key from the system's chance, under two passwords, or one where the member accepts that. */
  async #makeVault({ until, ask }: Visit, vault: Vault): Promise<OpenVault> {
    const { dialogue, random, cost } = this.#o
    const words = this.#words
    const ways = [{ label: words.twoPasswords }, { label: words.onePassword }]
    const way = await dialogue.choose(words.howManyPasswords, ways, until)
    const passwordA = await ask.newPassword(words.newPasswordA)
    const passwordB = way.label === words.twoPasswords ? await ask.newPassword(words.newPasswordB) : undefined
    const seed = makeSeed(random)
    try {
      const secrets = { secret: { seed }, passwordA, ...(passwordB ? { passwordB } : {}), ...(cost ? { cost } : {}) }
      await vault.create({ terminal: hex(random.bytes(8)), ...secrets })
      return await vault.open(passwordA)
    } finally {
      for (const secret of [seed, passwordA, passwordB]) secret?.fill(0)
    }
  }

  /** P3: what the letter says, signed with the new key. */
  async #register(visit: Visit, open: OpenVault): Promise<void> {
    const { link, pay } = this.#o
    const { ask, card } = visit
    const words = this.#words
    const { key, agreement } = await link.call(readGuide, {})
    const number = await ask.digits(words.number, 14)
    const code = await ask.letterCode(words.code)
    const person = await ask.person(card.facts.member.name)
    const registration = await this.#signing(visit, open, (member) =>
      member.registration({ number, code, person, card: card.facts.card }),
    )
    try {
      await pay.send(register, { registration })
    } catch (error) {
      // It is written down, and goes when there is a line.
      if (!isProblem(error, 'link.timeout')) throw error
    }
    await open.remember({ centre: { key, agreement }, number })
    await this.#show({ lines: [words.registered(number)], tone: 'good' })
  }

  /** P8: needs no line and no password B. */
  async #history({ until }: Visit, open: OpenVault): Promise<void> {
    const { what } = this.#words
    await this.#list(
      this.#words.history,
      open.history.toReversed().map((entry) => ({
        label: `${localMinute(entry.atMs)} ${what[entry.what] ?? entry.what}`,
        detail: [entry.changeMinor === 0 ? '' : signed(entry.changeMinor, entry.currency), entry.reference]
          .filter(Boolean)
          .join(' · '),
      })),
      until,
    )
  }

  async #news(visit: Visit, open: OpenVault): Promise<void> {
    const noted = await this.#signing(visit, open, (member) => noteNews(this.#o.pay, member, open))
    await this.#show({ lines: [this.#words.newsNoted(noted)], tone: 'calm' })
  }

  async #statements(visit: Visit, open: OpenVault): Promise<void> {
    const { pay, dialogue } = this.#o
    const words = this.#words
    const found = await this.#signing(visit, open, (member) => statementsOf(pay, member))
    for (;;) {
      const choices = found.map((statement) => ({
        label: words.statement(statement.from, statement.to, amountOf(statement.total)),
        detail: words.debitOn(statement.debitOn, statement.payment),
        statement,
      }))
      if (choices.length === 0) return this.#show({ lines: [words.nothingYet], tone: 'calm' })
      const chosen = await orBack(dialogue.choose(words.statements, choices, visit.until))
      if (!chosen) return
      await this.#statement(visit, open, chosen.statement)
    }
  }

  async #statement(visit: Visit, open: OpenVault, statement: Statement): Promise<void> {
    const { memory } = this.#o
    const words = this.#words
    const { from, to, total, lines, check, objectBy } = statement
    const stay = async () => {}
    const acts: Act[] = lines.map(({ what, how, netMinor }) => ({
      label: `${what}: ${signed(netMinor, total.currency)}`,
      detail: how,
      act: stay,
    }))
    acts.push({ label: words.dataCheck(check.checked, check.bad), act: stay })
    acts.push({ label: words.object(objectBy), act: () => this.#object(visit, open, statement.statement) })
    if (memory) acts.push({ label: words.savePage, act: () => this.#savePage(visit, open, memory, statement) })
    await this.#offer(visit, () => acts, words.statement(from, to, amountOf(total)))
  }

  /** S13: nothing is collected until it is decided. */
  async #object(visit: Visit, open: OpenVault, statement: string): Promise<void> {
    const { pay, dialogue } = this.#o
    const words = this.#words
    const abouts = (['profile', 'fee', 'data', 'other'] as const).map((about) => ({
      label: words.objectAbouts[about],
      about,
    }))
    const { about } = await dialogue.choose(words.objectAbout, abouts, visit.until)
    const text = await visit.ask.text(words.objectText, 1_000)
    const objection = await this.#signing(visit, open, (member) => member.objection(statement, about, text))
    await pay.send(objectTo, { objection })
    await this.#show({ lines: [words.objected], tone: 'good' })
  }

  async #savePage(visit: Visit, open: OpenVault, memory: RemovableMemory, { statement }: Statement): Promise<void> {
    const { pay } = this.#o
    const name = `statement-${statement}.pdf`
    const there = (await pay.pages()).filter((one) => one.name === name)
    const page = await this.#signing(visit, open, async (member) => {
      for (const one of there) {
        const sealed = await pay.page(one)
        const opened = ours(() => member.openPage(sealed))
        if (opened) return opened
      }
      return undefined
    })
    if (!page) return this.#show({ lines: [this.#words.pageNotHere], tone: 'busy' })
    await memory.put(name, page, visit.until)
    await this.#show({ lines: [this.#words.pageSaved(name)], tone: 'good' })
  }

  /** What settlement's ledger says, newest first. */
  async #balance(visit: Visit, open: OpenVault): Promise<void> {
    const { link } = this.#o
    const currency = await this.#currency()
    const said = await this.#signing(visit, open, async (member) => {
      const { state } = await link.call(readAccount, { query: member.accountQuery(currency) })
      return member.openAccount(state)
    })
    const { what } = this.#words
    const lines = said.lines.map(({ atMs, reason, reference, changeMinor }) => ({
      label: `${localMinute(atMs)} ${signed(changeMinor, currency)}`,
      detail: `${what[reason] ?? reason} · ${reference}`,
    }))
    await this.#show({ lines: [this.#words.balanceIs(amountOf(said.balance))], tone: 'calm' })
    await this.#list(this.#words.balanceIs(amountOf(said.balance)), lines, visit.until)
  }

  /** P5: the number finds the money's owner. */
  async #topUp(visit: Visit, open: OpenVault): Promise<void> {
    const { pay, dialogue } = this.#o
    const words = this.#words
    const currency = await this.#currency()
    const ways = (['transfer', 'deposit', 'cash'] as const).map((way) => ({ label: words.topUpWays[way], way }))
    const { way } = await dialogue.choose(words.topUpHow, ways, visit.until)
    const minor = await visit.ask.count(words.amount(currency), 999_999_999)
    const request = await this.#signing(visit, open, (member) => member.topUp(way, { minor, currency }))
    const { payment, payByMs } = await pay.send(requestValue, { request })
    await open.note({ atMs: this.#o.clock.now(), what: 'topup.waiting', reference: payment, changeMinor: 0, currency })
    await this.#show({ lines: [words.payNumber(payment), words.payBy(localMinute(payByMs))], tone: 'good' })
  }

  /** P6: an order, and a signed instruction for exactly that order. */
  async #buy(visit: Visit, open: OpenVault): Promise<void> {
    const { link, pay, dialogue, clock } = this.#o
    const words = this.#words
    const shop = await visit.ask.digits(words.shop, 14)
    const offer = await link.call(listOffer, { shop })
    const items = offer.items.map((item) => ({ label: item.name, detail: priceOf(item), item }))
    if (items.length === 0) return this.#show({ lines: [offer.name, words.nothingYet], tone: 'calm' })
    const { item } = await dialogue.choose(offer.name, items, visit.until)
    const count = await visit.ask.count(`${item.name}: ${words.count}`, 10_000)
    const result = await this.#signing(visit, open, async (member) => {
      const lines = [{ item: item.item, count }]
      const { transaction, total } = await pay.send(placeOrder, { order: member.order(shop, lines) })
      const sure = await dialogue.choose(
        words.confirm(amountOf(total)),
        [{ label: words.pay }, { label: words.no }],
        visit.until,
      )
      if (sure.label !== words.pay) return undefined
      const answer = await pay.send(instructPayment, { instruction: member.instruction(transaction, shop, total) })
      return member.openResult(answer.result)
    })
    if (!result) return
    const { transaction, paid, balance, receipt } = result
    const entry = { what: 'purchase', reference: transaction, changeMinor: -paid.minor, currency: paid.currency }
    await open.note({ atMs: clock.now(), ...entry, ...(receipt ? { receipt } : {}) })
    await this.#show({ lines: [words.paid(amountOf(paid), amountOf(balance))], tone: 'good' })
  }

  /** S13, D8: whether and where letters are wanted; none are before somebody says so here. */
  async #mail(visit: Visit, open: OpenVault): Promise<void> {
    const { pay, dialogue } = this.#o
    const words = this.#words
    const { label } = await dialogue.choose(
      words.mail,
      [{ label: words.mailYes }, { label: words.mailNo }],
      visit.until,
    )
    const address = label === words.mailYes ? await visit.ask.mailAddress(words.mailAddress) : undefined
    const choice = await this.#signing(visit, open, (member) => member.mailChoice(address))
    const { isWritten } = await pay.send(chooseMail, { choice })
    await this.#show({ lines: isWritten ? words.mailWritten(address ?? '') : words.mailEnded, tone: 'good' })
  }

  async #changeA({ ask }: Visit, open: OpenVault): Promise<void> {
    await open.changeA(await ask.newPassword(this.#words.newPasswordA))
    await this.#show({ lines: [this.#words.passwordsChanged], tone: 'good' })
  }

  async #changeB({ ask }: Visit, open: OpenVault): Promise<void> {
    await open.changeB(await ask.password(this.#words.passwordB), await ask.newPassword(this.#words.newPasswordB))
    await this.#show({ lines: [this.#words.passwordsChanged], tone: 'good' })
  }

  #vaultOf({ facts }: PresentCard): Vault {
    const { clock, random, files, folder } = this.#o
    return new Vault({ clock, random, files }, `${folder}/${hex(facts.member.id)}`)
  }

  async #opened({ ask }: Visit, vault: Vault): Promise<OpenVault> {
    const password = await ask.password(this.#words.passwordA)
    try {
      return await vault.open(password)
    } finally {
      password.fill(0)
    }
  }

  /** One piece of work with the keys: password B is typed, and gone when it is done. */
  async #signing<T>({ ask }: Visit, open: OpenVault, work: (member: PayMember) => Promise<T> | T): Promise<T> {
    const { clock, random } = this.#o
    const centre = await this.#centre(open)
    const password = await ask.password(this.#words.passwordB)
    try {
      return await open.unlock(password, (keys) => work(new PayMember(keys, centre, { clock, random })))
    } finally {
      password.fill(0)
    }
  }

  /** As it was at the registration; a key that came with a message proves nothing. */
  async #centre(open: OpenVault): Promise<CentreKeys> {
    return centreKeys(open.centre ?? (await this.#o.link.call(readGuide, {})))
  }

  async #currency(): Promise<Currency> {
    const [currency] = (await this.#o.link.call(readGuide, {})).currencies
    if (!currency) throw new Problem('ledger.wrong-currency')
    return currency
  }

  async #list(prompt: string, lines: readonly Choice[], until: AbortSignal): Promise<void> {
    const words = this.#words
    if (lines.length === 0) return this.#show({ lines: [words.nothingYet], tone: 'calm' })
    for (let from = 0; ; ) {
      const older: Choice = { label: words.older }
      const page = lines.slice(from, from + pageSize)
      const choices = lines.length > pageSize ? [...page, older] : page
      const chosen = await orBack(this.#o.dialogue.choose(prompt, choices, until))
      if (!chosen) return
      if (chosen === older) from = from + pageSize < lines.length ? from + pageSize : 0
    }
  }

  async #offer({ until }: Visit, acts: () => readonly Act[], prompt = this.#words.money): Promise<void> {
    const showProblem = (error: unknown) => this.#show(problemShown(error, this.#o.language))
    await offerActs({ dialogue: this.#o.dialogue, showProblem }, prompt, acts, until)
  }

  get #words() {
    return moneyWordsOf(this.#o.language())
  }

  async #show(shown: Shown): Promise<void> {
    await this.#o.display
      ?.show(shown)
      .catch((error) => this.#o.log.warn('the display failed', { error: String(error) }))
  }
}

function amountOf({ minor, currency }: Money): string {
  return `${formatAmount(BigInt(minor), currency)} ${currency}`
}

function signed(minor: number, currency: string): string {
  if (!isCurrency(currency)) return String(minor)
  return `${minor > 0 ? '+' : ''}${formatAmount(BigInt(minor), currency)} ${currency}`
}

function priceOf({ price, currency, unit }: OfferItem): string {
  return `${amountOf({ minor: price, currency })}${unit ? ` / ${unit}` : ''}`
}
