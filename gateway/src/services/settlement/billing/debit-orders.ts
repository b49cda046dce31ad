/**
 * Debits that the bank was asked for, one by one (S13): the answer says which were collected, the bank's own line brings the
 * money, one by one or a file at once, and a later line may take it back. So nothing of it is money twice.
 */
import type { Currency } from '@azukari/protocol/money'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import type { Line } from '../bank/ports.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { memberAccount, type OwnAccount, ownAccount } from '../ledger/accounts.ts'
import { derivedId, type Within } from '../service-context.ts'
import type { StatementRow } from './statements.ts'

export const debitOrderTables = `
CREATE TABLE debit_orders (
  statement TEXT NOT NULL REFERENCES statements (number), n INTEGER NOT NULL, file BLOB, day TEXT, amount INTEGER NOT NULL,
  currency TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('asked', 'paid', 'returned')),
  credited INTEGER NOT NULL DEFAULT 0, reversed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (statement, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX debit_orders_file ON debit_orders (file);
INSERT INTO debit_orders (statement, n, amount, currency, state)
  SELECT number, tries, total, currency, 'asked' FROM statements WHERE state = 'debit-sent';
`

export interface DebitOrderRow {
  statement: string
  /** Which try of the statement it is, from 0. */
  n: number
  /** The file that asked; null for one from before files were kept here. */
  file: Uint8Array | null
  /** Civil date of the collection. */
  day: string | null
  amount: number
  currency: Currency
  state: 'asked' | 'paid' | 'returned'
  /** Whether the bank's line has brought the money, and whether a later one took it back. */
  credited: number
  reversed: number
}

export const debitOrders = {
  /** The last one of a statement. */
  ofStatement: (sql: Sql, statement: string) =>
    sql.get<DebitOrderRow>('SELECT * FROM debit_orders WHERE statement = ? ORDER BY n DESC LIMIT 1', statement),
  ask: async (sql: Sql, { number, tries, total, currency }: StatementRow, file: Uint8Array, day: string) => {
    const row = { statement: number, n: tries, file, day, amount: total, currency, state: 'asked' }
    await insertRow(sql, 'debit_orders', row)
  },
  answered: async (sql: Sql, { statement, n }: DebitOrderRow, state: 'paid' | 'returned') => {
    await sql.run('UPDATE debit_orders SET state = ? WHERE statement = ? AND n = ?', state, statement, n)
  },
}

/** The bank's line brings what was collected of one statement. @param source the account that the line moves */
export async function creditDebit(
  { sql, nowMs }: Within,
  { statement, n, currency, amount }: DebitOrderRow,
  source: OwnAccount,
): Promise<void> {
  await postCredit(
    sql,
    derivedId('debit-credited', statement, String(n)),
    statement,
    currency,
    BigInt(amount),
    source,
    nowMs,
  )
  await sql.run('UPDATE debit_orders SET credited = 1 WHERE statement = ? AND n = ?', statement, n)
}

async function postCredit(
  sql: Sql,
  id: Uint8Array,
  reference: string,
  currency: Currency,
  amountMinor: bigint,
  source: OwnAccount,
  nowMs: number,
): Promise<void> {
  const ledger = ledgerOf(sql)
  const [debit, credit] = [await ownAccount(ledger, source, currency), await ownAccount(ledger, 'debits-due', currency)]
  await ledger.post(
    { id, reason: 'debits-credited', reference, legs: [{ kind: 'post', debit, credit, amountMinor }] },
    nowMs,
  )
}

interface Collected {
  file: Uint8Array
  currency: Currency
  minor: number
}

/** Files that are answered whole, and whose money has not come. */
async function collectedFiles(sql: Sql): Promise<Collected[]> {
  return sql.all<Collected>(
    `SELECT d.file, d.currency, CAST(sum(d.amount) AS INTEGER) AS minor FROM debit_orders d
     WHERE d.file IS NOT NULL AND d.state = 'paid' AND d.credited = 0
     AND NOT EXISTS (SELECT 1 FROM debit_orders o WHERE o.file = d.file AND o.state = 'asked')
     GROUP BY d.file, d.currency ORDER BY d.file`,
  )
}

/**
 * A line without a number may bring what a whole file collected: it is when exactly one file waits for that sum.
 * @returns the file's name in hex; undefined when it is none
 */
export async function creditFile(within: Within, line: Line, source: OwnAccount): Promise<string | undefined> {
  const waiting = (await collectedFiles(within.sql)).filter(
    ({ minor, currency }) => BigInt(minor) === line.minor && currency === line.currency,
  )
  const named = waiting.filter(({ file }) => line.texts.some((text) => text.includes(hexOf(file))))
  const [one, ...others] = named.length > 0 ? named : waiting
  return one && others.length === 0 ? creditWhole(within, one, source) : undefined
}

async function creditWhole({ sql, nowMs }: Within, collected: Collected, source: OwnAccount): Promise<string> {
  const { file, currency, minor } = collected
  const name = hexOf(file)
  await postCredit(sql, derivedId('debits-credited', file, currency), name, currency, BigInt(minor), source, nowMs)
  await sql.run(
    "UPDATE debit_orders SET credited = 1 WHERE file = ? AND currency = ? AND state = 'paid'",
    file,
    currency,
  )
  return name
}

/** The answer may come after the money: lines that wait without an owner are looked at again. */
export async function creditWaiting(within: Within): Promise<void> {
  const { sql } = within
  for (const collected of await collectedFiles(sql)) {
    const [line, ...others] = await sql.all<{ id: Uint8Array }>(
      `SELECT id FROM bank_lines WHERE matched IS NULL AND direction = 'in' AND about IS NULL AND amount = ? AND currency = ?
       LIMIT 2`,
      collected.minor,
      collected.currency,
    )
    if (!line || others.length > 0) continue
    const name = await creditWhole(within, collected, 'unmatched')
    await sql.run('UPDATE bank_lines SET matched = ? WHERE id = ?', name, line.id)
  }
}

/** A later line takes a collected debit back: the member owes it again. */
export async function reverseDebit(
  { sql, nowMs }: Within,
  { statement, n, currency, amount }: DebitOrderRow,
  member: Uint8Array,
  source: OwnAccount,
): Promise<void> {
  const ledger = ledgerOf(sql)
  await ledger.post(
    {
      id: derivedId('debit-reversed', statement, String(n)),
      reason: 'payment-reversed',
      reference: statement,
      legs: [
        {
          kind: 'post',
          debit: await memberAccount(ledger, 'receivable', member, currency),
          credit: await ownAccount(ledger, source, currency),
          amountMinor: BigInt(amount),
        },
      ],
    },
    nowMs,
  )
  await sql.run('UPDATE debit_orders SET reversed = 1 WHERE statement = ? AND n = ?', statement, n)
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
