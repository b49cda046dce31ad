/**
 * The ledger's rules, without any storage (ARCHITECTURE §9, P4, P5): what one posting does to accounts and holds, or
 * why it is refused. Amounts are integers of minor units; accounts are pseudonyms, never names of people.
 */
import { amountMaxMinor, type Currency } from '@azukari/protocol/money'
import type { ProblemCode } from '@azukari/protocol/problem'

/** The side on which an account grows: `debit` for what we hold, `credit` for what we owe and what we earn. */
export type Side = 'debit' | 'credit'

export interface Account {
  readonly id: number
  readonly code: string
  readonly currency: Currency
  readonly side: Side
  /** Whether it may fall below zero, on its own side. */
  readonly overdraft: boolean
  readonly closed: boolean
  debitsPosted: bigint
  creditsPosted: bigint
  debitsPending: bigint
  creditsPending: bigint
}

export interface Hold {
  readonly id: Uint8Array
  readonly debit: string
  readonly credit: string
  readonly amountMinor: bigint
  /** From this moment on it can only be given back, ms since the epoch. */
  readonly expiresMs: number
  readonly resolved: boolean
}

/**
 * One movement. `post` moves at once; `hold` reserves under an id of 16 bytes; `capture` moves a hold's amount or less,
 * and gives the rest back; `void` gives it all back; `expire` is the void that the ledger does itself.
 */
export type Leg =
  | { kind: 'post'; debit: string; credit: string; amountMinor: bigint }
  | { kind: 'hold'; debit: string; credit: string; amountMinor: bigint; hold: Uint8Array; expiresMs: number }
  | { kind: 'capture'; hold: Uint8Array; amountMinor: bigint }
  | { kind: 'void'; hold: Uint8Array }
  | { kind: 'expire'; hold: Uint8Array }

export interface Posting {
  /** 16 bytes: the same id with the same content is the same posting, however often it comes. */
  readonly id: Uint8Array
  /** What it is for: a word of the service's own, such as `purchase`. */
  readonly reason: string
  /** What it belongs to: an order, a statement, a line of a bank file. */
  readonly reference: string
  /** All are done, or none. */
  readonly legs: readonly Leg[]
}

/** A leg as it is written down: accounts and amount are those of the hold that it resolves. */
export interface WrittenLeg {
  readonly kind: Leg['kind']
  readonly debit: Account
  readonly credit: Account
  readonly amountMinor: bigint
  readonly hold: Uint8Array | null
  readonly expiresMs: number | null
}

/** Legs of one posting. */
const maxLegs = 64
/** Balances stay exactly representable wherever they are read. */
const balanceMaxMinor = BigInt(Number.MAX_SAFE_INTEGER)

/**
 * Why a posting is refused. When several reasons hold, the first of this list is told, so that every replay and every
 * copy of the ledger tells the same.
 */
export const refusals = [
  'ledger.bad-posting',
  'ledger.bad-amount',
  'ledger.unknown-account',
  'ledger.account-closed',
  'ledger.same-account',
  'ledger.wrong-currency',
  'ledger.hold-unknown',
  'ledger.hold-resolved',
  'ledger.hold-expired',
  'ledger.overflow',
  'ledger.insufficient',
] as const satisfies readonly ProblemCode[]
export type Refusal = (typeof refusals)[number]

/** What the rules may look at. Accounts that it returns may be changed; they are thrown away after a refusal. */
export interface Book {
  account(code: string): Promise<Account | undefined>
  hold(id: Uint8Array): Promise<Hold | undefined>
}

export type Decision = { refused: Refusal; leg: number } | { legs: WrittenLeg[] }

/** Decides on one posting; when it is not refused, the book's accounts hold the new balances. */
export async function decide(posting: Posting, book: Book, nowMs: number): Promise<Decision> {
  const { legs } = posting
  if (posting.id.length !== 16 || legs.length === 0 || legs.length > maxLegs)
    return { refused: 'ledger.bad-posting', leg: 0 }
  const written: WrittenLeg[] = []
  const resolvedHere = new Set<string>()
  for (const [n, leg] of legs.entries()) {
    const outcome = await decideLeg(leg, book, nowMs, resolvedHere)
    if (typeof outcome === 'string') return { refused: outcome, leg: n }
    written.push(outcome)
  }
  // Balances are judged when all legs are in: what comes in and what goes out of one posting may come in either order.
  for (const [n, { debit, credit }] of written.entries())
    for (const account of [debit, credit]) if (overflows(account)) return { refused: 'ledger.overflow', leg: n }
  for (const [n, { debit, credit, kind }] of written.entries()) {
    if (kind === 'void' || kind === 'expire') continue
    for (const account of [debit, credit])
      if (!account.overdraft && availableOf(account) < 0n) return { refused: 'ledger.insufficient', leg: n }
  }
  return { legs: written }
}

async function decideLeg(
  leg: Leg,
  book: Book,
  nowMs: number,
  resolvedHere: Set<string>,
): Promise<WrittenLeg | Refusal> {
  if (leg.kind === 'post' || leg.kind === 'hold') {
    if (leg.amountMinor <= 0n || leg.amountMinor > amountMaxMinor) return 'ledger.bad-amount'
    const debit = await book.account(leg.debit)
    const credit = await book.account(leg.credit)
    if (!debit || !credit) return 'ledger.unknown-account'
    if (debit.closed || credit.closed) return 'ledger.account-closed'
    if (debit === credit) return 'ledger.same-account'
    if (debit.currency !== credit.currency) return 'ledger.wrong-currency'
    if (leg.kind === 'post') {
      debit.debitsPosted += leg.amountMinor
      credit.creditsPosted += leg.amountMinor
      return { kind: 'post', debit, credit, amountMinor: leg.amountMinor, hold: null, expiresMs: null }
    }
    if (leg.hold.length !== 16) return 'ledger.bad-posting'
    if ((await book.hold(leg.hold)) || !claim(resolvedHere, leg.hold)) return 'ledger.hold-resolved'
    if (leg.expiresMs <= nowMs) return 'ledger.hold-expired'
    debit.debitsPending += leg.amountMinor
    credit.creditsPending += leg.amountMinor
    const { hold, expiresMs, amountMinor } = leg
    return { kind: 'hold', debit, credit, amountMinor, hold, expiresMs }
  }
  const hold = await book.hold(leg.hold)
  if (leg.kind === 'capture' && (leg.amountMinor <= 0n || (hold && leg.amountMinor > hold.amountMinor)))
    return 'ledger.bad-amount'
  if (!hold) return 'ledger.hold-unknown'
  if (hold.resolved || !claim(resolvedHere, hold.id)) return 'ledger.hold-resolved'
  if (leg.kind === 'capture' && hold.expiresMs <= nowMs) return 'ledger.hold-expired'
  const debit = await book.account(hold.debit)
  const credit = await book.account(hold.credit)
  if (!debit || !credit) return 'ledger.unknown-account'
  debit.debitsPending -= hold.amountMinor
  credit.creditsPending -= hold.amountMinor
  if (leg.kind !== 'capture')
    return { kind: leg.kind, debit, credit, amountMinor: hold.amountMinor, hold: hold.id, expiresMs: null }
  debit.debitsPosted += leg.amountMinor
  credit.creditsPosted += leg.amountMinor
  return { kind: 'capture', debit, credit, amountMinor: leg.amountMinor, hold: hold.id, expiresMs: null }
}

function claim(taken: Set<string>, id: Uint8Array): boolean {
  const name = Buffer.from(id).toString('hex')
  if (taken.has(name)) return false
  taken.add(name)
  return true
}

function overflows(account: Account): boolean {
  return (
    account.debitsPosted + account.debitsPending > balanceMaxMinor ||
    account.creditsPosted + account.creditsPending > balanceMaxMinor
  )
}

/** What stands on the account, on its own side. */
export function balanceOf(account: Account): bigint {
  const net = account.creditsPosted - account.debitsPosted
  return account.side === 'credit' ? net : -net
}

/** What may still be taken: what stands there, less what is reserved; what is only promised does not count. */
export function availableOf(account: Account): bigint {
  return account.side === 'credit'
    ? account.creditsPosted - account.debitsPosted - account.debitsPending
    : account.debitsPosted - account.creditsPosted - account.creditsPending
}
