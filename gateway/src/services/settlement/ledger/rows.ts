/**
 * Many rows by one statement (B6): a statement of 32 rows costs little more to begin than one of a single row. What is left
 * over goes one by one, so that only two texts of each statement are ever prepared.
 */
import type { Sql, SqlValue } from '../../../storage/database.ts'

const rowsAtOnce = 32

/** An INSERT of rows, given one after the other: as many values to a row as there are `columns`. */
export function inserter(
  table: string,
  columns: readonly string[],
): (sql: Sql, values: readonly SqlValue[]) => Promise<void> {
  const start = `INSERT INTO ${table} (${columns.join(', ')}) VALUES `
  const row = `(${columns.map(() => '?').join(', ')})`
  const [one, many] = [start + row, start + Array<string>(rowsAtOnce).fill(row).join(', ')]
  const width = columns.length
  return async (sql, values) => {
    let at = 0
    for (; at + rowsAtOnce * width <= values.length; at += rowsAtOnce * width)
      await sql.run(many, ...values.slice(at, at + rowsAtOnce * width))
    for (; at < values.length; at += width) await sql.run(one, ...values.slice(at, at + width))
  }
}

/** Rows by one of their keys; `select` ends before the comparison. Those that do not exist are left out. */
export function finder<T>(select: string): (sql: Sql, keys: readonly SqlValue[]) => Promise<T[]> {
  const [one, many] = [`${select} = ?`, `${select} IN (${Array(rowsAtOnce).fill('?').join(', ')})`]
  return async (sql, keys) => {
    const found: T[] = []
    let at = 0
    for (; at + rowsAtOnce <= keys.length; at += rowsAtOnce)
      for (const row of await sql.all<T>(many, ...keys.slice(at, at + rowsAtOnce))) found.push(row)
    for (; at < keys.length; at++) {
      const row = await sql.get<T>(one, keys[at]!)
      if (row) found.push(row)
    }
    return found
  }
}
