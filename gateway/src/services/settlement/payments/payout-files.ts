/** Files of payouts as banks see them (P7): rejected as a whole, or taken from our account as one sum. */
import { ledgerOf } from '../centre/epoch.ts'
import { type OwnAccount, ownAccount } from '../ledger/accounts.ts'
import { derivedId, type Within } from '../service-context.ts'
import { type PayoutRow, payoutRefused, returnPayout } from './payouts.ts'

/** Payouts of a file that the bank rejected as a whole. @returns how many wait again */
export async function payoutFileRefused(within: Within, file: Uint8Array): Promise<number> {
  let refused = 0
  for (const { number } of await within.sql.all<{ number: string }>('SELECT number FROM payouts WHERE file = ?', file))
    if (await payoutRefused(within, number)) refused++
  return refused
}

interface SentFile {
  file: Uint8Array
  currency: string
  minor: number
}

/**
 * A line out without a number may be a whole file: it is when the file's name stands in it, or when exactly one file waits to
 * leave with that sum.
 * @param source the account that the line moves
 * @returns the file's name in hex; undefined when it is none
 */
export async function payoutFileMoved(
  { sql, nowMs }: Within,
  line: { minor: bigint; currency: string; texts: readonly string[] },
  source: OwnAccount,
): Promise<string | undefined> {
  const sent = await sql.all<SentFile>(
    `SELECT file, currency, CAST(sum(amount) AS INTEGER) AS minor FROM payouts
     WHERE state = 'sent' AND moved_out = 0 AND file IS NOT NULL GROUP BY file, currency ORDER BY file`,
  )
  const fitting = sent.filter(({ minor, currency }) => BigInt(minor) === line.minor && currency === line.currency)
  const named = fitting.filter(({ file }) =>
    line.texts.some((text) => text.includes(Buffer.from(file).toString('hex'))),
  )
  const [one, ...others] = named.length > 0 ? named : fitting
  if (!one || others.length > 0) return undefined
  const rows = await sql.all<PayoutRow>(
    "SELECT * FROM payouts WHERE file = ? AND state = 'sent' AND moved_out = 0 ORDER BY number",
    one.file,
  )
  const name = Buffer.from(one.file).toString('hex')
  const ledger = ledgerOf(sql)
  const [{ currency }] = rows as [PayoutRow]
  await ledger.post(
    {
      id: derivedId('payouts-paid', ...rows.map(({ number }) => number)),
      reason: 'payout-paid',
      reference: name,
      legs: [
        {
          kind: 'post',
          debit: await ownAccount(ledger, 'payout-sent', currency),
          credit: await ownAccount(ledger, source, currency),
          amountMinor: line.minor,
        },
      ],
    },
    nowMs,
  )
  for (const row of rows) {
    await sql.run("UPDATE payouts SET moved_out = 1, state = 'paid' WHERE number = ?", row.number)
    if (row.moved_back === 1) await returnPayout(sql, row, nowMs)
  }
  return name
}
