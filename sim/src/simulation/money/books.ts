/**
 * What must hold of money when all is quiet (M1–M7), computed anew from the journal's legs and from what partners and members
 * know by themselves: nothing here asks settlement for a sum.
 */
import { placement as placementModule } from '@azukari/gateway/services/placement/module'
import { settlement as settlementModule } from '@azukari/gateway/services/settlement/module'
import type { Sql } from '@azukari/gateway/storage/database'
import { hex } from '@azukari/protocol/bytes'
import type { Site } from '../site.ts'
import type { Money } from './money.ts'

export async function checkBooks(site: Site, money: Money): Promise<void> {
  const { world, settlement, services } = site
  if (!settlement) return
  const { sql } = services.database(settlementModule)
  const broken = (invariant: string, what: string) => world.violate(invariant, what)
  const { findings } = await settlement.audit()
  for (const { what, where } of findings) broken('M1', `the audit finds ${what} ${where}`)
  for (const { currency, debitsMinor, creditsMinor } of await settlement.trialBalance())
    if (debitsMinor !== creditsMinor) broken('M1', `${currency}: debits ${debitsMinor}, credits ${creditsMinor}`)
  const books = await Books.read(sql)
  await checkPartners(sql, books, money, broken)
  await checkValue(sql, books, money, broken)
  await checkPurchases(sql, books, money, broken)
  await checkPayouts(sql, money, broken)
  await checkStatements(sql, books, money, broken)
  await checkRegisters(sql, services.database(placementModule).sql, broken)
}

type Broken = (invariant: string, what: string) => void

interface PostedLeg {
  posting: number
  reason: string
  reference: string
  debit: string
  credit: string
  amount: number
}

/** The journal, leg by leg: what was posted, reservations left out. */
class Books {
  readonly legs: readonly PostedLeg[]
  readonly #net = new Map<string, number>()

  private constructor(legs: readonly PostedLeg[]) {
    this.legs = legs
    for (const { debit, credit, amount } of legs) {
      this.#net.set(credit, this.net(credit) + amount)
      this.#net.set(debit, this.net(debit) - amount)
    }
  }

  static async read(sql: Sql): Promise<Books> {
    return new Books(
      await sql.all<PostedLeg>(
        `SELECT p.seq AS posting, p.reason, p.reference, d.code AS debit, c.code AS credit, l.amount
         FROM ledger_legs l JOIN ledger_postings p ON p.seq = l.posting JOIN ledger_accounts d ON d.id = l.debit
         JOIN ledger_accounts c ON c.id = l.credit WHERE l.kind IN ('post', 'capture') ORDER BY p.seq, l.n`,
      ),
    )
  }

  /** Credits less debits. */
  net(code: string): number {
    return this.#net.get(code) ?? 0
  }

  /** What an account showed after each posting. */
  balances(code: string): ReadonlySet<number> {
    const seen = new Set([0])
    let now = 0
    let posting = 0
    for (const leg of this.legs) {
      if (leg.debit !== code && leg.credit !== code) continue
      if (leg.posting !== posting) seen.add(now)
      posting = leg.posting
      now += leg.credit === code ? leg.amount : -leg.amount
    }
    return seen.add(now)
  }
}

/** M2: what the ledger says of the bank and of the card company is what they say themselves. */
async function checkPartners(sql: Sql, books: Books, { bank, company }: Money, broken: Broken): Promise<void> {
  const atBank = -books.net('bank/JPY')
  if (atBank !== bank.balance) broken('M2', `the bank has ${bank.balance}, the ledger says ${atBank}`)
  const { captured } = company.books.totals()
  const atCompany = -books.net('card-company/JPY')
  if (atCompany !== captured) broken('M2', `the card company took ${captured}, the ledger says ${atCompany}`)
  const open = new Set(
    (
      await sql.all<{ authorisation: string }>(
        `SELECT authorisation FROM card_charges WHERE next IS NOT NULL AND authorisation IS NOT NULL
         UNION SELECT authorisation FROM top_ups WHERE next IS NOT NULL AND authorisation IS NOT NULL`,
      )
    ).map(({ authorisation }) => authorisation),
  )
  for (const { authorisation, state } of company.books.list())
    if (state === 'authorised' && !open.has(authorisation))
      broken('M2', `${authorisation} is neither captured nor given back, and nobody knows of it`)
}

/** M3: value is issued once for each payment, and only for money that is certain. */
async function checkValue(sql: Sql, books: Books, { bank, buyers }: Money, broken: Broken): Promise<void> {
  const issued = new Map<string, number>()
  for (const { reason, reference, amount } of books.legs) {
    if (!/^top-up-(credit|transfer|deposit|cash)$/.test(reason)) continue
    if (issued.has(reference)) broken('M3', `the value of ${reference} was issued twice`)
    issued.set(reference, amount)
  }
  const cash = new Map(buyers.flatMap((buyer) => [...buyer.cash]))
  const rows = await sql.all<{ payment: string; way: string; amount: number; state: string }>(
    'SELECT payment, way, amount, state FROM top_ups ORDER BY payment',
  )
  for (const { payment, way, amount, state } of rows) {
    const isIssued = issued.has(payment)
    if (isIssued !== (state === 'issued' || state === 'reversed'))
      broken('M3', `${payment} is ${state}, and its value was ${isIssued ? '' : 'not '}issued`)
    const came = bank.movements.some((one) => one.meant === payment && one.minor === amount)
    if ((way === 'transfer' || way === 'deposit') && isIssued && !came)
      broken('M3', `value was issued for ${payment}, for which no money came`)
    const named = bank.movements.some(({ text, minor }) => text === payment && minor === amount)
    if ((way === 'transfer' || way === 'deposit') && named && !isIssued)
      broken('M3', `${payment} was paid, and its value was never issued: it is ${state}`)
    if (way === 'cash' && isIssued && cash.get(payment) !== amount)
      broken('M3', `value was issued for ${payment}, which nobody sent`)
  }
}

/** M4: each purchase is paid at most once, by whom and as was signed, and what was acknowledged is there. */
async function checkPurchases(sql: Sql, books: Books, { buyers }: Money, broken: Broken): Promise<void> {
  const signed = new Map(buyers.flatMap((buyer) => [...buyer.signed]))
  const times = new Map<string, number>()
  const back = new Map<string, number>()
  for (const { reason, reference, amount } of books.legs) {
    if (reason === 'refund') back.set(reference, (back.get(reference) ?? 0) + amount)
    if (reason !== 'purchase') continue
    times.set(reference, (times.get(reference) ?? 0) + 1)
    if (signed.get(reference) !== amount)
      broken('M4', `${amount} was paid for ${reference}, and ${signed.get(reference)} was signed`)
  }
  for (const [reference, n] of times) if (n > 1) broken('M4', `${reference} was paid ${n} times`)
  for (const buyer of buyers)
    for (const transaction of buyer.paid)
      if (times.get(transaction) !== 1) broken('M4', `the payment of ${transaction} was acknowledged and is lost`)
  for (const { number, paid, refunded, state } of await sql.all<{
    number: string
    paid: number
    refunded: number
    state: string
  }>('SELECT number, paid, refunded, state FROM orders')) {
    if (refunded > paid) broken('M4', `${number} gave back more than was paid`)
    if (refunded !== (back.get(number) ?? 0)) broken('M4', `${number} gave back ${back.get(number)}, not ${refunded}`)
    if (times.has(number) !== paid > 0) broken('M4', `${number} is ${state} and was ${paid > 0 ? 'not ' : ''}paid`)
  }
}

/** M5: each payout left the bank once, as it stands here. */
async function checkPayouts(sql: Sql, { bank }: Money, broken: Broken): Promise<void> {
  for (const { number, amount, state } of await sql.all<{ number: string; amount: number; state: string }>(
    'SELECT number, amount, state FROM payouts',
  )) {
    const moved = bank.movements.filter(({ text, direction }) => text === number && direction === 'out')
    if (moved.length !== (state === 'paid' ? 1 : 0))
      broken('M5', `payout ${number} is ${state} and left ${moved.length} times`)
    else if (moved[0] && moved[0].minor !== amount)
      broken('M5', `payout ${number} was ${moved[0].minor}, not ${amount}`)
  }
}

/** M6: statements ask for what is owed, each is paid as often as money came, and what members were told is so. */
async function checkStatements(sql: Sql, books: Books, { buyers }: Money, broken: Broken): Promise<void> {
  const rows = await sql.all<{
    number: string
    member: Uint8Array
    total: number
    state: string
    from_date: string
    to_date: string
    payment: string
  }>('SELECT number, member, total, state, from_date, to_date, payment FROM statements')
  const times = new Map<string, Set<number>>()
  const reversed = new Map<string, number>()
  for (const { posting, reason, reference } of books.legs) {
    if (reason === 'statement-paid') times.set(reference, (times.get(reference) ?? new Set()).add(posting))
    if (reason === 'payment-reversed') reversed.set(reference, (reversed.get(reference) ?? 0) + 1)
  }
  const owed = new Map<string, number>()
  for (const { number, member, total, state } of rows) {
    if (state !== 'paid' && state !== 'credited') owed.set(hex(member), (owed.get(hex(member)) ?? 0) + total)
    const paid = (times.get(number)?.size ?? 0) - (reversed.get(number) ?? 0)
    if (total > 0 && paid !== (state === 'paid' ? 1 : 0))
      broken('M6', `${number} is ${state} and was paid ${paid} times`)
  }
  const debts = await debtsOf(sql, books)
  for (const { id, number } of await sql.all<{ id: Uint8Array; number: string }>('SELECT id, number FROM members')) {
    const receivable = -books.net(`receivable/${hex(id)}/JPY`) - (debts.get(hex(id)) ?? 0)
    const asked = owed.get(hex(id)) ?? 0
    if (receivable !== asked) broken('M6', `${number} owes ${receivable}, open statements say ${asked}`)
    const buyer = buyers.find((one) => one.number === number)
    if (!buyer) continue
    const balances = books.balances(`value/${hex(id)}/JPY`)
    for (const { minor, by } of buyer.told)
      if (!balances.has(minor)) broken('M6', `${buyer.name} was told a balance of ${minor} (${by}), which never was`)
    for (const [statement, told] of buyer.statements) {
      const row = rows.find((one) => one.number === statement)
      if (!row || row.total !== told.total.minor || row.from_date !== told.from || row.to_date !== told.to)
        broken('M6', `${buyer.name} was told another ${statement} than stands`)
    }
  }
}

/** What members owe besides statements: value that was taken back when they had spent it. */
async function debtsOf(sql: Sql, books: Books): Promise<ReadonlyMap<string, number>> {
  const debts = new Map<string, number>()
  const members = new Map(
    (await sql.all<{ payment: string; member: Uint8Array }>('SELECT payment, member FROM top_ups')).map(
      ({ payment, member }) => [payment, hex(member)],
    ),
  )
  for (const { reason, reference, debit, amount } of books.legs) {
    const member = members.get(reference)
    if (reason !== 'top-up-reversed' || !member || !debit.startsWith('receivable/')) continue
    debts.set(member, (debts.get(member) ?? 0) + amount)
  }
  return debts
}

/** M7: placement's register and settlement's say the same of each card. */
async function checkRegisters(sql: Sql, placement: Sql, broken: Broken): Promise<void> {
  for (const { card, level, home, plan } of await sql.all<{
    card: Uint8Array
    level: number
    home: string
    plan: string
  }>('SELECT card, level, home, plan FROM card_profiles')) {
    const row = await placement.get<{ level: number; home: string; plan: string }>(
      'SELECT level, home, plan FROM members WHERE auth_kid = ?',
      card,
    )
    if (row && (row.level !== level || row.home !== home || row.plan !== plan))
      broken('M7', `settlement takes ${hex(card).slice(0, 8)} for level ${level}, placement has ${row.level}`)
  }
  for (const { card, revision, told, lost, change, refused } of await sql.all<{
    card: Uint8Array
    revision: number
    told: number
    lost: number
    change: string | null
    refused: string | null
  }>('SELECT card, revision, told, lost, change, refused FROM card_standings')) {
    const name = hex(card).slice(0, 8)
    const word = await placement.get<{ revision: number; lost: number }>(
      'SELECT revision, lost FROM card_words WHERE card = ?',
      card,
    )
    if (told === revision && (word?.revision !== revision || word.lost !== lost))
      broken('M7', `placement was told revision ${revision} of ${name} and has ${word?.revision}`)
    if (change) broken('M7', `a change of ${name} waits for ever: ${change} (${refused})`)
  }
}
