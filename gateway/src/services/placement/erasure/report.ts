/** How erasures stand, for operators: from the database alone. Nothing here tells what an object was. */
import type { Sql } from '../../../storage/database.ts'
import type { ErasureCause } from './tables.ts'

export interface ErasureReport {
  /** Objects of which something is left somewhere, and all that were ever erased. */
  open: number
  done: number
  accountsClosing: number
  byCause: { cause: ErasureCause; open: number; done: number }[]
  /** Servers that have still to destroy something; `lost`: they are gone for good, and asked should they come back. */
  servers: { server: string; open: number; lost: number; tries: number; sinceMs: number | null }[]
}

export async function erasureReport(sql: Sql): Promise<ErasureReport> {
  const byCause = await sql.all<ErasureReport['byCause'][number]>(
    'SELECT cause, sum(CASE WHEN done IS NULL THEN 1 ELSE 0 END) AS open, sum(CASE WHEN done IS NOT NULL THEN 1 ELSE 0 END) AS done FROM erasures GROUP BY cause ORDER BY cause',
  )
  return {
    open: byCause.reduce((sum, { open }) => sum + open, 0),
    done: byCause.reduce((sum, { done }) => sum + done, 0),
    accountsClosing: (await sql.get<{ n: number }>(
      "SELECT count(*) AS n FROM wishes WHERE kind = 'close' AND closing IS NULL",
    ))!.n,
    byCause,
    servers: await sql.all(
      `SELECT p.server, sum(CASE WHEN p.state = 'open' THEN 1 ELSE 0 END) AS open, sum(CASE WHEN p.state = 'lost' THEN 1 ELSE 0 END) AS lost, max(p.tries) AS tries, min(e.at) AS sinceMs
       FROM erasing AS p JOIN erasures AS e ON e.object = p.object WHERE p.state IN ('open', 'lost')
       GROUP BY p.server ORDER BY p.server`,
    ),
  }
}

/** The same, to read. */
export function erasureText({ open, done, accountsClosing, byCause, servers }: ErasureReport): string {
  return [
    `${open} objects are being erased, ${done} were; ${accountsClosing} accounts are being closed`,
    ...byCause.map((row) => `  ${row.cause.padEnd(10)} ${row.open} open, ${row.done} done`),
    ...servers.map(
      ({ server, open: left, lost, tries, sinceMs }) =>
        `${server.padEnd(16)} ${left} to destroy${lost ? `, ${lost} lost with it` : ''}, tried ${tries} times` +
        `${sinceMs === null ? '' : `, since ${new Date(sinceMs).toISOString().slice(0, 16).replace('T', ' ')}`}`,
    ),
  ].join('\n')
}
