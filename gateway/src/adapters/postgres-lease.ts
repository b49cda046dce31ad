/**
 * The lease of slow work among the processes that share a schema (docs/decisions/0034): one row with holder, epoch and an end by
 * the server's clock. Renewed outside serialisable transactions, so that a renewal conflicts with nobody.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Duty } from '../storage/database.ts'
import { DatabaseProblem, type Sql } from '../storage/database.ts'

/** How long a lease lasts, and how often it is renewed or asked for, ms. */
const leaseMs = 6_000
const renewMs = 2_000
/** What a holder's own clock may differ in its pace from the server's within one lease, ms. */
const marginMs = 500
/** Calls for the holder are gathered for so long, ms. */
const callMs = 50

const serverMs = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

export interface LeaseOptions {
  /** By which those who share the schema are known. */
  sharedBy: string
  /** Runs a statement that reads what is committed, and commits by itself. */
  query(sql: string): Promise<Record<string, unknown>[]>
  /** Tells the others that something is to do. */
  notify(): Promise<void>
}

export class WorkLease implements Duty {
  readonly lookMs = 5_000
  readonly #o: LeaseOptions
  readonly #id = randomUUID()
  readonly #listeners = new Set<() => void>()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #epoch = 0
  #untilMs = 0
  #called: Promise<void> | undefined

  constructor(options: LeaseOptions) {
    this.#o = options
  }

  get isHeld(): boolean {
    return performance.now() < this.#untilMs
  }

  get epoch(): number {
    return this.#epoch
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Gives it back, so that another takes it at once. Workers must have ended. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    if (!this.isHeld) return
    this.#untilMs = 0
    await this.#o
      .query(`UPDATE store_lease SET until = 0 WHERE name = 'work' AND holder = '${this.#id}'`)
      .then(() => this.#o.notify())
      .catch(() => undefined)
  }

  async check(sql: Sql): Promise<void> {
    const found = await sql.get<{ epoch: number }>(
      `SELECT epoch FROM store_lease WHERE name = 'work' AND holder = ?`,
      this.#id,
    )
    if (!found || found.epoch !== this.#epoch)
      throw new DatabaseProblem('storage.held', 'another process does the slow work')
  }

  call(): void {
    if (this.isHeld || this.#called || this.#stop.signal.aborted) return
    this.#called = setTimeout(callMs)
      .then(() => this.#o.notify())
      // A hint: the holder looks by itself.
      .catch(() => undefined)
      .finally(() => {
        this.#called = undefined
      })
  }

  onCall(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Another process says that something is to do, or that it gave the lease back. */
  heard(): void {
    if (this.isHeld) for (const listener of this.#listeners) listener()
    else void this.#take().catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      // A server that is away: the lease runs out by itself.
      await this.#take().catch(() => undefined)
      await setTimeout(renewMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #take(): Promise<void> {
    if (this.#stop.signal.aborted) return
    const askedMs = performance.now()
    const wasHeld = this.isHeld
    const { sharedBy } = this.#o
    const rows = await this.#o.query(`
      INSERT INTO store_lease AS l (name, holder, epoch, until)
        SELECT 'work', '${this.#id}', 1, ${serverMs} + ${leaseMs} FROM store_holder WHERE id = 1 AND holder = '${sharedBy}'
      ON CONFLICT (name) DO UPDATE SET
        epoch = CASE WHEN l.holder = excluded.holder THEN l.epoch ELSE l.epoch + 1 END,
        holder = excluded.holder, until = excluded.until
        WHERE l.holder = excluded.holder OR l.until <= ${serverMs}
      RETURNING epoch`)
    const epoch = rows[0]?.['epoch']
    if (typeof epoch !== 'number') return
    this.#epoch = epoch
    this.#untilMs = askedMs + leaseMs - marginMs
    if (!wasHeld) for (const listener of this.#listeners) listener()
  }
}
