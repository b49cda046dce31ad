/**
 * Moves a service's database from SQLite to PostgreSQL, row by row (D4). Rows are copied in the order of their keys, which is
 * the same on both engines, so a move that was broken off goes on after the last key that is there. Then every row is
 * read again from both sides and compared.
 */
import { Problem } from '@azukari/protocol/problem'
import type { Database, Row, Sql, SqlValue } from './database.ts'

export interface MoveProgress {
  table: string
  doing: 'copied' | 'compared'
  rows: number
}

export interface MoveReport {
  tables: number
  rows: number
  /** The copy of an earlier try was of another state and was begun anew. */
  again: boolean
}

export interface MoveOptions {
  /** Both with the tables of this release. */
  from: Database
  to: Database
  progress(step: MoveProgress): void
}

interface Table {
  name: string
  columns: string[]
  key: string[]
  /** Whose numbers the engine gives by itself, and the last that was given. */
  counter: { column: string; last: number } | undefined
}

const rowsAtOnce = 200
const parametersAtMost = 20_000

/** @throws {Problem} `storage.failed` when rows differ after they were copied anew, `storage.*` */
export async function moveDatabase(options: MoveOptions): Promise<MoveReport> {
  const { from, to } = options
  const tables = await tablesOf(from)
  await to.script('CREATE TABLE IF NOT EXISTS store_move (id INTEGER NOT NULL PRIMARY KEY, state TEXT NOT NULL)')
  let again = false
  for (;;) {
    const begun = await to.get('SELECT state FROM store_move WHERE id = 1')
    if (!begun) await empty(to, tables)
    for (const table of tables) await copy(options, table)
    const difference = await firstDifference(options, tables)
    if (!difference) break
    // What was copied by an earlier try is not what is there now.
    if (!begun || again) throw new Problem('storage.failed', `after the copy ${difference} differs`)
    again = true
    await to.run('DELETE FROM store_move')
  }
  await finish(to, tables)
  let rows = 0
  for (const { name } of tables) rows += await countOf(from, name)
  return { tables: tables.length, rows, again }
}

/** Tables in an order in which no row names one that is not there yet. */
async function tablesOf(sql: Sql): Promise<Table[]> {
  const names = (
    await sql.all<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations' ORDER BY name",
    )
  ).map(({ name }) => name)
  const needs = new Map<string, string[]>()
  for (const name of names)
    needs.set(
      name,
      (await sql.all<{ table: string }>(`PRAGMA foreign_key_list(${name})`)).map(({ table }) => table),
    )
  const ordered: string[] = []
  const visit = (name: string) => {
    if (ordered.includes(name)) return
    for (const other of needs.get(name) ?? []) if (other !== name) visit(other)
    ordered.push(name)
  }
  for (const name of names) visit(name)
  const tables: Table[] = []
  for (const name of ordered) tables.push(await tableOf(sql, name))
  return tables
}

async function tableOf(sql: Sql, name: string): Promise<Table> {
  const columns = await sql.all<{ name: string; type: string; pk: number }>(`PRAGMA table_info(${name})`)
  const keys = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk)
  if (keys.length === 0) throw new Problem('config.invalid', `${name} has no primary key and cannot be moved`)
  const [only] = keys
  return {
    name,
    columns: columns.map((column) => column.name),
    key: keys.map((column) => column.name),
    counter:
      only && keys.length === 1 && only.type === 'INTEGER'
        ? { column: only.name, last: await lastNumber(sql, name, only.name) }
        : undefined,
  }
}

/** Numbers that were given and are gone must not be given again. */
async function lastNumber(sql: Sql, table: string, column: string): Promise<number> {
  const highest = (await sql.get<{ n: number }>(`SELECT coalesce(max(${column}), 0) AS n FROM ${table}`))?.n ?? 0
  const counts = await sql.get("SELECT 1 AS there FROM sqlite_master WHERE name = 'sqlite_sequence'")
  const given = counts && (await sql.get<{ n: number }>('SELECT seq AS n FROM sqlite_sequence WHERE name = ?', table))
  return Math.max(highest, given?.n ?? 0)
}

/** Migrations have left rows of their own, and triggers would add others. */
async function empty(to: Database, tables: readonly Table[]): Promise<void> {
  await to.transaction(async (sql) => {
    for (const { name } of tables) await sql.script(`ALTER TABLE ${name} DISABLE TRIGGER USER`)
    for (const { name } of tables.toReversed()) await sql.run(`DELETE FROM ${name}`)
    await sql.run("INSERT INTO store_move (id, state) VALUES (1, 'copying')")
  })
}

async function copy({ from, to, progress }: MoveOptions, table: Table): Promise<void> {
  const { name, columns, key } = table
  const descending = key.map((column) => `${column} DESC`).join(', ')
  const last = await to.get(`SELECT ${key.join(', ')} FROM ${name} ORDER BY ${descending} LIMIT 1`)
  let after = last && key.map((column) => last[column] as SqlValue)
  let rows = after ? await countOf(to, name) : 0
  for (;;) {
    const page = await pageOf(from, table, after)
    const width = Math.max(1, Math.floor(parametersAtMost / columns.length))
    if (page.length > 0)
      await to.transaction(async (sql) => {
        for (let at = 0; at < page.length; at += width) await insert(sql, table, page.slice(at, at + width))
      })
    rows += page.length
    progress({ table: name, doing: 'copied', rows })
    if (page.length < rowsAtOnce) return
    const end = page.at(-1)!
    after = key.map((column) => end[column] as SqlValue)
  }
}

async function insert(sql: Sql, { name, columns }: Table, rows: readonly Row[]): Promise<void> {
  const marks = `(${columns.map(() => '?').join(', ')})`
  await sql.run(
    `INSERT INTO ${name} (${columns.join(', ')}) VALUES ${rows.map(() => marks).join(', ')}`,
    ...rows.flatMap((row) => columns.map((column) => row[column] as SqlValue)),
  )
}

/** Rows after a key, in the order of keys. */
async function pageOf(sql: Sql, { name, columns, key }: Table, after: SqlValue[] | undefined): Promise<Row[]> {
  const keys = key.join(', ')
  const where = after ? `WHERE (${keys}) > (${key.map(() => '?').join(', ')})` : ''
  return sql.all(
    `SELECT ${columns.join(', ')} FROM ${name} ${where} ORDER BY ${keys} LIMIT ${rowsAtOnce}`,
    ...(after ?? []),
  )
}

async function firstDifference(
  { from, to, progress }: MoveOptions,
  tables: readonly Table[],
): Promise<string | undefined> {
  for (const table of tables) {
    const { name, columns, key } = table
    let after: SqlValue[] | undefined
    for (let rows = 0; ; ) {
      const [here, there] = await Promise.all([pageOf(from, table, after), pageOf(to, table, after)])
      for (let i = 0; i < Math.max(here.length, there.length); i++)
        if (!columns.every((column) => sameValue(here[i]?.[column], there[i]?.[column])))
          return `row ${rows + i + 1} of ${name}`
      rows += here.length
      progress({ table: name, doing: 'compared', rows })
      if (here.length < rowsAtOnce) break
      const end = here.at(-1)!
      after = key.map((column) => end[column] as SqlValue)
    }
  }
  return undefined
}

function sameValue(one: SqlValue | undefined, other: SqlValue | undefined): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0
  return one === other
}

/** Triggers act again and numbers go on; from now on it may be used. */
async function finish(to: Database, tables: readonly Table[]): Promise<void> {
  await to.transaction(async (sql) => {
    for (const { name, counter } of tables) {
      await sql.script(`ALTER TABLE ${name} ENABLE TRIGGER USER`)
      if (counter && counter.last > 0)
        await sql.all(
          'SELECT setval(pg_get_serial_sequence(?, ?), ?) WHERE pg_get_serial_sequence(?, ?) IS NOT NULL',
          name,
          counter.column,
          counter.last,
          name,
          counter.column,
        )
    }
    await sql.run("UPDATE store_move SET state = 'done' WHERE id = 1")
  })
}

async function countOf(sql: Sql, table: string): Promise<number> {
  return (await sql.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`))!.n
}
