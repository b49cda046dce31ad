/** The epoch of the leadership under which this centre writes (P9); 1 where there is only one centre. */
import type { Sql } from '../../../storage/database.ts'
import { Ledger } from '../ledger/ledger.ts'

export async function presentEpoch(sql: Sql): Promise<number> {
  return (await sql.get<{ epoch: number }>('SELECT epoch FROM centre_self WHERE id = 1'))?.epoch ?? 1
}

/** The ledger, whose postings carry the present epoch. */
export function ledgerOf(sql: Sql): Ledger {
  return new Ledger(sql, () => presentEpoch(sql))
}
