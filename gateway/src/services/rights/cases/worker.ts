/**
 * Does what follows from a breach, a step at a time (R6): warn the host, fetch and trace the copy, warn the buyer. Each step is
 * written down with what came of it, so that a crash goes on where it was; a warning that was taken just before a crash goes out
 * again with the same Message-ID. No buyer is named below the threshold of the tracing.
 */
import { formatAmount } from '@azukari/protocol/money'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { OutboundAnswer, OutboundRequest } from '../../../adapters/guarded-fetch.ts'
import type { Mailer } from '../../../mail/mailer.ts'
import type { Sql } from '../../../storage/database.ts'
import { salesMaster } from '../sales/master.ts'
import { isMailAddress } from '../sales/purchases.ts'
import { findSale, openBuyer, type SaleRow, salesOfWork } from '../sales/store.ts'
import type { RightsSettings } from '../settings.ts'
import type { RightsShared } from '../shared.ts'
import { fetchCopy } from '../sightings/found-copy.ts'
import { hostOf } from '../sightings/place.ts'
import { findWork } from '../works/store.ts'
import { buyerWarning, type CaseWords, decisionLetter, hostWarning } from './letters.ts'
import { type CaseState, retryMs, stateAfter, type Warnings } from './steps.ts'
import { type CaseRow, dueCases, moveCase, nextDueMs, noteEvent, noteTracing, postponeCase } from './store.ts'

export interface CaseWorkOptions {
  shared: RightsShared
  settings: RightsSettings
  /** Without one nobody is written to, and the case says so. */
  mailer: Mailer | undefined
  fetch(request: OutboundRequest): Promise<OutboundAnswer>
}

/** In a case's history, once the buyer has been written to. */
export const buyerWarned = 'buyer warned'
/** Due cases that one look takes into view, and how long it rests when nothing is due, ms. */
const casesInView = 500
const restMs = 60_000
/** Cases that are worked on at once, of one host one; and how long a step may take besides the tracing, ms. */
const stepsAtOnce = 8
const stepMs = 180_000
/** When a step is done again that failed by our own mistake, ms. */
const mistakeMs = 600_000

/** What came of a step: a line of the case, and what is written with it. */
interface Done {
  what: string
  detail: string
  write?: (sql: Sql) => Promise<void>
  isBuyerKnown?: boolean
  mayResell?: boolean
}

export function warningsOf({ warn = 'both' }: RightsSettings): Warnings {
  return { host: warn === 'both' || warn === 'host', buyer: warn === 'both' || warn === 'buyer' }
}

export class CaseWork {
  readonly #o: CaseWorkOptions
  /** To whom hosts are written, by their names as they are compared. */
  readonly #hosts: ReadonlyMap<string, string>
  /** What is under way, by host: one that is slow holds up none of the others. */
  readonly #busy = new Map<string, Promise<void>>()

  constructor(options: CaseWorkOptions) {
    this.#o = options
    const { hosts = {} } = options.settings
    this.#hosts = new Map(Object.entries(hosts).map(([host, to]) => [hostOf(`https://${host}`), to]))
  }

  /**
   * Begins what is due, as far as there is room.
   * @param wake called when a step has ended: another may follow it
   * @returns when to look again at the latest, ms
   */
  async begin(signal: AbortSignal, wake: () => void): Promise<number> {
    const { store, clock } = this.#o.shared
    const nowMs = clock.now()
    for (const row of await dueCases(store.sql, nowMs, casesInView)) {
      signal.throwIfAborted()
      if (this.#busy.size >= stepsAtOnce) break
      if (this.#busy.has(row.host)) continue
      const step = this.#step(row, signal)
        .catch((error: unknown) => this.#mistake(row, error, signal))
        .finally(() => {
          this.#busy.delete(row.host)
          wake()
        })
      this.#busy.set(row.host, step)
    }
    const next = await nextDueMs(store.sql, nowMs)
    return next === undefined ? restMs : Math.min(restMs, Math.max(0, next - clock.now()))
  }

  /** Resolves when nothing is under way. @returns whether anything was */
  async idle(): Promise<boolean> {
    const wasBusy = this.#busy.size > 0
    while (this.#busy.size > 0) await Promise.all(this.#busy.values())
    return wasBusy
  }

  /** The step is not lost, and others go on. */
  async #mistake({ number, state }: CaseRow, error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { store, log } = this.#o.shared
    log.error('a step of a case failed', { number, state, error: error instanceof Error ? error.stack : String(error) })
    await store.transaction(({ sql, nowMs }) => postponeCase(sql, number, nowMs + mistakeMs))
  }

  async #step(row: CaseRow, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#o.shared
    let done: Done
    const limit = new AbortController()
    using _late = clock.timer(stepMs, () => limit.abort(new Problem('copy.unreachable', 'it took too long')))
    try {
      done = await this.#carryOut(row, AbortSignal.any([signal, limit.signal]))
    } catch (error) {
      if (!isProblem(error) || signal.aborted) throw error
      const waitMs = retryMs(error.retry, row.tries)
      if (waitMs !== undefined) {
        await store.transaction(({ sql, nowMs }) => postponeCase(sql, row.number, nowMs + waitMs))
        return
      }
      done = { what: `${row.state} failed`, detail: error.message }
    }
    const { isBuyerKnown = false, mayResell = false } = done
    const next = stateAfter(row.state, warningsOf(this.#o.settings), { isBuyerKnown, mayResell })
    await store.transaction(async ({ sql }) => {
      await done.write?.(sql)
      await noteEvent(sql, row.number, clock.now(), done.what, done.detail)
      await moveCase(sql, row.number, row.state, next, clock.now())
    })
  }

  #carryOut(row: CaseRow, signal: AbortSignal): Promise<Done> {
    const steps: Partial<Record<CaseState, () => Promise<Done>>> = {
      'warn-host': () => this.#warnHost(row),
      trace: () => this.#trace(row, signal),
      'warn-buyer': () => this.#warnBuyer(row),
      'tell-decision': () => this.#tellDecision(row),
    }
    return steps[row.state]?.() ?? Promise.reject(new Problem('internal', row.state))
  }

  async #warnHost(row: CaseRow): Promise<Done> {
    const to = this.#contactOf(row)
    if (!to)
      return { what: 'host not warned', detail: `no mail address of ${row.host}: name it in rights.json (hosts)` }
    return this.#send('host warned', hostWarning(await this.#words(row), to))
  }

  /** `abuse@` is what RFC 2142 §4 has for it. An address in numbers has no mailbox of that kind. */
  #contactOf({ location, host }: CaseRow): string | undefined {
    const known = this.#hosts.get(host)
    const { hostname } = new URL(location)
    if (known !== undefined || /^[\d.]+$|^\[|^localhost$/.test(hostname)) return known
    return `abuse@${hostname.replace(/^www\./, '')}`
  }

  async #trace(row: CaseRow, signal: AbortSignal): Promise<Done> {
    const { store, marks, pictures, keys } = this.#o.shared
    const { fetch = [] } = this.#o.settings
    const { bytes, media } = await fetchCopy(row.location, (request) => this.#o.fetch(request), fetch, signal)
    await pictures.keep('found', String(row.number), bytes)
    const sales = await salesOfWork(store.sql, row.work)
    const original = await pictures.read('master', row.work)
    const traced = await marks.trace({
      suspect: bytes,
      original,
      master: salesMaster(keys),
      sales: sales.map(({ id }) => BigInt(`0x${id}`)),
      work: BigInt(`0x${row.work}`),
    })
    const { accused, next, threshold } = traced
    const [first] = accused
    const names = accused.map(({ sale, score }) => `${saleId(sale)} (${score.toFixed(2)})`)
    const sale = sales.find(({ id }) => first !== undefined && id === saleId(first.sale))
    const facts = { sale: sale?.id ?? null, score: (first ?? next)?.score, threshold, media }
    const tail = `threshold ${threshold.toFixed(2)}, of ${sales.length} sales`
    // Of several, each took part: whoever is warned is the one with the highest score, people see all.
    const detail = names.length > 0 ? `${names.join(', ')}; ${tail}` : `no sale is named; ${tail}`
    return {
      what: sale ? 'copy traced' : 'copy not traced',
      detail,
      write: (sql) => noteTracing(sql, row.number, facts),
      isBuyerKnown: sale !== undefined && accused.length === 1,
      mayResell: sale?.resale === 1,
    }
  }

  async #warnBuyer(row: CaseRow): Promise<Done> {
    const buyer = this.#buyer(await this.#saleOf(row))
    return this.#sendToBuyer(buyerWarned, buyer, buyerWarning(await this.#words(row), buyer))
  }

  async #tellDecision(row: CaseRow): Promise<Done> {
    const sale = await this.#saleOf(row)
    const words = {
      ...(await this.#words(row)),
      decision: row.decision!,
      reason: row.reason!,
      amount: row.amount === null ? undefined : `${formatAmount(BigInt(row.amount), sale.currency)} ${sale.currency}`,
    }
    const buyer = this.#buyer(sale)
    return this.#sendToBuyer('buyer told', buyer, decisionLetter(words, buyer))
  }

  #buyer(sale: SaleRow) {
    const { name, contact } = openBuyer(sale, this.#o.shared.keys)
    return { name, contact, sale: sale.id }
  }

  async #saleOf({ sale, number }: CaseRow): Promise<SaleRow> {
    const found = sale === null ? undefined : await findSale(this.#o.shared.store.sql, sale)
    if (!found) throw new Problem('rights.no-buyer', String(number))
    return found
  }

  /** A member who bought at a board is known by the card alone: people reach them. */
  async #sendToBuyer(
    what: string,
    { contact }: { contact: string },
    mail: Parameters<Mailer['send']>[0],
  ): Promise<Done> {
    if (isMailAddress(contact)) return this.#send(what, mail)
    return { what: notDone(what), detail: `a member bought it, by ${contact}: reach them in person` }
  }

  async #send(what: string, mail: Parameters<Mailer['send']>[0]): Promise<Done> {
    const { mailer } = this.#o
    if (!mailer) return { what: notDone(what), detail: 'rights.json names no mail server' }
    await mailer.send(mail)
    return { what, detail: mail.to }
  }

  async #words({ number, work, location, why }: CaseRow): Promise<CaseWords> {
    const row = await findWork(this.#o.shared.store.sql, work)
    if (!row) throw new Problem('rights.work-unknown', work)
    return { number, work, location, why, title: row.title, author: row.author }
  }
}

const notDone = (what: string) => what.replace(/^(\w+) /, '$1 not ')

function saleId(sale: bigint): string {
  return sale.toString(16).padStart(10, '0')
}
