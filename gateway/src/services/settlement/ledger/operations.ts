/**
 * The clerks' log (P9): who did what. Append-only by triggers, and chained by hashes, so that what somebody changes behind
 * the service's back is found by the audit; its end stands in the signed daily head, so that what is cut off is missed.
 */
import { hash } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { Count, Hash, type Static, Type } from '@azukari/protocol/contract'
import type { Sql } from '../../../storage/database.ts'

/** Entries from before the chain have none; the first one after them takes them all in. */
export const operationChainTables = `
ALTER TABLE operations ADD COLUMN chain BLOB;
CREATE TRIGGER operations_once BEFORE INSERT ON operations WHEN EXISTS (SELECT 1 FROM operations WHERE n = NEW.n)
BEGIN SELECT RAISE(ABORT, 'the log does not change'); END;
CREATE TRIGGER ledger_heads_once BEFORE INSERT ON ledger_heads WHEN EXISTS (SELECT 1 FROM ledger_heads WHERE day = NEW.day)
BEGIN SELECT RAISE(ABORT, 'the journal does not change'); END;
`

/** Where the log ends. */
export const OperationsTip = Type.Object({ n: Count, chain: Hash })
export type OperationsTip = Static<typeof OperationsTip>

interface Row {
  n: number
  at: number
  clerk: string
  what: string
  detail: string
  chain: Uint8Array | null
}

const chainStart = new Uint8Array(32)
const pageRows = 1_000

/** Notes who did what, for the printed operation log. Never secrets or personal data. */
export async function noteOperation(sql: Sql, at: number, clerk: string, what: string, detail: string): Promise<void> {
  const { n, chain } = await operationsTip(sql)
  const row = { n: n + 1, at, clerk, what, detail }
  await sql.run(
    'INSERT INTO operations (n, at, clerk, what, detail, chain) VALUES (?, ?, ?, ?, ?, ?)',
    row.n,
    at,
    clerk,
    what,
    detail,
    nextChain(chain, row),
  )
}

/** The end of the log; before the first chained entry the chain is computed over those from before. */
export async function operationsTip(sql: Sql): Promise<OperationsTip> {
  const last = await sql.get<Row>('SELECT * FROM operations ORDER BY n DESC LIMIT 1')
  if (last?.chain) return { n: last.n, chain: last.chain }
  let tip: OperationsTip = { n: 0, chain: chainStart }
  for await (const row of rowsOf(sql)) tip = { n: row.n, chain: nextChain(tip.chain, row) }
  return tip
}

/** Entries that are changed, gone or without their chain, and whether the log still says what a signed head says. */
export async function auditOperations(sql: Sql, heads: readonly OperationsTip[]): Promise<string[]> {
  const found: string[] = []
  const signed = new Map(heads.map(({ n, chain }) => [n, chain]))
  let before: OperationsTip = { n: 0, chain: chainStart }
  let isChained = false
  for await (const row of rowsOf(sql)) {
    const chain = nextChain(before.chain, row)
    if (row.n !== before.n + 1) found.push(`entries ${before.n + 1} to ${row.n - 1} are gone`)
    else if (row.chain ? !same(row.chain, chain) : isChained) found.push(`entry ${row.n} was changed`)
    isChained ||= row.chain !== null
    before = { n: row.n, chain: row.chain ?? chain }
    const head = signed.get(row.n)
    if (head && !same(head, before.chain)) found.push(`entry ${row.n} is not the one signed`)
  }
  const last = Math.max(0, ...signed.keys())
  if (last > before.n) found.push(`entries ${before.n + 1} to ${last} are gone`)
  return found
}

async function* rowsOf(sql: Sql): AsyncGenerator<Row> {
  for (let after = 0; ; ) {
    const rows = await sql.all<Row>('SELECT * FROM operations WHERE n > ? ORDER BY n LIMIT ?', after, pageRows)
    yield* rows
    const last = rows.at(-1)
    if (!last) return
    after = last.n
  }
}

function nextChain(before: Uint8Array, { n, at, clerk, what, detail }: Omit<Row, 'chain'>): Uint8Array {
  return hash('sha256', encodeDeterministic([before, n, at, clerk, what, detail]), 'buffer')
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
