/**
 * Stored value by credit card (P5): authorise, then capture, and only then is value issued. The company is asked outside any
 * transaction and may answer late, twice, or never; every question carries the request's id, so that asking again is the
 * same question.
 */
import { decrypt0 } from '@azukari/protocol/cose'
import type { Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Desk } from './desk.ts'
import { atRestKey } from './keystore.ts'
import { declineValue, issueValue, type TopUpRow, tokenDomain, topUps } from './top-up.ts'

/** A card company behind its adapter. Every call is idempotent by `id`. Rejects when there is no clear answer. */
export interface CardCompany {
  authorise(question: {
    id: string
    token: string
    minor: number
    currency: string
    signal: AbortSignal
  }): Promise<{ authorisation: string } | { declined: string }>
  capture(question: { id: string; authorisation: string; signal: AbortSignal }): Promise<void>
  void(question: { id: string; authorisation: string; signal: AbortSignal }): Promise<void>
}

const answerMs = 15_000
const atOnce = 16
/** How long after an unclear answer it is asked again: doubling from 2 s to 10 min. */
const again = (tries: number) => Math.min(600_000, 2_000 * 2 ** Math.min(tries, 12))

export class CardWorker {
  readonly #desk: Desk
  readonly #company: CardCompany
  #stop = new AbortController()
  #turn: Promise<void> | undefined
  #again = false
  #timer: Timer | undefined

  constructor(desk: Desk, company: CardCompany) {
    this.#desk = desk
    this.#company = company
  }

  start(): void {
    this.#stop = new AbortController()
    this.kick()
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Problem('service.unavailable', 'settlement stops'))
    this.#timer?.cancel()
    await this.#turn
  }

  /** Something may be due. */
  kick(): void {
    if (this.#stop.signal.aborted) return
    this.#again = true
    this.#turn ??= this.#run().finally(() => {
      this.#turn = undefined
      if (this.#again) this.kick()
    })
  }

  async #run(): Promise<void> {
    this.#again = false
    this.#timer?.cancel()
    const due = topUps.due(this.#desk.store.sql, this.#desk.clock.now(), atOnce)
    await Promise.all(due.map((row) => this.#step(row)))
    if (this.#stop.signal.aborted) return
    if (due.length === atOnce) this.#again = true
    const next = this.#desk.store.sql.get<{ next: number | null }>('SELECT min(next) AS next FROM top_ups')?.next
    if (next !== null && next !== undefined)
      this.#timer = this.#desk.clock.timer(Math.max(10, next - this.#desk.clock.now()), () => this.kick())
  }

  async #step(row: TopUpRow): Promise<void> {
    const { store, clock, log, keys } = this.#desk
    const id = Buffer.from(row.id).toString('hex')
    const limit = new AbortController()
    using _limit = clock.timer(answerMs, () => limit.abort(new Problem('topup.unanswered')))
    const signal = AbortSignal.any([this.#stop.signal, limit.signal])
    try {
      if (row.pay_by <= clock.now()) {
        if (row.authorisation) await this.#company.void({ id, authorisation: row.authorisation, signal })
        store.transaction((within) => declineValue(this.#desk, within, row, 'expired'))
        return
      }
      let authorisation = row.authorisation
      if (!authorisation) {
        const token = Buffer.from(decrypt0(row.token!, atRestKey(keys, 'card-token'), tokenDomain)).toString()
        const answer = await this.#company.authorise({ id, token, minor: row.amount, currency: row.currency, signal })
        if ('declined' in answer) {
          store.transaction((within) => declineValue(this.#desk, within, row, 'declined'))
          return
        }
        authorisation = answer.authorisation
        store.transaction(({ sql }) => topUps.set(sql, row.payment, { state: 'authorised', authorisation }))
      }
      await this.#company.capture({ id, authorisation, signal })
      store.transaction((within) =>
        issueValue(this.#desk, within, topUps.get(within.sql, row.payment)!, 'card-company'),
      )
    } catch (error) {
      if (this.#stop.signal.aborted) return
      log.warn('the card company gave no clear answer', {
        payment: row.payment,
        tries: row.tries + 1,
        error: isProblem(error) ? error.code : String(error),
      })
      store.transaction(({ sql, nowMs }) =>
        topUps.set(sql, row.payment, { tries: row.tries + 1, next: nowMs + again(row.tries) }),
      )
    }
  }
}
