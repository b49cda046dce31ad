/**
 * Numbers that people and bank files carry (P4): members, transactions, payments, statements. Twelve digits and two check
 * digits (ISO 7064 MOD 97-10), so that a slip of the pen is noticed: any one wrong digit, any two swapped.
 */
import { InternalError } from '@azukari/protocol/problem'
import type { Sql } from '../../storage/database.ts'

/** The first digit says what a number is of. */
const numberKinds = { general: 1, shop: 2, transaction: 4, payment: 6, statement: 8, payout: 9 } as const
export type NumberKind = keyof typeof numberKinds

const sequenceMax = 99_999_999_999

/** The two check digits of some digits. */
function checkDigits(digits: string): string {
  return String(98n - ((BigInt(digits) * 100n) % 97n)).padStart(2, '0')
}

export function isNumber(text: string, ...kinds: NumberKind[]): boolean {
  return (
    /^\d{14}$/.test(text) &&
    BigInt(text) % 97n === 1n &&
    (kinds.length === 0 || kinds.some((kind) => text.startsWith(String(numberKinds[kind]))))
  )
}

/** The next number of its kind, entered in the register of numbers. */
export async function nextNumber(sql: Sql, kind: NumberKind, nowMs: number): Promise<string> {
  const last =
    (await sql.get<{ last: number | null }>('SELECT max(seq) AS last FROM numbers WHERE kind = ?', kind))?.last ?? 0
  const seq = last + 1
  if (seq > sequenceMax) throw new InternalError(`no ${kind} numbers are left`)
  const digits = `${numberKinds[kind]}${String(seq).padStart(11, '0')}`
  const number = digits + checkDigits(digits)
  await sql.run('INSERT INTO numbers (kind, seq, number, at) VALUES (?, ?, ?, ?)', kind, seq, number, nowMs)
  return number
}
