/**
 * Paying on the terminal (P5–P8, S13): sends what a member signed through the outbox, keeps what settlement says until the
 * vault is opened, and writes receipts on the card whenever it is there. Nothing here is in the clear and no key is held.
 */
import { hex } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import {
  choosePayment,
  objectionDecided,
  objectTo,
  receiptSent,
  statementPage,
  statementSent,
} from '@azukari/protocol/contracts/settlement-billing'
import { chooseMail } from '@azukari/protocol/contracts/settlement-mail'
import {
  apply,
  register,
  reportFound,
  reportLoss,
  revoke,
  rotate,
} from '@azukari/protocol/contracts/settlement-members'
import {
  actAsShop,
  balanceChanged,
  disputeOrder,
  instructPayment,
  payNotice,
  placeOrder,
  putOffer,
} from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { DeviceDatabase } from '../database.ts'
import type { Downloads, KeptDownload } from '../downloads/downloads.ts'
import type { Link } from '../link.ts'
import type { Outbox, Outcome } from '../outbox.ts'
import type { Presence } from './presence.ts'

export interface PayOptions {
  database: DeviceDatabase
  link: Link
  outbox: Outbox
  presence?: Presence | undefined
  /** Where statements' pages come. */
  downloads?: Pick<Downloads, 'kept' | 'read'> | undefined
  clock: Clock
  random: Random
  log: Log
}

/** Acts that a member's terminal sends. */
const acts: readonly Contract[] = [
  apply,
  register,
  rotate,
  revoke,
  reportLoss,
  requestValue,
  putOffer,
  placeOrder,
  instructPayment,
  actAsShop,
  disputeOrder,
  objectTo,
  choosePayment,
  chooseMail,
  reportFound,
]
/** What settlement tells a terminal. */
const events: readonly Contract[] = [
  valueIssued,
  payNotice,
  balanceChanged,
  statementSent,
  objectionDecided,
  receiptSent,
]
/** Events kept: the oldest go, and settlement has all of them. */
const maxEvents = 2_000

export interface KeptEvent<C extends Contract> {
  n: number
  atMs: number
  body: RequestOf<C>
}

export class PayApp {
  readonly #o: PayOptions
  readonly #waiting = new Map<string, (outcome: Outcome) => void>()
  readonly #listeners = new Set<(contract: string) => void>()
  #writing: Promise<void> | undefined

  private constructor(options: PayOptions) {
    this.#o = options
  }

  /** Must be made before the outbox runs. */
  static async open(options: PayOptions): Promise<PayApp> {
    await options.database.exec(
      `CREATE TABLE IF NOT EXISTS pay_events (
         n INTEGER PRIMARY KEY AUTOINCREMENT, contract TEXT NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL,
         on_card INTEGER NOT NULL DEFAULT 0, UNIQUE (contract, body)
       )`,
    )
    const app = new PayApp(options)
    for (const contract of acts)
      options.outbox.onOutcome(contract, ({ id }, outcome) => {
        const name = hex(id)
        app.#waiting.get(name)?.(outcome)
        app.#waiting.delete(name)
      })
    for (const contract of events) options.link.onEvent(contract, (body) => app.#keep(contract, body))
    options.presence?.onNews(({ type }) => {
      if (type === 'session') app.#writeReceipts()
    })
    return app
  }

  /**
   * Writes an act down and waits for how it ends. When the wait is over the act still goes on by itself.
   * @throws {Problem} with which settlement refused it, `link.timeout`, `outbox.full`
   */
  async send<C extends Contract>(contract: C, body: RequestOf<C>, waitMs = 60_000): Promise<ReplyOf<C>> {
    const id = this.#o.random.bytes(16)
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    this.#waiting.set(hex(id), resolve)
    using _limit = this.#o.clock.timer(waitMs, () =>
      reject(new Problem('link.timeout', `${contract.id} goes on by itself`)),
    )
    try {
      await this.#o.outbox.append(contract, body, id)
      const outcome = await promise
      if (outcome.problem) throw outcome.problem
      return contract.checkReply(outcome.body) as ReplyOf<C>
    } finally {
      this.#waiting.delete(hex(id))
    }
  }

  /** What came, oldest first, after the n-th. */
  async kept<C extends Contract>(contract: C, after = 0): Promise<KeptEvent<C>[]> {
    const rows = await this.#o.database.all<{ n: number; body: Uint8Array; at: number }>(
      'SELECT n, body, at FROM pay_events WHERE contract = ? AND n > ? ORDER BY n',
      contract.id,
      after,
    )
    return rows.map(({ n, body, at }) => ({
      n,
      atMs: at,
      body: contract.checkRequest(decode(body, { maxBytes: 1 << 20 })) as RequestOf<C>,
    }))
  }

  /** Statements' pages that came, oldest first; `PayMember.openPage` opens what `page` reads. */
  async pages(): Promise<KeptDownload[]> {
    return (await this.#o.downloads?.kept(statementPage)) ?? []
  }

  /** @throws {Problem} `object.unknown` */
  async page({ transfer, sizeBytes }: KeptDownload): Promise<Uint8Array> {
    if (!this.#o.downloads) throw new Problem('object.unknown', 'no such page')
    return this.#o.downloads.read(transfer, 0, sizeBytes)
  }

  /** Receipts that are not on the card yet. */
  async receiptsWaiting(): Promise<number> {
    const row = await this.#o.database.get<{ n: number }>(
      'SELECT count(*) AS n FROM pay_events WHERE contract = ? AND on_card = 0',
      receiptSent.id,
    )
    return row?.n ?? 0
  }

  /** Hears of everything that comes, by contract. */
  onNews(listener: (contract: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #keep(contract: Contract, body: unknown): Promise<void> {
    const { database, clock } = this.#o
    await database.run(
      'INSERT INTO pay_events (contract, body, at) VALUES (?, ?, ?) ON CONFLICT (contract, body) DO NOTHING',
      contract.id,
      encode(body),
      clock.now(),
    )
    await database.run('DELETE FROM pay_events WHERE n <= (SELECT max(n) FROM pay_events) - ?', maxEvents)
    for (const listener of this.#listeners) listener(contract.id)
    if (contract.id === receiptSent.id) this.#writeReceipts()
  }

  /** Onto the card, oldest first, one after the other; what does not get there now goes when the card is next in. */
  #writeReceipts(): void {
    this.#writing ??= this.#write()
      .catch((error) => {
        const level =
          isProblem(error) && (error.code.startsWith('card.') || error.code.startsWith('session.')) ? 'debug' : 'warn'
        this.#o.log[level]('a receipt waits for the card', { error: String(error) })
      })
      .finally(() => {
        this.#writing = undefined
      })
  }

  async #write(): Promise<void> {
    const { database, presence } = this.#o
    for (;;) {
      const card = presence?.card
      if (!card?.session || card.refused) return
      const row = await database.get<{ n: number; body: Uint8Array }>(
        'SELECT n, body FROM pay_events WHERE contract = ? AND on_card = 0 ORDER BY n LIMIT 1',
        receiptSent.id,
      )
      if (!row) return
      const { receipt } = receiptSent.checkRequest(decode(row.body)) as RequestOf<typeof receiptSent>
      await card.use((client) => client.writeReceipt(receipt, card.signal))
      await database.run('UPDATE pay_events SET on_card = 1 WHERE n = ?', row.n)
    }
  }
}
