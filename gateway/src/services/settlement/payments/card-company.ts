/**
 * The card company (P5, S14): asked outside any transaction, it may answer late, twice, or never; every question carries the
 * id of what it is about, so that asking again is the same question. Who has questions is a queue; the worker asks them,
 * and hears from the company what it took back.
 */
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Currency } from '@azukari/protocol/money'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { PeriodicWorker } from '../../../service/periodic-worker.ts'
import type { Duty } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { ownAccount } from '../ledger/accounts.ts'
import { derivedId, type ServiceContext, type Within } from '../service-context.ts'

/** What the company took back after it was captured: the cardholder disputed it. Numbered by the company, from 1 on. */
export interface Reversal {
  n: number
  authorisation: string
  minor: number
  currency: Currency
}

/** A card company behind its adapter. Every question is idempotent by `id`. Rejects when there is no clear answer. */
export interface CardCompany {
  authorise(question: {
    id: string
    token: string
    minor: number
    currency: string
    signal: AbortSignal
  }): Promise<{ authorisation: string } | { declined: string }>
  /** `refused`: nothing was collected and nothing will be; the authorisation has run out. */
  capture(question: {
    id: string
    authorisation: string
    signal: AbortSignal
  }): Promise<{ captured: true } | { refused: string }>
  void(question: { id: string; authorisation: string; signal: AbortSignal }): Promise<void>
  /** Reversals after the n-th, oldest first; none when there are no more. */
  reversals(question: { after: number; signal: AbortSignal }): Promise<Reversal[]>
}

/** Something that has questions for the company: rows with a moment at which they are asked. */
export interface CardQueue<Row = unknown> {
  /** What is due, at most so many. */
  due(nowMs: number, limit: number): Promise<Row[]>
  /** When the next one is. */
  next(): Promise<number | undefined>
  /**
   * Asks, and writes down what was answered, once. Rejects when there was no clear answer.
   * @param confirmed resolves when what was written is safe from the loss of this centre (P9)
   */
  step(row: Row, signal: AbortSignal, confirmed: () => Promise<void>): Promise<void>
  /** There was none: it is asked again later. Returns what the log says. */
  unclear(row: Row): Promise<Record<string, unknown>>
  /** The company took a payment back. Returns whose it was; undefined when it is none of this queue's. */
  reversed(within: Within, reversal: Reversal): Promise<string | undefined>
}

const answerMs = 15_000
const atOnce = 16
/** How often the company is asked what it took back. */
const reversalsEveryMs = 600_000
/** The longest a timer is set for: clocks are put right, and what other processes write is seen then at the latest. */
const restAtMostMs = 3_600_000

/** How long after an unclear answer it is asked again: doubling from 2 s to 10 min. */
export function againMs(tries: number): number {
  return Math.min(600_000, 2_000 * 2 ** Math.min(tries, 12))
}

export interface CardWorkerOptions {
  shared: ServiceContext
  company: CardCompany
  queues: readonly CardQueue[]
  confirmed: () => Promise<void>
  duty: Duty
}

export class CardWorker {
  readonly #o: CardWorkerOptions
  readonly #worker: PeriodicWorker
  #reversalsAtMs = 0

  constructor(options: CardWorkerOptions) {
    this.#o = options
    const { clock, log } = options.shared
    this.#worker = new PeriodicWorker({
      name: 'the card company',
      clock,
      log,
      duty: options.duty,
      idleMs: reversalsEveryMs,
      round: () => this.#round(),
    })
  }

  start(): void {
    this.#worker.start()
  }

  stop(): Promise<void> {
    return this.#worker.stop()
  }

  /** Something may be due. Nothing happens where the worker does not run: the process that runs settlement sees it too. */
  wake(): void {
    this.#worker.wake()
  }

  /** Resolves when nothing is being asked. */
  idle(): Promise<void> {
    return this.#worker.idle()
  }

  async #round(): Promise<number> {
    const { shared, queues } = this.#o
    try {
      // What is asked must not be forgotten with this centre: the company would have taken what nobody knows of.
      await this.#o.confirmed()
      const nowMs = shared.clock.now()
      await this.#hearReversals(nowMs)
      for (const queue of queues) {
        const due = await queue.due(nowMs, atOnce)
        await Promise.all(await mapInOrder(due, (row) => this.#step(queue, row)))
        if (due.length === atOnce) this.wake()
      }
      const next = Math.min(
        ...(await mapInOrder(queues, async (queue) => (await queue.next()) ?? Number.POSITIVE_INFINITY)),
        this.#reversalsAtMs,
      )
      return Math.min(restAtMostMs, Math.max(10, next - shared.clock.now()))
    } catch (error) {
      if (!this.#stopped) shared.log.warn('the card company is asked later', { error: told(error) })
      return reversalsEveryMs
    }
  }

  get #stopped(): boolean {
    return this.#worker.signal.aborted
  }

  async #step(queue: CardQueue, row: unknown): Promise<void> {
    const { shared, confirmed } = this.#o
    const limit = new AbortController()
    using _limit = shared.clock.timer(answerMs, () => limit.abort(new Problem('topup.unanswered')))
    try {
      await queue.step(row, AbortSignal.any([this.#worker.signal, limit.signal]), confirmed)
    } catch (error) {
      if (this.#stopped) return
      shared.log.warn('the card company gave no clear answer', { ...(await queue.unclear(row)), error: told(error) })
    }
  }

  async #hearReversals(nowMs: number): Promise<void> {
    if (nowMs < this.#reversalsAtMs) return
    const { shared, company, queues } = this.#o
    this.#reversalsAtMs = nowMs + reversalsEveryMs
    const limit = new AbortController()
    using _limit = shared.clock.timer(answerMs, () => limit.abort(new Problem('topup.unanswered')))
    const signal = AbortSignal.any([this.#worker.signal, limit.signal])
    for (;;) {
      const { last } = (await shared.store.sql.get<{ last: number | null }>(
        'SELECT max(n) AS last FROM card_reversals',
      ))!
      let some: Reversal[]
      try {
        some = await company.reversals({ after: last ?? 0, signal })
      } catch (error) {
        // Nothing is lost: they are numbered. Questions of money that is due do not wait for it.
        if (!this.#stopped) shared.log.warn('the card company does not tell what it took back', { error: told(error) })
        return
      }
      if (some.length === 0) return
      for (const reversal of some)
        await shared.store.transaction((within) => takeReversal(shared, queues, within, reversal))
    }
  }
}

/** Books a reversal once; one that is nobody's is a claim of ours until a clerk finds out. */
async function takeReversal(
  shared: ServiceContext,
  queues: readonly CardQueue[],
  within: Within,
  reversal: Reversal,
): Promise<void> {
  const { sql, nowMs } = within
  const { n, authorisation, minor, currency } = reversal
  const last = (await sql.get<{ last: number | null }>('SELECT max(n) AS last FROM card_reversals'))!.last ?? 0
  if (n <= last) return
  let matched: string | undefined
  for (const queue of queues) matched ??= await queue.reversed(within, reversal)
  if (!matched) {
    shared.log.warn('the card company took back what is not known here', { n })
    const ledger = ledgerOf(sql)
    await ledger.post(
      {
        id: derivedId('card-reversal', String(n)),
        reason: 'unexplained',
        reference: `card reversal ${n}`,
        legs: [
          {
            kind: 'post',
            amountMinor: BigInt(minor),
            debit: await ownAccount(ledger, 'unexplained', currency),
            credit: await ownAccount(ledger, 'card-company', currency),
          },
        ],
      },
      nowMs,
    )
  }
  await insertRow(sql, 'card_reversals', {
    n,
    authorisation,
    amount: minor,
    currency,
    at: nowMs,
    matched: matched ?? null,
  })
}

function told(error: unknown): string {
  return isProblem(error) ? error.code : String(error)
}
