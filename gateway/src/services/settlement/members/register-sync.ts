/**
 * Keeps placement's register in step (P4, S9): that a card is lost or found, and what changes about its member, is sent with
 * the cause of it, in one transaction; the host delivers it. Words on a card are numbered, so that one that comes twice or
 * late changes nothing there. What placement changed by itself is followed from a place in its list of changes.
 */

import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { keepCard, type LevelChange, type listChanges } from '@azukari/protocol/contracts/settlement-placement'
import { isProblem } from '@azukari/protocol/problem'
import { PeriodicWorker } from '../../../service/periodic-worker.ts'
import { type OutgoingAct, type OwnContext, sends } from '../../../service/service.ts'
import type { Duty, Sql } from '../../../storage/database.ts'
import type { ServiceContext } from '../service-context.ts'
import { noteLevel } from './level-history.ts'

/** Placement, in this process or apart. Rejects when it cannot answer. */
export interface PlacementKeeping {
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

/** What waited to be told is sent by the first look; the host repeats it, so nothing is counted here. */
export const sentWordsTables = `
ALTER TABLE card_standings DROP COLUMN tries;
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
  /** When it is said again: the card was not known, or placement's register may have been rebuilt. */
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

/** What a word on a card is noted with. */
export type Noting = Pick<OwnContext, 'sql' | 'nowMs' | 'send'>

/** Notes a word on a card and sends it to placement, in the caller's transaction. @throws {Problem} `service.busy` */
export async function noteStanding(
  context: Noting,
  member: Uint8Array,
  card: Uint8Array,
  word: { lost?: boolean; change?: LevelChange },
): Promise<void> {
  const { sql } = context
  const known = await standingOf(sql, card)
  if (!known && !word.lost && !word.change) return
  const change = together(known?.change ? (JSON.parse(known.change) as LevelChange) : undefined, word.change)
  await sql.run(
    `INSERT INTO card_standings (card, member, revision, lost, change) VALUES (?, ?, 0, ?, ?)
     ON CONFLICT (card) DO UPDATE SET member = excluded.member, lost = excluded.lost, change = excluded.change,
       refused = NULL`,
    card,
    member,
    (word.lost ?? known?.lost === 1) ? 1 : 0,
    change ? JSON.stringify(change) : null,
  )
  await sayAgain(context, card)
}

/** Sends what stands of a card as a new word. */
async function sayAgain({ sql, send }: Noting, card: Uint8Array): Promise<void> {
  await sql.run('UPDATE card_standings SET revision = revision + 1, next = NULL WHERE card = ?', card)
  const row = await standingOf(sql, card)
  if (!row) return
  const { revision, lost, change } = row
  const word: RequestOf<typeof keepCard> = { card, revision, lost: lost === 1 }
  if (change) word.change = JSON.parse(change) as LevelChange
  await send(keepCard, word)
}

/** What settlement sends to placement, and what it does with the answer. */
export const wordsOnCards: OutgoingAct = sends(keepCard, {
  onReply: (answer, context, sent) => heard(context, sent, answer),
  onRefused: ({ code }, context, sent) => heard(context, sent, { known: true, refused: code }),
})

async function heard(
  { sql, nowMs }: Pick<OwnContext, 'sql' | 'nowMs'>,
  { card, revision, change }: RequestOf<typeof keepCard>,
  { known, refused }: ReplyOf<typeof keepCard>,
): Promise<void> {
  const row = await standingOf(sql, card)
  // A newer word is on its way: its answer counts.
  if (row?.revision !== revision) return
  // A loss stands there from now on, whether the card is known or not; a change waits for the card, as a new word.
  const waits = !known && change !== undefined
  await sql.run(
    'UPDATE card_standings SET told = ?, change = ?, refused = ?, next = ? WHERE card = ?',
    waits ? row.told : revision,
    waits ? row.change : null,
    refused ?? null,
    waits ? nowMs + unknownMs : null,
    card,
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

const atOnce = 64
/** How often placement is asked what changed there. */
const everyMs = 5_000
/** A card that placement does not know yet is told of again. */
const unknownMs = 600_000
/** Everything lost is told anew: placement's register may have been rebuilt from its journal. */
const anewMs = 86_400_000

export class InStep {
  readonly #shared: ServiceContext
  readonly #placement: PlacementKeeping
  readonly #worker: PeriodicWorker
  #anewAtMs = 0
  #failed = false

  constructor(shared: ServiceContext, placement: PlacementKeeping, duty: Duty) {
    this.#shared = shared
    this.#placement = placement
    const { clock, log } = shared
    this.#worker = new PeriodicWorker({
      name: 'in step',
      clock,
      log,
      duty,
      idleMs: everyMs,
      round: () => this.#round(),
    })
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
    const { clock, log } = this.#shared
    try {
      if (clock.now() >= this.#anewAtMs) await this.#tellAnew(clock.now())
      await this.#sayDue(clock.now())
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
    await store.transaction(({ sql }) =>
      sql.run('UPDATE card_standings SET next = ? WHERE lost = 1 AND next IS NULL AND told = revision', nowMs),
    )
  }

  /** What waited for its moment. @throws {Problem} `service.busy` while too much waits for placement */
  async #sayDue(nowMs: number): Promise<void> {
    const { store } = this.#shared
    for (let said = atOnce; said === atOnce; )
      said = await store.transaction(async (context) => {
        const due = await context.sql.all<{ card: Uint8Array }>(
          'SELECT card FROM card_standings WHERE next <= ? ORDER BY next LIMIT ?',
          nowMs,
          atOnce,
        )
        for (const { card } of due) await sayAgain(context, card)
        return due.length
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
      await store.transaction(async ({ sql, nowMs }) => {
        for (const { card, level, home, plan } of members) {
          await noteLevel(sql, card, level, nowMs)
          await sql.run(
            `INSERT INTO card_profiles (card, level, home, plan) VALUES (?, ?, ?, ?)
             ON CONFLICT (card) DO UPDATE SET level = excluded.level, home = excluded.home, plan = excluded.plan`,
            card,
            level,
            home,
            plan,
          )
        }
        await sql.run('UPDATE placement_place SET log = ?, after = ? WHERE id = 1', log, last)
      })
    }
  }
}
