/** Rows in, as they stand in the program. Where one statement is run very often, it is compiled instead: see `query.ts`. */
import type { Sql } from './database.ts'

/**
 * Inserts a row whose keys are the columns' names.
 * @param onConflict the clause that says what happens when the row is there already
 * @returns how many rows were changed
 */
export async function insertRow(sql: Sql, table: string, row: object, onConflict = ''): Promise<number> {
  const entries = Object.entries(row)
  const names = entries.map(([name]) => name).join(', ')
  const marks = entries.map(() => '?').join(', ')
  const { changes } = await sql.run(
    `INSERT INTO ${table} (${names}) VALUES (${marks}) ${onConflict}`,
    ...entries.map(([, value]) => value),
  )
  return changes
}

/** Inserts a row, or overwrites the one that has its key. @param key the columns of the primary key */
export async function putRow(sql: Sql, table: string, key: readonly string[], row: object): Promise<void> {
  const others = Object.keys(row).filter((name) => !key.includes(name))
  const change = others.map((name) => `${name} = excluded.${name}`).join(', ')
  await insertRow(sql, table, row, `ON CONFLICT (${key.join(', ')}) DO ${change ? `UPDATE SET ${change}` : 'NOTHING'}`)
}
