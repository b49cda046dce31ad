/**
 * The licence app (W8, W9): enrols this board for apps, holds their keys, renews their leases while the board takes part in work, and answers
 * the challenges of the apps. Time never goes back for it: the latest that it has seen is kept.
 */
import { sameBytes } from '@azukari/protocol/bytes'
import { enrolForApp, renewLicence } from '@azukari/protocol/contracts/work-licences'
import { signerOf } from '@azukari/protocol/cose'
import { publicOf, thumbprint } from '@azukari/protocol/keys'
import { proveLicence } from '@azukari/protocol/licence'
import type { Clock, Files, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { DeviceDatabase } from '../database.ts'
import type { Identity } from '../identity.ts'
import type { Link } from '../link.ts'
import { readSetting } from '../work/setting.ts'

export interface LicenceAppOptions {
  folder: string
  files: Files
  clock: Clock
  log: Log
  database: DeviceDatabase
  link: Pick<Link, 'up' | 'call'>
  identity: Pick<Identity, 'key'>
}

export interface HeldLicence {
  app: string
  title: string
  /** When the last lease came, by this board's time; absent before the first one. */
  leasedMs?: number
  problem?: string
}

interface Row {
  app: string
  title: string
  licence_key: string
  lease: Uint8Array | null
  leased_ms: number | null
  /** To which of the board's keys the lease is bound. */
  kid: Uint8Array | null
  problem: string | null
}

/** How old a lease becomes before it is renewed, ms: short against its life, so that a line that is often down is enough. */
const renewMs = 600_000
const lookMs = 5_000
/** Between two writings of the mark, ms: a memory card is not to wear out. */
const markStepMs = 60_000

const schema = `
CREATE TABLE IF NOT EXISTS licences (
  app TEXT PRIMARY KEY, title TEXT NOT NULL, licence_key TEXT NOT NULL, lease BLOB, leased_ms INTEGER, kid BLOB, problem TEXT
);
CREATE TABLE IF NOT EXISTS licence_mark (id INTEGER PRIMARY KEY CHECK (id = 1), ms INTEGER NOT NULL);
`

export class LicenceApp {
  readonly #o: LicenceAppOptions
  #markMs: number
  #markedMs: number
  /** Of the board, when the mark was last moved. */
  #monotonicMs: number

  private constructor(options: LicenceAppOptions, markMs: number) {
    this.#o = options
    this.#markMs = markMs
    this.#markedMs = markMs
    this.#monotonicMs = options.clock.monotonicMs()
  }

  static async open(options: LicenceAppOptions): Promise<LicenceApp> {
    await options.database.exec(schema)
    const row = await options.database.get<{ ms: number }>('SELECT ms FROM licence_mark')
    return new LicenceApp(options, row?.ms ?? 0)
  }

  /** Registers with the app server and keeps the key. @throws {Problem} `licence.*`, `work.unregistered`, `link.*` */
  async enrol(of: { app: string; name: string; contact: string }, signal: AbortSignal): Promise<{ title: string }> {
    const { link, database } = this.#o
    await this.#requireTakingPart()
    const { title, key } = await link.call(enrolForApp, of, { signal })
    await database.run(
      `INSERT INTO licences (app, title, licence_key) VALUES (?, ?, ?)
       ON CONFLICT (app) DO UPDATE SET title = excluded.title, licence_key = excluded.licence_key, problem = NULL`,
      of.app,
      title,
      key,
    )
    await this.#renew((await this.#row(of.app))!, signal)
    return { title }
  }

  /**
   * The lease of an app, and this board's word upon the challenge.
   * @throws {Problem} `licence.unknown`, `licence.idle` while the board takes no part, `licence.expired` before its first lease
   */
  async prove(app: string, nonce: Uint8Array): Promise<{ lease: Uint8Array; proof: Uint8Array }> {
    const row = await this.#row(app)
    if (!row) throw new Problem('licence.unknown', app)
    await this.#requireTakingPart()
    if (!row.lease) throw new Problem('licence.expired', 'it was never renewed')
    const lease = new Uint8Array(row.lease)
    return { lease, proof: proveLicence(lease, nonce, await this.#now(), signerOf(this.#o.identity.key)) }
  }

  async list(): Promise<HeldLicence[]> {
    return (await this.#rows()).map(({ app, title, leased_ms, problem }) => {
      const held: HeldLicence = { app, title }
      if (leased_ms !== null) held.leasedMs = leased_ms
      if (problem !== null) held.problem = problem
      return held
    })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#o
    while (!signal.aborted) {
      await this.renewDue(signal)
      await clock.sleep(lookMs, signal).catch(() => undefined)
    }
  }

  /** Renews what is old enough, as long as the board takes part and there is a line. */
  async renewDue(signal: AbortSignal): Promise<void> {
    const { link, log } = this.#o
    const rows = await this.#rows()
    if (rows.length === 0) return
    const nowMs = await this.#now()
    if (!link.up || !(await this.#takesPart())) return
    for (const row of rows) {
      if (row.leased_ms !== null && nowMs - row.leased_ms < renewMs && this.#isOwn(row.kid)) continue
      await this.#renew(row, signal).catch((error) => {
        if (!isProblem(error)) throw error
        log.warn('a licence is not renewed', { app: row.app, code: error.code })
      })
    }
  }

  async #renew({ app, licence_key: key }: Row, signal: AbortSignal): Promise<void> {
    const { link, database, identity } = this.#o
    const kid = thumbprint(publicOf(identity.key))
    try {
      const { lease } = await link.call(renewLicence, { key, kid }, { signal })
      await database.run(
        'UPDATE licences SET lease = ?, leased_ms = ?, kid = ?, problem = NULL WHERE app = ? AND licence_key = ?',
        lease,
        await this.#now(),
        kid,
        app,
        key,
      )
    } catch (error) {
      if (isProblem(error) && error.code.startsWith('licence.'))
        await database.run('UPDATE licences SET problem = ? WHERE app = ?', error.code, app)
      throw error
    }
  }

  /** A board that has a new key needs leases for it. */
  #isOwn(kid: Uint8Array | null): boolean {
    return kid !== null && sameBytes(new Uint8Array(kid), thumbprint(publicOf(this.#o.identity.key)))
  }

  /** Running is what counts (W9): with no unit on offer, or at rest by its rules, the board takes part all the same. */
  async #takesPart(): Promise<boolean> {
    const { files, folder } = this.#o
    const { code, isPaused } = await readSetting(files, folder)
    return code !== undefined && !isPaused
  }

  async #requireTakingPart(): Promise<void> {
    if (!(await this.#takesPart())) throw new Problem('licence.idle')
  }

  /** The time, never before what it was, and forward while the board runs, whatever the clock says. */
  async #now(): Promise<number> {
    const { clock, database } = this.#o
    const monotonicMs = clock.monotonicMs()
    const carriedMs = this.#markMs + Math.round(monotonicMs - this.#monotonicMs)
    this.#markMs = Math.max(carriedMs, Math.round(clock.now()))
    this.#monotonicMs = monotonicMs
    if (this.#markMs - this.#markedMs >= markStepMs) {
      this.#markedMs = this.#markMs
      await database.run(
        'INSERT INTO licence_mark (id, ms) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET ms = excluded.ms',
        this.#markMs,
      )
    }
    return this.#markMs
  }

  #row(app: string): Promise<Row | undefined> {
    return this.#o.database.get<Row>('SELECT * FROM licences WHERE app = ?', app)
  }

  #rows(): Promise<Row[]> {
    return this.#o.database.all<Row>('SELECT * FROM licences ORDER BY app')
  }
}
