/**
 * Risks from standing rates and live hazards (ARCHITECTURE §7, docs/risk.md). Hazards are kept over a restart; a feed that
 * falls silent or turns bad never lowers a risk: what it said is held.
 */
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import type { ServiceStore } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { standingTerms, termsOf } from '../hazards/effect.ts'
import type { Bulletin, Hazard } from '../hazards/hazard.ts'
import { type Taken as Changed, KnownHazards } from '../hazards/known.ts'
import type { Ground, Place } from '../hazards/place.ts'
import { type HazardRules, standardRules } from '../hazards/rules.ts'
import { countedTellings, type Telling } from '../hazards/same-event.ts'
import {
  feedRows,
  groundRows,
  hazardRow,
  hazardRows,
  historyRows,
  knownRow,
  type RiskRecord,
} from '../hazards/tables.ts'
import { ratesOf, type ServerRow, servers } from '../store.ts'
import type { RiskBoard, RiskChange } from './board.ts'
import { loss, type Risk, riskOf } from './risk.ts'

export interface LiveRiskOptions {
  store: Pick<ServiceStore, 'sql' | 'transaction'>
  clock: Clock
  log: Log
  rules?: HazardRules
}

/** A hazard that counts now, and who told it. */
export interface LiveHazard {
  feed: string
  trust: number
  hazard: Hazard
}

/** What a bulletin changed. */
export interface Taken extends Changed {
  /** Share of servers whose risk this feed at least doubles. */
  endangeredShare: number
}

interface Standing {
  risk: Risk
  sinceMs: number
}

/** How often risks are looked at again without news: hazards come nearer, decay and end by themselves. */
const againMs = 60_000

export class LiveRiskBoard implements RiskBoard {
  readonly #store: LiveRiskOptions['store']
  readonly #clock: Clock
  readonly #log: Log
  readonly #rules: HazardRules
  readonly #known = new KnownHazards()
  readonly #feeds = new Map<string, { trust: number; silent: boolean }>()
  readonly #listeners = new Set<(change: RiskChange) => void>()
  #grounds: Map<string, Ground> = new Map()
  /** What was last told of each server. */
  #told = new Map<string, Standing>()
  #again: Timer | undefined

  constructor({ store, clock, log, rules = standardRules }: LiveRiskOptions) {
    this.#store = store
    this.#clock = clock
    this.#log = log
    this.#rules = rules
  }

  get rules(): HazardRules {
    return this.#rules
  }

  /** Reads what counts; before anything is asked of it. */
  async load(): Promise<void> {
    return this.#load()
  }

  /** Looks at the risks again every minute, until `stop`. */
  async start(): Promise<void> {
    this.#again?.cancel()
    await this.refresh('time')
    this.#later()
  }

  stop(): void {
    this.#again?.cancel()
    this.#again = undefined
  }

  async of(server: string, sql: Sql = this.#store.sql): Promise<Risk> {
    let known = this.#told.get(server)
    if (!known) {
      const row = await servers.byId(sql, server)
      if (!row) return { value: 1, terms: [] }
      known = { risk: this.#riskOf(row, this.#live(this.#clock.now()), this.#clock.now()), sinceMs: this.#clock.now() }
      this.#told.set(server, known)
    }
    return known.risk
  }

  /** Since when a server's risk is what it is. */
  sinceMs(server: string): number | undefined {
    return this.#told.get(server)?.sinceMs
  }

  onChange(listener: (change: RiskChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Every hazard that counts now. */
  hazards(): LiveHazard[] {
    return this.#live(this.#clock.now())
  }

  async history(server: string, limit = 100): Promise<RiskRecord[]> {
    return historyRows.of(this.#store.sql, server, limit)
  }

  /** What is known of the ground under a server; from `servers.json`. */
  async setGround(server: string, ground: Ground): Promise<void> {
    if (JSON.stringify(this.#grounds.get(server)) === JSON.stringify(ground)) return
    this.#grounds.set(server, ground)
    await this.#store.transaction(({ sql }) => groundRows.put(sql, server, ground))
    await this.refresh(`ground of ${server}`)
  }

  /** Servers were added or their rates changed. */
  async reload(): Promise<void> {
    await this.refresh('servers')
  }

  /** Tells whether a feed has fallen silent; its hazards are then held beyond their end. */
  async setFeed(feed: string, { trust, silent }: { trust: number; silent: boolean }): Promise<void> {
    const known = this.#feeds.get(feed)
    if (known?.trust === trust && known.silent === silent) return
    this.#feeds.set(feed, { trust, silent })
    await this.refresh(`feed ${feed}`)
  }

  /** Takes over what a feed said; durable when it returns. */
  async take(feed: string, bulletin: Bulletin, reason?: string): Promise<Taken> {
    const nowMs = this.#clock.now()
    const { rows, taken, titles } = this.#known.take(feed, bulletin, nowMs)
    await this.#store.transaction(async ({ sql }) => {
      for (const row of rows) await hazardRows.put(sql, hazardRow(row, nowMs))
      await this.#forget(sql, nowMs)
    })
    if (titles.length > 0)
      await this.refresh(
        reason ??
          `${feed}: ${titles.slice(0, 3).join('; ')}${titles.length > 3 ? ` and ${titles.length - 3} more` : ''}`,
      )
    return { ...taken, endangeredShare: this.#endangeredBy(feed) }
  }

  /** Computes every risk anew, keeps and tells what changed. */
  async refresh(reason: string): Promise<void> {
    const nowMs = this.#clock.now()
    const live = this.#live(nowMs)
    const changed: RiskRecord[] = []
    const rows = await servers.all(this.#store.sql)
    for (const row of rows) {
      const risk = this.#riskOf(row, live, nowMs)
      const before = this.#told.get(row.id)?.risk
      if (before && !isChange(before, risk, this.#rules.changeRatio)) continue
      this.#told.set(row.id, { risk, sinceMs: nowMs })
      changed.push({ server: row.id, atMs: nowMs, value: risk.value, terms: [...risk.terms], reason })
      if (before && risk.value < before.value)
        this.#log.info('a risk fell', { server: row.id, from: before.value, to: risk.value, reason })
    }
    if (rows.length !== this.#told.size) {
      const known = new Set(rows.map(({ id }) => id))
      for (const server of this.#told.keys()) if (!known.has(server)) this.#told.delete(server)
    }
    if (changed.length === 0) return
    await this.#store.transaction(async ({ sql }) => {
      for (const record of changed) await historyRows.put(sql, record, this.#rules.historyPerServer)
    })
    const change: RiskChange = { servers: changed.map(({ server }) => server), atMs: nowMs, reason }
    for (const listener of [...this.#listeners]) listener(change)
  }

  async #load(): Promise<void> {
    const { sql } = this.#store
    for (const row of await hazardRows.all(sql)) this.#known.put(knownRow(row))
    this.#grounds = await groundRows.all(sql)
    // A feed that was silent when this process stopped is taken to be silent until it is heard of.
    for (const { name, trust, problem } of await feedRows.all(sql))
      this.#feeds.set(name, { trust, silent: problem?.startsWith('feed.') ?? false })
  }

  #later(): void {
    this.#again = this.#clock.timer(againMs, async () => {
      try {
        await this.refresh('time')
      } catch (error) {
        this.#log.error('risks could not be kept', { message: error instanceof Error ? error.message : String(error) })
      }
      if (this.#again) this.#later()
    })
  }

  /** Hazards that count at a time; those of a silent feed longer than they say. */
  #live(nowMs: number): LiveHazard[] {
    const live: LiveHazard[] = []
    for (const { feed, hazard } of this.#known.hazards()) {
      const { trust = 1, silent = false } = this.#feeds.get(feed) ?? {}
      const untilMs = hazard.untilMs + (silent ? this.#rules.holdHours * 3_600_000 : 0)
      if (nowMs <= untilMs)
        live.push({ feed, trust, hazard: untilMs === hazard.untilMs ? hazard : { ...hazard, untilMs } })
    }
    return live
  }

  #riskOf(row: ServerRow, live: readonly LiveHazard[], nowMs: number): Risk {
    const place = this.#placeOf(row)
    const standing = live.filter(({ hazard }) => hazard.shape.kind === 'exceedance').map(({ hazard }) => hazard)
    const terms = standingTerms(ratesOf(row), place, standing, this.#rules)
    // Only what reaches the place is worth grouping into events.
    const telling: Telling[] = []
    for (const { hazard, trust } of live) {
      const found = termsOf(hazard, place, nowMs, this.#rules).map((term) => ({
        ...term,
        probability: term.probability * trust,
      }))
      if (found.length > 0) telling.push({ hazard, terms: found })
    }
    for (const { terms: counted } of countedTellings(telling)) terms.push(...counted)
    return riskOf(terms)
  }

  #placeOf({ id, region, latitude, longitude }: ServerRow): Place {
    return { server: id, region, latitude, longitude, ground: this.#grounds.get(id) ?? {} }
  }

  #endangeredBy(feed: string): number {
    const ids = new Set(
      this.#known
        .hazards()
        .filter((one) => one.feed === feed)
        .map(({ hazard }) => hazard.id),
    )
    let endangered = 0
    for (const { risk } of this.#told.values()) {
      const mine = risk.terms.filter((term) => term.hazard !== undefined && ids.has(term.hazard))
      const others = riskOf(risk.terms.filter((term) => !mine.includes(term))).value
      if (mine.reduce((sum, term) => sum + loss(term), 0) > others) endangered++
    }
    return this.#told.size === 0 ? 0 : endangered / this.#told.size
  }

  async #forget(sql: Parameters<typeof hazardRows.forget>[0], nowMs: number): Promise<void> {
    const before = nowMs - (this.#rules.holdHours + 24) * 3_600_000
    if ((await hazardRows.forget(sql, before)) > 0) this.#known.forget(before)
  }
}

/** Whether a risk is worth telling: another size, or other hazards behind it. */
function isChange(before: Risk, after: Risk, ratio: number): boolean {
  const [low, high] = before.value < after.value ? [before.value, after.value] : [after.value, before.value]
  if (high > low * ratio + 1e-9) return true
  const hazards = (risk: Risk) => [...new Set(risk.terms.map((term) => term.hazard ?? ''))].sort().join(' ')
  return hazards(before) !== hazards(after)
}
