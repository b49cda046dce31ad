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
import { ledgerOf } from '../centre/epoch.ts'
import { atRestKey } from '../keystore.ts'
import { memberAccount, ownAccount } from '../ledger/accounts.ts'
import type { Leg } from '../ledger/model.ts'
import { againMs, type CardCompany, type CardQueue, type Reversal } from '../payments/card-company.ts'
import { tokenDomain } from '../payments/top-up.ts'
import { derivedId, type Within } from '../service-context.ts'
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
  set: async (sql: Sql, id: Uint8Array, change: Partial<Omit<ChargeRow, 'id'>>) => {
    const entries = Object.entries(change)
    await sql.run(
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

export async function cardsReport(sql: Sql, limit: number): Promise<CardsReport> {
  return {
    open: await sql.all(
      'SELECT statement, state, amount, currency, tries, next FROM card_charges WHERE next IS NOT NULL ORDER BY next LIMIT ?',
      limit,
    ),
    unexplained: await sql.all(
      'SELECT n, amount, currency, at FROM card_reversals WHERE matched IS NULL ORDER BY n LIMIT ?',
      limit,
    ),
  }
}

/** Begins a charge of every statement that is due by card soon. Returns how many the company is asked about. */
export async function collectCards(ports: BillingPorts): Promise<number> {
  const { shared, rules } = ports
  return shared.store.transaction(async (within) => {
    const { sql, nowMs } = within
    const today = civilDate(nowMs, rules.timeZone)
    let begun = 0
    for (const row of await dueOf(within, today, 'card', rules.authoriseDays)) {
      const { token } = (await sql.get<BillingAccount>('SELECT * FROM billing_accounts WHERE member = ?', row.member))!
      if (token && ports.cards) {
        await begin(within, row, token)
        begun++
      } else if (mayCollect(row, today)) await giveBack(ports, within, row, 'no-card')
    }
    return begun
  })
}

function mayCollect(row: StatementRow, today: CivilDate): boolean {
  return row.object_by < today && row.debit_on <= today
}

/** Reserves what is claimed, so that the same debt cannot be paid otherwise meanwhile, and writes the question down. */
async function begin(within: Within, row: StatementRow, token: Uint8Array): Promise<void> {
  const { sql, nowMs } = within
  const n = ((await charges.latest(sql, row.number))?.n ?? 0) + 1
  const ledger = ledgerOf(sql)
  const hold = derivedId('card-charge', row.number, String(n))
  await post(within, row, 'card-asked', n, {
    kind: 'hold',
    hold,
    amountMinor: BigInt(row.total),
    expiresMs: nowMs + holdMs,
    debit: await ownAccount(ledger, 'card-company', row.currency),
    credit: await memberAccount(ledger, 'receivable', row.member, row.currency),
  })
  await insertRow(sql, 'card_charges', {
    id: hold,
    statement: row.number,
    n,
    amount: row.total,
    currency: row.currency,
    state: 'asked',
    token,
    authorisation: null,
    tries: 0,
    next: nowMs,
    at: nowMs,
  } satisfies ChargeRow)
  await statements.set(sql, row.number, { state: nextStage(row.state, 'hold-card'), hold })
}

async function post({ sql, nowMs }: Within, row: StatementRow, reason: string, n: number, leg: Leg): Promise<void> {
  const id = derivedId(reason, row.number, String(n))
  await ledgerOf(sql).post({ id, reason, reference: row.number, legs: [leg] }, nowMs)
}

/** Ends the reservation of a charge that will not be collected. */
async function giveUpHold(within: Within, row: StatementRow, charge: ChargeRow): Promise<void> {
  await post(within, row, 'card-void', charge.n, { kind: 'void', hold: charge.id })
}

/** An objection came before the capture was asked: what was or may be authorised is given back. */
export async function stopCharge(within: Within, row: StatementRow): Promise<void> {
  const { sql, nowMs } = within
  const charge = await charges.latest(sql, row.number)
  if (charge?.state !== 'asked' && charge?.state !== 'authorised')
    throw new InternalError(`${row.number} is held and has no charge`)
  await giveUpHold(within, row, charge)
  await charges.set(sql, charge.id, { state: 'voiding', next: nowMs, tries: 0 })
  await statements.set(sql, row.number, { hold: null })
}

/** The company's answers to the questions of charges, step by step. */
export function chargeQueue(ports: () => BillingPorts, company: CardCompany): CardQueue<ChargeRow> {
  const sql = () => ports().shared.store.sql
  return {
    due: (nowMs, limit) =>
      sql().all<ChargeRow>(
        'SELECT * FROM card_charges WHERE next IS NOT NULL AND next <= ? ORDER BY next LIMIT ?',
        nowMs,
        limit,
      ),
    next: async () =>
      (await sql().get<{ next: number | null }>('SELECT min(next) AS next FROM card_charges'))?.next ?? undefined,
    step: (row, signal, confirmed) => new ChargeStep(ports(), company, signal, confirmed).take(row),
    unclear: async ({ id, state, tries, statement }) => {
      await ports().shared.store.transaction(async (within) => {
        if ((await charges.get(within.sql, id))?.state === state)
          await charges.set(within.sql, id, { tries: tries + 1, next: within.nowMs + againMs(tries) })
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
    const { keys } = this.#ports.shared
    const token = Buffer.from(decrypt0(row.token!, atRestKey(keys, 'card-token'), tokenDomain)).toString()
    const { amount: minor, currency } = row
    return this.#company.authorise({ id: idOf(row), token, minor, currency, signal: this.#signal })
  }

  async #authorise(row: ChargeRow): Promise<void> {
    const { shared } = this.#ports
    if (row.state === 'asked' && row.at + askedMs <= shared.clock.now()) {
      // Whether there is an authorisation is found out while it is given back.
      await this.#judge(row, ['asked'], async (within, statement) => {
        await giveUpHold(within, statement, row)
        await charges.set(within.sql, row.id, { state: 'voiding', next: within.nowMs, tries: 0 })
        await giveBack(this.#ports, within, statement, 'no-answer')
      })
      return
    }
    const answer = await this.#ask(row)
    await this.#judge(row, ['asked', 'voiding'], async (within, statement, { state }) => {
      const { sql, nowMs } = within
      if ('authorisation' in answer) {
        const next = state === 'asked' ? this.#dayOf(statement) : nowMs
        await charges.set(sql, row.id, { authorisation: answer.authorisation, tries: 0, next })
        if (state === 'asked') await charges.set(sql, row.id, { state: 'authorised' })
      } else if (state === 'asked') {
        await giveUpHold(within, statement, row)
        await charges.set(sql, row.id, { state: 'declined', next: null, token: null })
        await giveBack(this.#ports, within, statement, 'declined')
      } else await charges.set(sql, row.id, { state: 'voided', next: null, token: null })
    })
  }

  /** The day has come, and nobody objected: from here on an objection is too late. */
  async #mayCapture(row: ChargeRow): Promise<void> {
    const { timeZone } = this.#ports.rules
    const go = await this.#judge(row, ['authorised'], async (within, statement) => {
      const { sql, nowMs } = within
      if (!mayCollect(statement, civilDate(nowMs, timeZone))) {
        await charges.set(sql, row.id, { next: Math.max(nowMs + 1_000, this.#dayOf(statement)) })
        return false
      }
      await statements.set(sql, statement.number, { state: nextStage(statement.state, 'capture-card') })
      await charges.set(sql, row.id, { state: 'capturing', tries: 0, next: nowMs })
      return true
    })
    if (!go) return
    // A centre that takes over must know of it, or it would still take an objection.
    await this.#confirmed()
    await this.#capture({ ...row, state: 'capturing' })
  }

  async #capture(row: ChargeRow): Promise<void> {
    const answer = await this.#company.capture({
      id: idOf(row),
      authorisation: row.authorisation!,
      signal: this.#signal,
    })
    await this.#judge(row, ['capturing'], async (within, statement) => {
      if (!('refused' in answer)) return captured(this.#ports, within, statement, row)
      const { sql } = within
      await giveUpHold(within, statement, row)
      await charges.set(sql, row.id, { state: 'lapsed', next: null, token: null })
      const before = await sql.get<{ state: ChargeState }>(
        'SELECT state FROM card_charges WHERE statement = ? AND n = ?',
        row.statement,
        row.n - 1,
      )
      // That an authorisation ran out is nobody's fault once: it is asked for anew.
      if (before?.state === 'lapsed') await giveBack(this.#ports, within, statement, 'refused')
      else await statements.set(sql, statement.number, { state: nextStage(statement.state, 'return'), hold: null })
    })
  }

  async #void(row: ChargeRow): Promise<void> {
    if (!row.authorisation) {
      await this.#authorise(row)
      return
    }
    await this.#company.void({ id: idOf(row), authorisation: row.authorisation, signal: this.#signal })
    await this.#judge(row, ['voiding'], async ({ sql }) => {
      await charges.set(sql, row.id, { state: 'voided', next: null, token: null })
    })
  }

  /** Works on what stands now: while the company was asked something may have happened. */
  async #judge<T>(
    { id }: ChargeRow,
    states: readonly ChargeState[],
    work: (within: Within, statement: StatementRow, charge: ChargeRow) => T,
  ): Promise<T | undefined> {
    return this.#ports.shared.store.transaction(async (within) => {
      const charge = (await charges.get(within.sql, id))!
      const statement = (await statements.get(within.sql, charge.statement))!
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

async function captured(ports: BillingPorts, within: Within, row: StatementRow, charge: ChargeRow): Promise<void> {
  await post(within, row, 'statement-paid', charge.n, {
    kind: 'capture',
    hold: charge.id,
    amountMinor: BigInt(charge.amount),
  })
  await charges.set(within.sql, charge.id, { state: 'captured', next: null, token: null })
  await statements.set(within.sql, row.number, { state: nextStage(row.state, 'paid') })
  await sendReceipt(ports, within, row)
}

/**
 * The company took a payment back: the statement is open again, with a reminder, and that card is not asked any more until
 * the member names it, or another, anew. Returns whose payment it was; undefined when it is no charge of ours.
 */
async function reverse(
  ports: BillingPorts,
  within: Within,
  { authorisation, minor }: Reversal,
): Promise<string | undefined> {
  const { sql, nowMs } = within
  const charge = await sql.get<ChargeRow>(
    "SELECT * FROM card_charges WHERE authorisation = ? AND state IN ('capturing', 'captured')",
    authorisation,
  )
  if (charge?.amount !== minor) return undefined
  // It was collected, or it could not be taken back: the answer that said so was lost.
  if (charge.state === 'capturing')
    await captured(ports, within, (await statements.get(sql, charge.statement))!, charge)
  const row = (await statements.get(sql, charge.statement))!
  const ledger = ledgerOf(sql)
  await ledger.post(
    {
      id: derivedId('card-reversed', charge.id),
      reason: 'payment-reversed',
      reference: row.number,
      legs: [
        {
          kind: 'post',
          amountMinor: BigInt(charge.amount),
          debit: await memberAccount(ledger, 'receivable', row.member, row.currency),
          credit: await ownAccount(ledger, 'card-company', row.currency),
        },
      ],
    },
    nowMs,
  )
  await charges.set(sql, charge.id, { state: 'reversed' })
  await sql.run('UPDATE billing_accounts SET token = NULL WHERE member = ?', row.member)
  await giveBack(ports, within, row, 'charged-back', 'reverse')
  return row.number
}

function idOf({ id }: ChargeRow): string {
  return Buffer.from(id).toString('hex')
}
