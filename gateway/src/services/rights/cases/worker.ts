/**
 * Does what follows from a breach, a step at a time (R6): warn the host, fetch and trace the copy, warn the buyer. Each step is
 * written down with what came of it, so that a crash goes on where it was; a warning that was taken just before a crash goes out
 * again with the same Message-ID. No buyer is named below the threshold of the tracing.
 */
import { formatAmount } from '@azukari/protocol/money'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { OutboundAnswer, OutboundRequest } from '../../../adapters/guarded-fetch.ts'
import type { Sql } from '../../../storage/database.ts'
import { salesMaster } from '../sales/master.ts'
import { findSale, openBuyer, type SaleRow, salesOfWork } from '../sales/store.ts'
import type { RightsSettings } from '../settings.ts'
import type { RightsShared } from '../shared.ts'
import { fetchCopy } from '../sightings/found-copy.ts'
import { findWork } from '../works/store.ts'
import { buyerWarning, type CaseWords, decisionLetter, hostWarning } from './letters.ts'
import type { Mailer } from './mailer.ts'
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
/** Cases in one look, and how long it rests when nothing is due, ms. */
const casesPerRound = 20
const restMs = 60_000

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

  constructor(options: CaseWorkOptions) {
    this.#o = options
  }

  /** One look around. @returns when to look again at the latest, ms */
  async round(signal: AbortSignal): Promise<number> {
    const { store, clock } = this.#o.shared
    for (const row of await dueCases(store.sql, clock.now(), casesPerRound)) {
      signal.throwIfAborted()
      await this.#step(row, signal)
    }
    const next = await nextDueMs(store.sql)
    return next === undefined ? restMs : Math.min(restMs, Math.max(0, next - clock.now()))
  }

  async #step(row: CaseRow, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#o.shared
    let done: Done
    try {
      done = await this.#carryOut(row, signal)
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
    const known = this.#o.settings.hosts?.[host]
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
    return this.#send(buyerWarned, buyerWarning(await this.#words(row), this.#buyer(await this.#saleOf(row))))
  }

  async #tellDecision(row: CaseRow): Promise<Done> {
    const sale = await this.#saleOf(row)
    const words = {
      ...(await this.#words(row)),
      decision: row.decision!,
      reason: row.reason!,
      amount: row.amount === null ? undefined : `${formatAmount(BigInt(row.amount), sale.currency)} ${sale.currency}`,
    }
    return this.#send('buyer told', decisionLetter(words, this.#buyer(sale)))
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

  async #send(what: string, mail: Parameters<Mailer['send']>[0]): Promise<Done> {
    const { mailer } = this.#o
    if (!mailer) return { what: what.replace(/^(\w+) /, '$1 not '), detail: 'rights.json names no mail server' }
    await mailer.send(mail)
    return { what, detail: mail.to }
  }

  async #words({ number, work, location, why }: CaseRow): Promise<CaseWords> {
    const row = await findWork(this.#o.shared.store.sql, work)
    if (!row) throw new Problem('rights.work-unknown', work)
    return { number, work, location, why, title: row.title, author: row.author }
  }
}

function saleId(sale: bigint): string {
  return sale.toString(16).padStart(10, '0')
}
