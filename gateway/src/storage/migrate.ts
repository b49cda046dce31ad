/**
 * Forward-only migrations (ARCHITECTURE §3). Each runs in one transaction with the row that says it ran, so a crash
 * leaves it done or not begun; the database is copied beside itself first; one written by a newer release is refused.
 */
import { InternalError, Problem } from '@azukari/protocol/problem'
import { type Database, DatabaseProblem, type Transaction } from './database.ts'

export interface Migration {
  /** 1, 2, 3, … without gaps; never changed once released. */
  number: number
  name: string
  up: string | ((sql: Transaction) => Promise<void>)
}

export interface MigrationSet {
  /** Whose tables: a service, or the machinery that it stands on. */
  set: string
  migrations: readonly Migration[]
}

/** Brings a database to this release. @throws {Problem} `database.newer`, `storage.*`: `storage.held` while others work in it */
export async function migrate(database: Database, sets: readonly MigrationSet[], nowMs: number): Promise<void> {
  await database.script(
    'CREATE TABLE IF NOT EXISTS migrations (set_name TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (set_name, number)) WITHOUT ROWID',
  )
  const rows = await database.all<{ set_name: string; number: number }>(
    'SELECT set_name, max(number) AS number FROM migrations GROUP BY set_name',
  )
  const applied = new Map(rows.map((row) => [row.set_name, row.number]))
  for (const { set, migrations } of sets) {
    checkNumbers(set, migrations)
    const at = applied.get(set) ?? 0
    if (at > migrations.length)
      throw new Problem('database.newer', `${set} is at ${at}, this release knows ${migrations.length}`)
  }
  const pending = sets.flatMap(({ set, migrations }) =>
    migrations.slice(applied.get(set) ?? 0).map((migration) => ({ set, migration })),
  )
  const first = pending[0]
  if (first && database.isShared)
    throw new DatabaseProblem('storage.held', `processes of an older release run: stop all, then start the new release`)
  if (first && applied.size > 0) await database.backup(`before-${first.set}-${first.migration.number}`)
  for (const { set, migration } of pending) {
    await database.transaction(async (sql) => {
      if (typeof migration.up === 'string') await sql.script(migration.up)
      else await migration.up(sql)
      await sql.run(
        'INSERT INTO migrations (set_name, number, name, at) VALUES (?, ?, ?, ?)',
        set,
        migration.number,
        migration.name,
        nowMs,
      )
    })
  }
}

function checkNumbers(set: string, migrations: readonly Migration[]): void {
  const wrong = migrations.findIndex((migration, i) => migration.number !== i + 1)
  if (wrong >= 0) throw new InternalError(`migration ${wrong + 1} of ${set} bears another number`)
}
