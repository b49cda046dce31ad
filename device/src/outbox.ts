/**
 * The durable outbox (ARCHITECTURE §5, D5): every act that a person saw done is written here first, and leaves in order,
 * once, when the service's reply says that it was committed.
 *
 * One stream per service. A stream is 16 random bytes and is replaced when the service knows acts of it that this
 * device never made (a restored SD image): the acts that wait move to a new stream and are told apart by their act id.
 */
import { decode, encode } from '@azukari/protocol/codec'
import type { Contract, RequestOf, ServiceName } from '@azukari/protocol/contract'
import type { ActKey, Reply } from '@azukari/protocol/envelope'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { backoffMs } from './backoff.ts'
import type { DeviceDatabase } from './database.ts'

/** What the outbox needs of the link. */
export interface ActSender {
  readonly up: boolean
  /** Sends one act and waits for its reply. @throws {Problem} `link.*` */
  sendAct(
    contract: string,
    id: Uint8Array,
    key: ActKey,
    atMs: number,
    body: unknown,
    signal?: AbortSignal,
  ): Promise<Reply>
}

/** How an act ended: its reply, or the problem with which the service refused it for good. */
export type Outcome = { body: unknown; problem?: never } | { problem: Problem; body?: never }

export type OutcomeListener = (
  act: { contract: string; id: Uint8Array; body: unknown },
  outcome: Outcome,
) => Promise<void> | void

interface Row {
  seq: number
  stream: Uint8Array
  contract: string
  id: Uint8Array
  at: number
  body: Uint8Array
}

export interface OutboxOptions {
  database: DeviceDatabase
  clock: Clock
  random: Random
  log: Log
  sender: ActSender
  /** Bytes of waiting acts at which new ones are refused with `outbox.full`. */
  maxBytes?: number
  /** Acts under way at once per service. */
  windowActs?: number
}

const schema = `
CREATE TABLE IF NOT EXISTS streams (service TEXT PRIMARY KEY, stream BLOB NOT NULL, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS acts (
  stream BLOB NOT NULL, seq INTEGER NOT NULL, service TEXT NOT NULL, contract TEXT NOT NULL, id BLOB NOT NULL UNIQUE,
  at INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS acts_take_seq AFTER INSERT ON acts
  BEGIN UPDATE streams SET next = NEW.seq + 1 WHERE service = NEW.service AND stream = NEW.stream; END;
-- A new stream takes the acts that wait along, renumbered from 1 in their order.
CREATE TRIGGER IF NOT EXISTS streams_replace AFTER UPDATE OF stream ON streams WHEN OLD.stream <> NEW.stream
  BEGIN
    UPDATE acts SET stream = NEW.stream, seq = seq + 1 - (SELECT min(seq) FROM acts WHERE service = NEW.service)
      WHERE service = NEW.service;
    UPDATE streams SET next = 1 + (SELECT count(*) FROM acts WHERE service = NEW.service) WHERE service = NEW.service;
  END;
PRAGMA auto_vacuum = INCREMENTAL;
`

export class Outbox {
  readonly #options: Required<OutboxOptions>
  readonly #listeners = new Map<string, OutcomeListener>()
  readonly #draining = new Set<string>()
  readonly #stop = new AbortController()
  #waitingBytes = 0
  #wake = Promise.withResolvers<void>()

  private constructor(options: OutboxOptions) {
    this.#options = { maxBytes: 64 * 1024 * 1024, windowActs: 16, ...options }
  }

  static async open(options: OutboxOptions): Promise<Outbox> {
    const outbox = new Outbox(options)
    await options.database.exec(schema)
    const row = await options.database.get<{ bytes: number | null }>('SELECT sum(length(body)) AS bytes FROM acts')
    outbox.#waitingBytes = row?.bytes ?? 0
    return outbox
  }

  /** Tells how acts of a contract end, also those of an earlier run; must be set before `start`. */
  onOutcome<C extends Contract>(contract: C, listener: OutcomeListener): void {
    this.#listeners.set(contract.id, listener)
  }

  /**
   * Writes an act down; when this resolves, the act will be done, whatever happens to this device's power.
   * @param id the act's id: appending the same id again changes nothing
   * @throws {Problem} `outbox.full`
   */
  async append<C extends Contract>(contract: C, body: RequestOf<C>, id: Uint8Array): Promise<void> {
    const bytes = encode(contract.checkRequest(body))
    if (this.#waitingBytes + bytes.length > this.#options.maxBytes) throw new Problem('outbox.full')
    await this.#stream(contract.service)
    const { changes } = await this.#options.database.run(
      `INSERT INTO acts (stream, seq, service, contract, id, at, body)
       SELECT stream, next, service, ?, ?, ?, ? FROM streams WHERE service = ?
       ON CONFLICT (id) DO NOTHING`,
      contract.id,
      id,
      this.#options.clock.now(),
      bytes,
      contract.service,
    )
    if (changes > 0) this.#waitingBytes += bytes.length
    this.#wakeUp()
  }

  /** Acts that wait, and their bytes. */
  async waiting(): Promise<{ rows: number; bytes: number }> {
    const row = await this.#options.database.get<{ rows: number }>('SELECT count(*) AS rows FROM acts')
    return { rows: row?.rows ?? 0, bytes: this.#waitingBytes }
  }

  /** Drains until stopped. Call `kick` when the link comes up. */
  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const wake = this.#wake.promise
      const services = await this.#options.database.all<{ service: ServiceName }>('SELECT DISTINCT service FROM acts')
      for (const { service } of services) {
        if (this.#options.sender.up && !this.#draining.has(service)) {
          this.#draining.add(service)
          void this.#drain(service).finally(() => {
            this.#draining.delete(service)
            // What was written down after the last look found this service busy.
            this.#wakeUp()
          })
        }
      }
      await wake
    }
  }

  wake(): void {
    this.#wakeUp()
  }

  stop(): void {
    this.#stop.abort(new Problem('link.offline', 'stopped'))
    this.#wakeUp()
  }

  #wakeUp(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  async #stream(service: string): Promise<void> {
    await this.#options.database.run(
      'INSERT INTO streams (service, stream, next) VALUES (?, ?, 1) ON CONFLICT (service) DO NOTHING',
      service,
      this.#options.random.bytes(16),
    )
  }

  async #drain(service: string): Promise<void> {
    const { database, clock, random, log, sender, windowActs } = this.#options
    const signal = this.#stop.signal
    for (let failures = 0; sender.up && !signal.aborted; ) {
      const rows = await database.all<Row>(
        'SELECT stream, seq, contract, id, at, body FROM acts WHERE service = ? ORDER BY seq LIMIT ?',
        service,
        windowActs,
      )
      if (rows.length === 0) return void (await database.exec('PRAGMA incremental_vacuum'))
      // Sent together, in order: the service takes them in order, so a lost one makes the later ones ask for it.
      const replies = await Promise.allSettled(
        rows.map((row) =>
          sender.sendAct(row.contract, row.id, { stream: row.stream, seq: row.seq }, row.at, decode(row.body), signal),
        ),
      )
      let again = false
      for (const [i, row] of rows.entries()) {
        const settled = replies[i]!
        if (settled.status === 'rejected') {
          if (!isProblem(settled.reason))
            log.error('act failed', { contract: row.contract, error: String(settled.reason) })
          again = true
          break
        }
        const verdict = judge(settled.value, row.seq, rows[0]!.seq)
        if (verdict === 'retry') {
          again = true
          break
        }
        if (verdict === 'new-stream') {
          log.warn('the service knows acts of this stream that are not here: a new stream', { service })
          await this.#replaceStream(service)
          break
        }
        await this.#finish(row, settled.value)
      }
      failures = again ? failures + 1 : 0
      if (failures > 0 && sender.up) await clock.sleep(backoffMs(failures, random), signal).catch(() => undefined)
    }
  }

  /** The acts that wait move along, in the same statement (see the trigger). */
  async #replaceStream(service: string): Promise<void> {
    const { database, random } = this.#options
    await database.run('UPDATE streams SET stream = ? WHERE service = ?', random.bytes(16), service)
  }

  async #finish(row: Row, reply: Reply): Promise<void> {
    const outcome: Outcome = reply.problem ? { problem: Problem.fromWire(reply.problem) } : { body: reply.body }
    // The listener is told first and may be told again after a crash; the row goes when it has kept what it needs.
    await this.#listeners.get(row.contract)?.({ contract: row.contract, id: row.id, body: decode(row.body) }, outcome)
    await this.#options.database.run('DELETE FROM acts WHERE stream = ? AND seq = ?', row.stream, row.seq)
    this.#waitingBytes = Math.max(0, this.#waitingBytes - row.body.length)
  }
}

/**
 * What a reply means for the act. A refusal advances; what may pass later is sent again; a service that wants earlier
 * acts than this device holds, or that holds another act under this number, needs a new stream.
 */
export function judge(reply: Reply, seq: number, firstSeq: number): 'done' | 'retry' | 'new-stream' {
  if (reply.want !== undefined) return reply.want < firstSeq || reply.want > seq ? 'new-stream' : 'retry'
  if (!reply.problem) return 'done'
  if (reply.problem.code === 'act.conflict') return 'new-stream'
  return reply.problem.retry === 'later' ? 'retry' : 'done'
}
