/**
 * Keeps placement's register in step (P4, S9): that a card is lost or found, and what changes about its member, is written
 * down with the cause of it and told until placement has answered; and what placement changed by itself is followed. Words
 * on a card are numbered, so that one that comes twice or late changes nothing there.
 */

import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { keepCard, LevelChange, listChanges } from '@azukari/protocol/contracts/settlement-placement'
import { mapInOrder } from '@azukari/protocol/in-order'
import { isProblem } from '@azukari/protocol/problem'
import { PeriodicWorker } from '../../../service/periodic-worker.ts'
import type { Sql } from '../../../storage/database.ts'
import type { ServiceContext, Within } from '../service-context.ts'

/** Placement, in this process or apart. Rejects when it cannot answer. */
export interface PlacementKeeping {
  keepCard(word: RequestOf<typeof keepCard>): Promise<ReplyOf<typeof keepCard>>
  changes(question: RequestOf<typeof listChanges>): Promise<ReplyOf<typeof listChanges>>
}

export const inStepTables = `
CREATE TABLE card_standings (
  card BLOB PRIMARY KEY, member BLOB NOT NULL REFERENCES members (id), revision INTEGER NOT NULL,
  told INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL, change TEXT, refused TEXT, tries INTEGER NOT NULL DEFAULT 0,
  next INTEGER
) STRICT;
CREATE INDEX card_standings_due ON card_standings (next) WHERE next IS NOT NULL;
INSERT INTO card_standings (card, member, revision, lost, next)
  SELECT card, id, 1, 1, 0 FROM members WHERE card IS NOT NULL AND card_blocked = 1;
CREATE TABLE card_profiles (
  card BLOB PRIMARY KEY, level INTEGER NOT NULL, home TEXT NOT NULL, plan TEXT NOT NULL
) STRICT;
CREATE TABLE placement_place (id INTEGER PRIMARY KEY CHECK (id = 1), log BLOB, after INTEGER NOT NULL) STRICT;
INSERT INTO placement_place (id, log, after) VALUES (1, NULL, 0);
`

export interface StandingRow {
  card: Uint8Array
  member: Uint8Array
  revision: number
  /** The newest revision that placement has answered to. */
  told: number
  lost: number
  /** JSON of a `LevelChange` that placement has not taken yet. */
  change: string | null
  /** Why the last change was refused. */
  refused: string | null
  tries: number
  next: number | null
}

/** What a clerk sees of a card. */
export interface CardStanding {
  lost: boolean
  /** Placement knows all that was said here. */
  inStep: boolean
  refused?: string
  level?: number
  home?: string
  plan?: string
}

const standingOf = (sql: Sql, card: Uint8Array) =>
  sql.get<StandingRow>('SELECT * FROM card_standings WHERE card = ?', card)

/** Notes a word on a card, to be told to placement. */
export async function noteStanding(
  { sql, nowMs }: Pick<Within, 'sql' | 'nowMs'>,
  member: Uint8Array,
  card: Uint8Array,
  word: { lost?: boolean; change?: LevelChange },
): Promise<void> {
  const known = await standingOf(sql, card)
  if (!known && !word.lost && !word.change) return
  const change = together(known?.change ? (JSON.parse(known.change) as LevelChange) : undefined, word.change)
  await sql.run(
    `INSERT INTO card_standings (card, member, revision, lost, change, next) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (card) DO UPDATE SET member = excluded.member, revision = excluded.revision, lost = excluded.lost,
       change = excluded.change, refused = NULL, tries = 0, next = excluded.next`,
    card,
    member,
    (known?.revision ?? 0) + 1,
    (word.lost ?? known?.lost === 1) ? 1 : 0,
    change ? JSON.stringify(change) : null,
    nowMs,
  )
}

/** A later change over one that is still under way: a plan takes the place of a level, and the reverse. */
function together(before: LevelChange | undefined, now: LevelChange | undefined): LevelChange | undefined {
  if (!before || !now) return now ?? before
  const { plan, level, home } = before
  const fixed = now.plan !== undefined || now.level !== undefined ? {} : { plan, level }
  return JSON.parse(JSON.stringify({ home, ...fixed, ...now })) as LevelChange
}

export async function cardStanding(sql: Sql, card: Uint8Array): Promise<CardStanding> {
  const row = await standingOf(sql, card)
  const profile = await sql.get<{ level: number; home: string; plan: string }>(
    'SELECT level, home, plan FROM card_profiles WHERE card = ?',
    card,
  )
  return {
    lost: row?.lost === 1,
    inStep: !row || row.told === row.revision,
    ...(row?.refused ? { refused: row.refused } : {}),
    ...profile,
  }
}

const atOnce = 16
/** How often placement is asked what changed there. */
const everyMs = 5_000
/** A card that placement does not know yet is told of again. */
const unknownMs = 600_000
/** Everything lost is told anew: placement's register may have been rebuilt from its journal. */
const anewMs = 86_400_000
const againMs = (tries: number) => Math.min(300_000, 1_000 * 2 ** Math.min(tries, 9))

export class InStep {
  readonly #shared: ServiceContext
  readonly #placement: PlacementKeeping
  readonly #confirmed: () => Promise<void>
  readonly #worker: PeriodicWorker
  #anewAtMs = 0
  #failed = false

  /** @param confirmed resolves when what was written is safe from the loss of this centre (P9) */
  constructor(shared: ServiceContext, placement: PlacementKeeping, confirmed: () => Promise<void>) {
    this.#shared = shared
    this.#placement = placement
    this.#confirmed = confirmed
    const { clock, log } = shared
    this.#worker = new PeriodicWorker({ name: 'in step', clock, log, idleMs: everyMs, round: () => this.#round() })
  }

  start(): void {
    this.#worker.start()
  }

  stop(): Promise<void> {
    return this.#worker.stop()
  }

  /** Something may be to tell. */
  wake(): void {
    this.#worker.wake()
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    return this.#worker.idle()
  }

  async #round(): Promise<number> {
    const { store, clock, log } = this.#shared
    try {
      if (clock.now() >= this.#anewAtMs) await this.#tellAnew(clock.now())
      await this.#confirmed()
      const due = await store.sql.all<StandingRow>(
        'SELECT * FROM card_standings WHERE next IS NOT NULL AND next <= ? ORDER BY next LIMIT ?',
        clock.now(),
        atOnce,
      )
      await Promise.all(await mapInOrder(due, (row) => this.#tell(row)))
      if (due.length === atOnce) this.wake()
      await this.#follow()
      this.#failed = false
    } catch (error) {
      // Told once: placement may be away for long.
      if (!this.#worker.signal.aborted && !this.#failed)
        log.warn('placement is not in step', { error: isProblem(error) ? error.code : String(error) })
      this.#failed = true
    }
    return everyMs
  }

  async #tellAnew(nowMs: number): Promise<void> {
    this.#anewAtMs = nowMs + anewMs
    const { store } = this.#shared
    if (!(await store.sql.get('SELECT 1 AS there FROM card_standings WHERE lost = 1 AND next IS NULL LIMIT 1'))) return
    await store.transaction(({ sql }) =>
      sql.run('UPDATE card_standings SET revision = revision + 1, next = ? WHERE lost = 1 AND next IS NULL', nowMs),
    )
  }

  async #tell({ card, revision, lost, change, tries }: StandingRow): Promise<void> {
    const { store } = this.#shared
    const settle = (work: (sql: Sql, nowMs: number) => void) =>
      store.transaction(async ({ sql, nowMs }) => {
        // While placement was told there may be a newer word: it goes next.
        if ((await standingOf(sql, card))?.revision === revision) work(sql, nowMs)
      })
    let answer: ReplyOf<typeof keepCard>
    try {
      const changed = change ? { change: JSON.parse(change) as LevelChange } : {}
      answer = await this.#placement.keepCard({ card, revision, lost: lost === 1, ...changed })
    } catch (error) {
      await settle((sql, nowMs) =>
        sql.run(
          'UPDATE card_standings SET tries = ?, next = ? WHERE card = ?',
          ...[tries + 1, nowMs + againMs(tries), card],
        ),
      )
      throw error
    }
    await settle(async (sql, nowMs) => {
      // A loss stands there from now on, whether the card is known or not; a change waits for the card, as a new word.
      if (!answer.known && change)
        await sql.run(
          'UPDATE card_standings SET told = ?, revision = ?, next = ? WHERE card = ?',
          ...[revision, revision + 1, nowMs + unknownMs, card],
        )
      else
        await sql.run(
          'UPDATE card_standings SET told = ?, change = NULL, refused = ?, tries = 0, next = NULL WHERE card = ?',
          ...[revision, answer.refused ?? null, card],
        )
    })
  }

  /** What changed there since it was last asked. */
  async #follow(): Promise<void> {
    const { store } = this.#shared
    for (;;) {
      const place = (await store.sql.get<{ log: Uint8Array | null; after: number }>(
        'SELECT log, after FROM placement_place',
      ))!
      const { log, last, members } = await this.#placement.changes({
        ...(place.log ? { log: place.log } : {}),
        after: place.after,
      })
      if (members.length === 0) return
      await store.transaction(async ({ sql }) => {
        for (const { card, level, home, plan } of members)
          await sql.run(
            `INSERT INTO card_profiles (card, level, home, plan) VALUES (?, ?, ?, ?)
             ON CONFLICT (card) DO UPDATE SET level = excluded.level, home = excluded.home, plan = excluded.plan`,
            ...[card, level, home, plan],
          )
        await sql.run('UPDATE placement_place SET log = ?, after = ? WHERE id = 1', log, last)
      })
    }
  }
}
