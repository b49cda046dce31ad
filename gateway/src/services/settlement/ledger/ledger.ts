/**
 * The ledger over SQLite (P4, P5, P9; ARCHITECTURE §9): double entry, idempotent by posting id, holds that run out, a hash
 * chain. Every function works inside the caller's transaction, so that a payment, its order and its messages are one.
 */
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Currency } from '@azukari/protocol/money'
import { InternalError, Problem } from '@azukari/protocol/problem'
import type { Sql, SqlValue } from '../../../storage/database.ts'
import { chainStart, contentHash, nextChain } from './chain.ts'
import {
  type Account,
  type Book,
  decide,
  type Hold,
  type Leg,
  type Posting,
  type Refusal,
  refusals,
  type Side,
  type WrittenLeg,
} from './model.ts'
import { finder, inserter } from './rows.ts'

export interface AccountSpec {
  /** A pseudonym of the service's own, such as `value/3f…`; 1 to 96 characters. */
  code: string
  currency: Currency
  side: Side
  /** Whether it may fall below zero; no by default. */
  overdraft?: boolean
}

export interface Posted {
  seq: number
  /** When it counts: never before an earlier posting, whatever the clock does. */
  atMs: number
  /** It was done before, and this call changed nothing. */
  replayed: boolean
}

/** Where the journal ends. */
export interface Tip {
  seq: number
  atMs: number
  /** Of the last posting; 0 before the first. */
  epoch: number
  chain: Uint8Array
}

export interface HistoryLine {
  seq: number
  atMs: number
  reason: string
  reference: string
  kind: Leg['kind']
  /** On the account's own side: what came in is positive. Reservations and what ends them without moving are 0. */
  changeMinor: bigint
}

export interface Total {
  currency: Currency
  debitsMinor: bigint
  creditsMinor: bigint
}

interface AccountRecord {
  id: number
  code: string
  currency: string
  side: Side
  overdraft: number
  closed: number
  debits_posted: number
  credits_posted: number
  debits_pending: number
  credits_pending: number
}
interface HoldRecord {
  id: Uint8Array
  debit: string
  credit: string
  amount: number
  expires: number
  resolved: number
}

const selectHold = `SELECT h.id, d.code AS debit, c.code AS credit, h.amount, h.expires, h.resolved FROM ledger_holds h
  JOIN ledger_accounts d ON d.id = h.debit JOIN ledger_accounts c ON c.id = h.credit`
/** Holds that run out in one sweep; the next call goes on. */
const maxSweep = 256

export class Ledger {
  readonly #sql: Sql
  #epoch: () => number | Promise<number>

  /** @param epoch of the leadership under which postings are made (P9), or where to look for it when something is written */
  constructor(sql: Sql, epoch: number | (() => number | Promise<number>) = 1) {
    this.#sql = sql
    this.#epoch = typeof epoch === 'number' ? () => epoch : epoch
  }

  epoch(): number | Promise<number> {
    return this.#epoch()
  }

  /** A new leadership began. @throws {Problem} `centre.old-epoch` for one before the present */
  async lead(epoch: number): Promise<void> {
    const known = await this.epoch()
    if (epoch < known) throw new Problem('centre.old-epoch', `epoch ${epoch} after ${known}`)
    this.#epoch = () => epoch
  }

  /** Opens an account, or finds that it is open. @throws {Problem} `ledger.conflict` when it is open as another kind */
  async open({ code, currency, side, overdraft = false }: AccountSpec): Promise<void> {
    if (code.length === 0 || code.length > 96) throw new InternalError('an account code of a wrong length')
    const known = await this.account(code)
    if (!known)
      await this.#sql.run(
        'INSERT INTO ledger_accounts (code, currency, side, overdraft) VALUES (?, ?, ?, ?)',
        code,
        currency,
        side,
        overdraft ? 1 : 0,
      )
    else if (known.currency !== currency || known.side !== side || known.overdraft !== overdraft)
      throw new Problem('ledger.conflict', `${code} is open as another kind of account`)
  }

  /** Takes no more postings. @throws {Problem} `ledger.unknown-account`, `pay.order-state` while something stands on it */
  async close(code: string): Promise<void> {
    const account = await this.account(code)
    if (!account) throw new Problem('ledger.unknown-account', code)
    if (account.creditsPosted !== account.debitsPosted || account.debitsPending > 0n || account.creditsPending > 0n)
      throw new Problem('pay.order-state', 'the account is not empty')
    await this.#sql.run('UPDATE ledger_accounts SET closed = 1 WHERE id = ?', account.id)
  }

  async account(code: string): Promise<Account | undefined> {
    const row = await this.#sql.get<AccountRecord>('SELECT * FROM ledger_accounts WHERE code = ?', code)
    return row && accountOf(row)
  }

  async hold(id: Uint8Array): Promise<Hold | undefined> {
    const row = await this.#sql.get<HoldRecord>(`${selectHold} WHERE h.id = ?`, id)
    return row && holdOf(row)
  }

  /**
   * Does one posting, whole or not at all.
   * @throws {Problem} any of `refusals`, `ledger.conflict` for another content under a known id
   */
  async post(posting: Posting, nowMs: number): Promise<Posted> {
    const outcome = (await this.postAll([posting], nowMs))[0]!
    if (outcome instanceof Problem) throw outcome
    return outcome
  }

  /** Does several, each on its own: one that is refused leaves nothing behind and does not stop the others. */
  async postAll(postings: readonly Posting[], nowMs: number): Promise<(Posted | Problem)[]> {
    await this.expireDue(nowMs)
    return this.#write(postings, nowMs)
  }

  /** Gives back what was reserved and not used in time. Returns how many holds ran out. */
  async expireDue(nowMs: number): Promise<number> {
    let expired = 0
    // All of them: one that is left would keep its account from what it has.
    for (;;) {
      const some = await this.#expireSome(nowMs)
      expired += some
      if (some < maxSweep) return expired
    }
  }

  async #expireSome(nowMs: number): Promise<number> {
    const due = await this.#sql.all<{ id: Uint8Array }>(
      'SELECT id FROM ledger_holds WHERE resolved = 0 AND expires <= ? ORDER BY expires, id LIMIT ?',
      nowMs,
      maxSweep,
    )
    if (due.length === 0) return 0
    const postings = due.map(({ id }): Posting => {
      const expiry = contentHash({ id, reason: 'expire', reference: '', legs: [{ kind: 'expire', hold: id }] })
      return { id: expiry.subarray(0, 16), reason: 'expire', reference: '', legs: [{ kind: 'expire', hold: id }] }
    })
    const failed = (await this.#write(postings, nowMs)).find((outcome) => outcome instanceof Problem)
    if (failed) throw new InternalError('a hold that is due could not be given back', { cause: failed })
    return due.length
  }

  async tip(): Promise<Tip> {
    const row = await this.#sql.get<{ seq: number; at: number; epoch: number; chain: Uint8Array }>(
      'SELECT seq, at, epoch, chain FROM ledger_postings ORDER BY seq DESC LIMIT 1',
    )
    return row
      ? { seq: row.seq, atMs: row.at, epoch: row.epoch, chain: row.chain }
      : { seq: 0, atMs: 0, epoch: 0, chain: chainStart }
  }

  /** The balance after everything up to and including `atMs`; for a moment that has passed it never changes. */
  async balanceAt(code: string, atMs: number): Promise<bigint> {
    const account = await this.account(code)
    if (!account) throw new Problem('ledger.unknown-account', code)
    const sum = async (side: 'debit' | 'credit') =>
      BigInt(
        (await this.#sql.get<{ sum: number }>(
          `SELECT coalesce(sum(l.amount), 0) AS sum FROM ledger_legs l JOIN ledger_postings p ON p.seq = l.posting
           WHERE l.${side} = ? AND l.kind IN ('post', 'capture') AND p.at <= ?`,
          account.id,
          atMs,
        ))!.sum,
      )
    const net = (await sum('credit')) - (await sum('debit'))
    return account.side === 'credit' ? net : -net
  }

  /** Lines of an account, newest first, before `beforeSeq`. */
  async history(code: string, limit: number, beforeSeq = Number.MAX_SAFE_INTEGER): Promise<HistoryLine[]> {
    const account = await this.account(code)
    if (!account) return []
    return (
      await this.#sql.all<{
        seq: number
        at: number
        reason: string
        reference: string
        kind: Leg['kind']
        amount: number
        credit: number
      }>(
        `SELECT p.seq, p.at, p.reason, p.reference, l.kind, l.amount, l.credit FROM ledger_legs l
         JOIN ledger_postings p ON p.seq = l.posting
         WHERE (l.debit = ?1 OR l.credit = ?1) AND l.posting < ?2 ORDER BY l.posting DESC, l.n DESC LIMIT ?3`,
        account.id,
        beforeSeq,
        limit,
      )
    ).map(({ at, amount, credit, ...line }) => {
      const moves = line.kind === 'post' || line.kind === 'capture'
      const comesIn = (credit === account.id) === (account.side === 'credit')
      return { ...line, atMs: at, changeMinor: moves ? (comesIn ? BigInt(amount) : -BigInt(amount)) : 0n }
    })
  }

  /** All debits and all credits of each currency: always equal. */
  async trialBalance(): Promise<Total[]> {
    return (
      // Each account fits a number, their sum may not: it is made of two that do.
      (
        await this.#sql.all<{
          currency: Currency
          debits: number
          debitsHigh: number
          credits: number
          creditsHigh: number
        }>(
          `SELECT currency, CAST(sum(debits_posted % 1000000000) AS INTEGER) AS debits,
           CAST(sum(debits_posted / 1000000000) AS INTEGER) AS debitsHigh,
           CAST(sum(credits_posted % 1000000000) AS INTEGER) AS credits,
           CAST(sum(credits_posted / 1000000000) AS INTEGER) AS creditsHigh
         FROM ledger_accounts GROUP BY currency ORDER BY currency`,
        )
      ).map(({ currency, debits, debitsHigh, credits, creditsHigh }) => ({
        currency,
        debitsMinor: BigInt(debitsHigh) * 1_000_000_000n + BigInt(debits),
        creditsMinor: BigInt(creditsHigh) * 1_000_000_000n + BigInt(credits),
      }))
    )
  }

  async #write(postings: readonly Posting[], nowMs: number): Promise<(Posted | Problem)[]> {
    const pages = new Pages(this, await accountsOf(this.#sql, postings))
    const ids = postings.map(({ id }) => id)
    const done = new Map((await findPostings(this.#sql, ids)).map((row) => [nameOf(row.id), row]))
    const tip = await this.tip()
    let { seq, chain } = tip
    const epoch = await this.epoch()
    // What a later leadership wrote is never continued under an earlier one.
    if (epoch < tip.epoch) throw new Problem('centre.old-epoch', `epoch ${epoch} after ${tip.epoch}`)
    const atMs = Math.max(nowMs, tip.atMs)
    const written: SqlValue[] = []
    const legs: SqlValue[] = []
    const outcomes = await mapInOrder(postings, async (posting): Promise<Posted | Problem> => {
      const { id, reason, reference } = posting
      const content = contentHash(posting)
      const name = nameOf(id)
      const before = done.get(name)
      if (before)
        return Buffer.compare(before.content, content) === 0
          ? { seq: before.seq, atMs: before.at, replayed: true }
          : new Problem('ledger.conflict', reason)
      const draft = pages.draft()
      const decision = await decide(posting, draft, atMs)
      if ('refused' in decision) return refusal(decision.refused, posting, decision.leg)
      draft.keep()
      seq++
      chain = nextChain(chain, { seq, atMs, epoch, content })
      written.push(seq, id, reason, reference, atMs, epoch, content, chain)
      done.set(name, { id, seq, at: atMs, content })
      for (const [n, leg] of decision.legs.entries()) {
        const { kind, debit, credit, amountMinor, hold, expiresMs } = leg
        legs.push(seq, n, kind, debit.id, credit.id, amountMinor, hold, expiresMs)
        if (hold) await this.#writeHold(leg, hold)
      }
      return { seq, atMs, replayed: false }
    })
    await insertPostings(this.#sql, written)
    await insertLegs(this.#sql, legs)
    await pages.flush(this.#sql)
    return outcomes
  }

  /** At once, unlike what is only read back by auditors: a later posting of the group may resolve it. */
  async #writeHold({ kind, debit, credit, amountMinor, expiresMs }: WrittenLeg, hold: Uint8Array): Promise<void> {
    if (kind === 'hold')
      await this.#sql.run(
        'INSERT INTO ledger_holds (id, debit, credit, amount, expires) VALUES (?, ?, ?, ?, ?)',
        hold,
        debit.id,
        credit.id,
        amountMinor,
        expiresMs,
      )
    else await this.#sql.run('UPDATE ledger_holds SET resolved = 1 WHERE id = ?', hold)
  }
}

interface PostingRecord {
  id: Uint8Array
  seq: number
  at: number
  content: Uint8Array
}
const findPostings = finder<PostingRecord>('SELECT id, seq, at, content FROM ledger_postings WHERE id')
const findAccounts = finder<AccountRecord>('SELECT * FROM ledger_accounts WHERE code')
const insertPostings = inserter('ledger_postings', [
  'seq',
  'id',
  'reason',
  'reference',
  'at',
  'epoch',
  'content',
  'chain',
])
const insertLegs = inserter('ledger_legs', ['posting', 'n', 'kind', 'debit', 'credit', 'amount', 'hold', 'expires'])

/** The accounts that the legs of some postings name. */
async function accountsOf(sql: Sql, postings: readonly Posting[]): Promise<Map<string, Account>> {
  const codes = new Set<string>()
  for (const { legs } of postings)
    for (const leg of legs) if (leg.kind === 'post' || leg.kind === 'hold') codes.add(leg.debit).add(leg.credit)
  return new Map((await findAccounts(sql, [...codes])).map((row) => [row.code, accountOf(row)]))
}

function nameOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')
}

/** Accounts as a group of postings changes them: read once, written once, however many postings touch them. */
class Pages {
  readonly #ledger: Ledger
  readonly #accounts: Map<string, Account>
  readonly #dirty = new Set<string>()

  /** @param accounts that are likely to be asked for */
  constructor(ledger: Ledger, accounts: Map<string, Account>) {
    this.#ledger = ledger
    this.#accounts = accounts
  }

  /** A book for one posting, thrown away unless it is kept. */
  draft(): Book & { keep(): void } {
    const drafts = new Map<string, Account>()
    return {
      account: async (code) => {
        const known = drafts.get(code)
        if (known) return known
        const account = this.#accounts.get(code) ?? (await this.#ledger.account(code))
        if (!account) return undefined
        this.#accounts.set(code, account)
        const draft = { ...account }
        drafts.set(code, draft)
        return draft
      },
      hold: async (id) => this.#ledger.hold(id),
      keep: () => {
        for (const [code, account] of drafts) {
          this.#accounts.set(code, account)
          this.#dirty.add(code)
        }
      },
    }
  }

  async flush(sql: Sql): Promise<void> {
    for (const code of this.#dirty) {
      const { id, debitsPosted, creditsPosted, debitsPending, creditsPending } = this.#accounts.get(code)!
      await sql.run(
        'UPDATE ledger_accounts SET debits_posted = ?, credits_posted = ?, debits_pending = ?, credits_pending = ? WHERE id = ?',
        debitsPosted,
        creditsPosted,
        debitsPending,
        creditsPending,
        id,
      )
    }
  }
}

function refusal(code: Refusal, { reason }: Posting, leg: number): Problem {
  return new Problem(code, `${reason}, leg ${leg + 1}`)
}

/** Whether a problem is one of the ledger's own refusals: nothing was written. */
export function isRefusal(error: unknown): error is Problem {
  return error instanceof Problem && (refusals as readonly string[]).includes(error.code)
}

function accountOf(row: AccountRecord): Account {
  return {
    id: row.id,
    code: row.code,
    currency: row.currency as Currency,
    side: row.side,
    overdraft: row.overdraft === 1,
    closed: row.closed === 1,
    debitsPosted: BigInt(row.debits_posted),
    creditsPosted: BigInt(row.credits_posted),
    debitsPending: BigInt(row.debits_pending),
    creditsPending: BigInt(row.credits_pending),
  }
}

function holdOf({ id, debit, credit, amount, expires, resolved }: HoldRecord): Hold {
  return { id, debit, credit, amountMinor: BigInt(amount), expiresMs: expires, resolved: resolved === 1 }
}
