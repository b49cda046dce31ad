/**
 * Statements paid by credit card (S13, S14): authorised some days before the debit, captured on its day. Until the company is
 * told to capture, an objection stops the charge and the authorisation is given back; whether there is one is read in the
 * very transaction after which the capture is asked. Every question carries the charge's id, so that asking again is the
 * same question, and what the company answers counts once.
 */
import { decrypt0 } from '@azukari/protocol/cose'
import type { Currency } from '@azukari/protocol/money'
import { InternalError } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { memberAccount, ownAccount } from '../accounts.ts'
import { againMs, type CardCompany, type CardQueue, type Reversal } from '../card-company.ts'
import { derivedId, type Within } from '../desk.ts'
import { ledgerOf } from '../epoch.ts'
import { atRestKey } from '../keystore.ts'
import type { Leg } from '../ledger/model.ts'
import { tokenDomain } from '../top-up.ts'
import { addDays, type CivilDate, civilDate, latest, offsetOf } from './calendar.ts'
import type { BillingAccount } from './closing.ts'
import { dueOf, giveBack, sendReceipt } from './collect.ts'
import type { BillingPorts } from './ports.ts'
import { nextStage } from './stages.ts'
import { type StatementRow, statements } from './statements.ts'

/**
 * `asked`: for an authorisation; `capturing`: the company was told to collect; `lapsed`: it would not, the authorisation had
 * run out; `voiding`: to be given back; `reversed`: collected, and taken back.
 */
export type ChargeState =
  | 'asked'
  | 'authorised'
  | 'capturing'
  | 'captured'
  | 'reversed'
  | 'declined'
  | 'lapsed'
  | 'voiding'
  | 'voided'

export interface ChargeRow {
  id: Uint8Array
  statement: string
  /** 1, 2, … of its statement. */
  n: number
  amount: number
  currency: Currency
  state: ChargeState
  /** The card company's token, sealed; the question stays the same when the member names another card meanwhile. */
  token: Uint8Array | null
  authorisation: string | null
  tries: number
  /** When the company is asked next. */
  next: number | null
  at: number
}

/** How long an authorisation is asked for without a clear answer. */
const askedMs = 3 * 86_400_000
/** How long a reservation in the ledger may last: longer than any charge. */
const holdMs = 400 * 86_400_000

const charges = {
  get: (sql: Sql, id: Uint8Array) => sql.get<ChargeRow>('SELECT * FROM card_charges WHERE id = ?', id),
  latest: (sql: Sql, statement: string) =>
    sql.get<ChargeRow>('SELECT * FROM card_charges WHERE statement = ? ORDER BY n DESC LIMIT 1', statement),
  set: (sql: Sql, id: Uint8Array, change: Partial<Omit<ChargeRow, 'id'>>) => {
    const entries = Object.entries(change)
    sql.run(
      `UPDATE card_charges SET ${entries.map(([name]) => `${name} = ?`).join(', ')} WHERE id = ?`,
      ...entries.map(([, value]) => value as string | number | Uint8Array | null),
      id,
    )
  },
}

/** What a clerk sees of charges that are not at their end, and of money that was taken back and is nobody's. */
export interface CardsReport {
  open: Pick<ChargeRow, 'statement' | 'state' | 'amount' | 'currency' | 'tries' | 'next'>[]
  unexplained: { n: number; amount: number; currency: Currency; at: number }[]
}

export function cardsReport(sql: Sql, limit: number): CardsReport {
  return {
    open: sql.all(
      'SELECT statement, state, amount, currency, tries, next FROM card_charges WHERE next IS NOT NULL ORDER BY next LIMIT ?',
      limit,
    ),
    unexplained: sql.all(
      'SELECT n, amount, currency, at FROM card_reversals WHERE matched IS NULL ORDER BY n LIMIT ?',
      limit,
    ),
  }
}

/** Begins a charge of every statement that is due by card soon. Returns how many the company is asked about. */
export function collectCards(ports: BillingPorts): number {
  const { desk, rules } = ports
  return desk.store.transaction((within) => {
    const { sql, nowMs } = within
    const today = civilDate(nowMs, rules.timeZone)
    let begun = 0
    for (const row of dueOf(within, today, 'card', rules.authoriseDays)) {
      const { token } = sql.get<BillingAccount>('SELECT * FROM billing_accounts WHERE member = ?', row.member)!
      if (token && ports.cards) {
        begin(within, row, token)
        begun++
      } else if (mayCollect(row, today)) giveBack(ports, within, row, 'no-card')
    }
    return begun
  })
}

function mayCollect(row: StatementRow, today: CivilDate): boolean {
  return row.object_by < today && row.debit_on <= today
}

/** Reserves what is claimed, so that the same debt cannot be paid otherwise meanwhile, and writes the question down. */
function begin(within: Within, row: StatementRow, token: Uint8Array): void {
  const { sql, nowMs } = within
  const n = (charges.latest(sql, row.number)?.n ?? 0) + 1
  const ledger = ledgerOf(sql)
  const hold = derivedId('card-charge', row.number, String(n))
  post(within, row, 'card-asked', n, {
    ...{ kind: 'hold', hold, amountMinor: BigInt(row.total), expiresMs: nowMs + holdMs },
    debit: ownAccount(ledger, 'card-company', row.currency),
    credit: memberAccount(ledger, 'receivable', row.member, row.currency),
  })
  insertRow(sql, 'card_charges', {
    ...{ id: hold, statement: row.number, n, amount: row.total, currency: row.currency, state: 'asked', token },
    ...{ authorisation: null, tries: 0, next: nowMs, at: nowMs },
  } satisfies ChargeRow)
  statements.set(sql, row.number, { state: nextStage(row.state, 'hold-card'), hold })
}

function post({ sql, nowMs }: Within, row: StatementRow, reason: string, n: number, leg: Leg): void {
  const id = derivedId(reason, row.number, String(n))
  ledgerOf(sql).post({ id, reason, reference: row.number, legs: [leg] }, nowMs)
}

/** Ends the reservation of a charge that will not be collected. */
function giveUpHold(within: Within, row: StatementRow, charge: ChargeRow): void {
  post(within, row, 'card-void', charge.n, { kind: 'void', hold: charge.id })
}

/** An objection came before the capture was asked: what was or may be authorised is given back. */
export function stopCharge(within: Within, row: StatementRow): void {
  const { sql, nowMs } = within
  const charge = charges.latest(sql, row.number)
  if (charge?.state !== 'asked' && charge?.state !== 'authorised')
    throw new InternalError(`${row.number} is held and has no charge`)
  giveUpHold(within, row, charge)
  charges.set(sql, charge.id, { state: 'voiding', next: nowMs, tries: 0 })
  statements.set(sql, row.number, { hold: null })
}

/** The company's answers to the questions of charges, step by step. */
export function chargeQueue(ports: () => BillingPorts, company: CardCompany): CardQueue<ChargeRow> {
  const sql = () => ports().desk.store.sql
  return {
    due: (nowMs, limit) =>
      sql().all<ChargeRow>(
        'SELECT * FROM card_charges WHERE next IS NOT NULL AND next <= ? ORDER BY next LIMIT ?',
        nowMs,
        limit,
      ),
    next: () => sql().get<{ next: number | null }>('SELECT min(next) AS next FROM card_charges')?.next ?? undefined,
    step: (row, signal, confirmed) => new ChargeStep(ports(), company, signal, confirmed).take(row),
    unclear: ({ id, state, tries, statement }) => {
      ports().desk.store.transaction((within) => {
        if (charges.get(within.sql, id)?.state === state)
          charges.set(within.sql, id, { tries: tries + 1, next: within.nowMs + againMs(tries) })
      })
      return { statement, tries: tries + 1 }
    },
    reversed: (within, reversal) => reverse(ports(), within, reversal),
  }
}

class ChargeStep {
  readonly #ports: BillingPorts
  readonly #company: CardCompany
  readonly #signal: AbortSignal
  readonly #confirmed: () => Promise<void>

  constructor(ports: BillingPorts, company: CardCompany, signal: AbortSignal, confirmed: () => Promise<void>) {
    this.#ports = ports
    this.#company = company
    this.#signal = signal
    this.#confirmed = confirmed
  }

  async take(row: ChargeRow): Promise<void> {
    if (row.state === 'asked') await this.#authorise(row)
    else if (row.state === 'authorised') await this.#mayCapture(row)
    else if (row.state === 'capturing') await this.#capture(row)
    else if (row.state === 'voiding') await this.#void(row)
    else throw new InternalError(`a charge that is ${row.state} waits for the card company`)
  }

  async #ask(row: ChargeRow) {
    const { keys } = this.#ports.desk
    const token = Buffer.from(decrypt0(row.token!, atRestKey(keys, 'card-token'), tokenDomain)).toString()
    const { amount: minor, currency } = row
    return this.#company.authorise({ id: idOf(row), token, minor, currency, signal: this.#signal })
  }

  async #authorise(row: ChargeRow): Promise<void> {
    const { desk } = this.#ports
    if (row.state === 'asked' && row.at + askedMs <= desk.clock.now()) {
      // Whether there is an authorisation is found out while it is given back.
      this.#judge(row, ['asked'], (within, statement) => {
        giveUpHold(within, statement, row)
        charges.set(within.sql, row.id, { state: 'voiding', next: within.nowMs, tries: 0 })
        giveBack(this.#ports, within, statement, 'no-answer')
      })
      return
    }
    const answer = await this.#ask(row)
    this.#judge(row, ['asked', 'voiding'], (within, statement, { state }) => {
      const { sql, nowMs } = within
      if ('authorisation' in answer) {
        const next = state === 'asked' ? this.#dayOf(statement) : nowMs
        charges.set(sql, row.id, { authorisation: answer.authorisation, tries: 0, next })
        if (state === 'asked') charges.set(sql, row.id, { state: 'authorised' })
      } else if (state === 'asked') {
        giveUpHold(within, statement, row)
        charges.set(sql, row.id, { state: 'declined', next: null, token: null })
        giveBack(this.#ports, within, statement, 'declined')
      } else charges.set(sql, row.id, { state: 'voided', next: null, token: null })
    })
  }

  /** The day has come, and nobody objected: from here on an objection is too late. */
  async #mayCapture(row: ChargeRow): Promise<void> {
    const { timeZone } = this.#ports.rules
    const go = this.#judge(row, ['authorised'], (within, statement) => {
      const { sql, nowMs } = within
      if (!mayCollect(statement, civilDate(nowMs, timeZone))) {
        charges.set(sql, row.id, { next: Math.max(nowMs + 1_000, this.#dayOf(statement)) })
        return false
      }
      statements.set(sql, statement.number, { state: nextStage(statement.state, 'capture-card') })
      charges.set(sql, row.id, { state: 'capturing', tries: 0, next: nowMs })
      return true
    })
    if (!go) return
    // A centre that takes over must know of it, or it would still take an objection.
    await this.#confirmed()
    await this.#capture({ ...row, state: 'capturing' })
  }

  async #capture(row: ChargeRow): Promise<void> {
    const answer = await this.#company.capture({
      ...{ id: idOf(row), authorisation: row.authorisation!, signal: this.#signal },
    })
    this.#judge(row, ['capturing'], (within, statement) => {
      if (!('refused' in answer)) return captured(this.#ports, within, statement, row)
      const { sql } = within
      giveUpHold(within, statement, row)
      charges.set(sql, row.id, { state: 'lapsed', next: null, token: null })
      const before = sql.get<{ state: ChargeState }>(
        'SELECT state FROM card_charges WHERE statement = ? AND n = ?',
        row.statement,
        row.n - 1,
      )
      // That an authorisation ran out is nobody's fault once: it is asked for anew.
      if (before?.state === 'lapsed') giveBack(this.#ports, within, statement, 'refused')
      else statements.set(sql, statement.number, { state: nextStage(statement.state, 'return'), hold: null })
    })
  }

  async #void(row: ChargeRow): Promise<void> {
    if (!row.authorisation) {
      await this.#authorise(row)
      return
    }
    await this.#company.void({ id: idOf(row), authorisation: row.authorisation, signal: this.#signal })
    this.#judge(row, ['voiding'], ({ sql }) => {
      charges.set(sql, row.id, { state: 'voided', next: null, token: null })
    })
  }

  /** Works on what stands now: while the company was asked something may have happened. */
  #judge<T>(
    { id }: ChargeRow,
    states: readonly ChargeState[],
    work: (within: Within, statement: StatementRow, charge: ChargeRow) => T,
  ): T | undefined {
    return this.#ports.desk.store.transaction((within) => {
      const charge = charges.get(within.sql, id)!
      const statement = statements.get(within.sql, charge.statement)!
      return states.includes(charge.state) ? work(within, statement, charge) : undefined
    })
  }

  /** When the day begins on which a statement may be captured. */
  #dayOf({ debit_on, object_by }: StatementRow): number {
    const { timeZone } = this.#ports.rules
    const midnight = Date.parse(`${latest([debit_on, addDays(object_by, 1)])}T00:00:00Z`)
    return midnight - offsetOf(timeZone, midnight)
  }
}

function captured(ports: BillingPorts, within: Within, row: StatementRow, charge: ChargeRow): void {
  post(within, row, 'statement-paid', charge.n, {
    ...{ kind: 'capture', hold: charge.id, amountMinor: BigInt(charge.amount) },
  })
  charges.set(within.sql, charge.id, { state: 'captured', next: null, token: null })
  statements.set(within.sql, row.number, { state: nextStage(row.state, 'paid') })
  sendReceipt(ports, within, row)
}

/**
 * The company took a payment back: the statement is open again, with a reminder, and that card is not asked any more until
 * the member names it, or another, anew. Returns whose payment it was; undefined when it is no charge of ours.
 */
function reverse(ports: BillingPorts, within: Within, { authorisation, minor }: Reversal): string | undefined {
  const { sql, nowMs } = within
  const charge = sql.get<ChargeRow>(
    "SELECT * FROM card_charges WHERE authorisation = ? AND state IN ('capturing', 'captured')",
    authorisation,
  )
  if (charge?.amount !== minor) return undefined
  // It was collected, or it could not be taken back: the answer that said so was lost.
  if (charge.state === 'capturing') captured(ports, within, statements.get(sql, charge.statement)!, charge)
  const row = statements.get(sql, charge.statement)!
  const ledger = ledgerOf(sql)
  ledger.post(
    {
      id: derivedId('card-reversed', charge.id),
      reason: 'payment-reversed',
      reference: row.number,
      legs: [
        {
          ...{ kind: 'post', amountMinor: BigInt(charge.amount) },
          debit: memberAccount(ledger, 'receivable', row.member, row.currency),
          credit: ownAccount(ledger, 'card-company', row.currency),
        },
      ],
    },
    nowMs,
  )
  charges.set(sql, charge.id, { state: 'reversed' })
  sql.run('UPDATE billing_accounts SET token = NULL WHERE member = ?', row.member)
  giveBack(ports, within, row, 'charged-back', 'reverse')
  return row.number
}

function idOf({ id }: ChargeRow): string {
  return Buffer.from(id).toString('hex')
}
