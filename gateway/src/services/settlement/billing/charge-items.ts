/**
 * What members bought of other services (S13, C8, C9): it is kept in the transaction that books the charge, and stands on one statement,
 * the next one of its member. It is paid from stored value already, so no statement collects it. Titles are sealed: they say what
 * somebody reads and hears.
 */
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import type { RequestOf, Static } from '@azukari/protocol/contract'
import { checker, Text, Type } from '@azukari/protocol/contract'
import type { Bought } from '@azukari/protocol/contracts/settlement-billing'
import type { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import type { TaxRate } from '@azukari/protocol/contracts/settlement-purchase'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import type { Currency } from '@azukari/protocol/money'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { atRestKey } from '../keystore.ts'
import type { ServiceContext } from '../service-context.ts'
import { taxWithin } from './tax.ts'

export type ChargeItem = NonNullable<RequestOf<typeof postCharge>['item']>

/** `booked` is when the charge was, `at` when it was bought: what waited for stored value is on the statement of when it was paid. */
export const chargeItemTables = `
CREATE TABLE charge_items (
  id BLOB PRIMARY KEY, member BLOB NOT NULL REFERENCES members (id), said BLOB NOT NULL, at INTEGER NOT NULL,
  booked INTEGER NOT NULL, minor INTEGER NOT NULL CHECK (minor > 0), currency TEXT NOT NULL, tax INTEGER NOT NULL,
  reversed INTEGER NOT NULL, statement TEXT
) STRICT;
CREATE INDEX charge_items_member ON charge_items (member, booked);
CREATE INDEX charge_items_statement ON charge_items (statement);
`

interface ItemRow {
  id: Uint8Array
  said: Uint8Array
  at: number
  minor: number
  tax: TaxRate
  reversed: number
}

/** As many as a statement has room for beside where the data is kept: it is one message of 64 KiB. */
const linesMax = 60

const Said = Type.Object({ what: Text(64), title: Text(200) })
const checkSaid = checker(Said, 'charge item')

/** Keeps it once, by the id of its charge. */
export async function keepItem(
  { keys, random }: Pick<ServiceContext, 'keys' | 'random'>,
  sql: Sql,
  kept: { id: Uint8Array; member: Uint8Array; what: string; item: ChargeItem; nowMs: number },
): Promise<void> {
  const { id, member, what, item, nowMs } = kept
  const { title, atMs, minor, currency, tax, isReversed } = item
  const said: Static<typeof Said> = { what, title }
  const row = {
    id,
    member,
    said: encrypt0(encodeDeterministic(said), atRestKey(keys, 'charge-item'), random.bytes(12), id),
    at: atMs,
    booked: nowMs,
    minor,
    currency,
    tax,
    reversed: isReversed ? 1 : 0,
    statement: null,
  }
  await insertRow(sql, 'charge_items', row, 'ON CONFLICT (id) DO NOTHING')
}

/**
 * Gives a statement the items that no statement had and that were booked before its period ended; one that takes the place of
 * another has the items of that one. Undefined when there are none.
 */
export async function claimItems(
  { keys }: Pick<ServiceContext, 'keys'>,
  sql: Sql,
  of: { statement: string; member: Uint8Array; toMs: number; currency: Currency; replaced: string | undefined },
): Promise<Bought | undefined> {
  const { statement, member, toMs, currency, replaced } = of
  if (replaced !== undefined)
    await sql.run('UPDATE charge_items SET statement = ? WHERE statement = ?', statement, replaced)
  else
    await sql.run(
      'UPDATE charge_items SET statement = ? WHERE member = ? AND booked < ? AND currency = ? AND statement IS NULL',
      statement,
      member,
      toMs,
      currency,
    )
  const rows = await sql.all<ItemRow>(
    'SELECT id, said, at, minor, tax, reversed FROM charge_items WHERE statement = ? ORDER BY at, id',
    statement,
  )
  if (rows.length === 0) return undefined
  const lines = rows.slice(0, linesMax).map(({ id, said, at, minor, tax, reversed }) => {
    const { what, title } = checkSaid(decode(decrypt0(said, atRestKey(keys, 'charge-item'), id)))
    return { what, title, atMs: at, minor, tax, isReversed: reversed === 1 }
  })
  const { taxes, total } = sumsOf(rows, currency)
  return { lines, further: rows.length - lines.length, taxes, total }
}

/** What was paid, and the tax within it; what was reversed counts nothing. */
function sumsOf(rows: readonly ItemRow[], currency: Currency): Pick<Bought, 'taxes' | 'total'> {
  const paid = rows.filter(({ reversed }) => reversed === 0)
  const within = taxWithin(paid.map(({ minor, tax }) => ({ gross: BigInt(minor), rate: tax })))
  const taxes = within.map(({ rate, gross, tax }) => ({ rate, gross: Number(gross), tax: Number(tax) }))
  return { taxes, total: { minor: paid.reduce((sum, { minor }) => sum + minor, 0), currency } }
}
