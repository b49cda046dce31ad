import { randomBytes } from 'node:crypto'
import t from 'tap'
import { memoryDatabase } from '../adapters/database.ts'
import { gatewayMigrations } from '../registry/tables.ts'
import { hostMigrations } from '../service/tables.ts'
import { placementMigrations } from '../services/placement/migrations.ts'
import { settlementMigrations } from '../services/settlement/migrations.ts'
import { telemetryMigrations } from '../telemetry/tables.ts'
import { testEngines } from '../test-database.ts'
import type { Database, Transaction } from './database.ts'
import { CommitGroup } from './group.ts'
import { type MigrationSet, migrate } from './migrate.ts'

/** The store's conformance suite: what services rely on, the same on every engine (ARCHITECTURE §5). */

const table = 'CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, blob BLOB, share REAL) STRICT'

for (const [engine, open] of Object.entries(testEngines())) {
  const opened = async (test: { teardown(work: () => unknown): unknown }, script = table): Promise<Database> => {
    const database = await open()
    test.teardown(() => database.close())
    await database.script(script)
    return database
  }
  const put = (sql: Transaction | Database, id: number, name: string) =>
    sql.run('INSERT INTO things (id, name) VALUES (?, ?)', id, name)
  const names = async (database: Database) =>
    (await database.all<{ name: string }>('SELECT name FROM things ORDER BY id')).map(({ name }) => name)

  t.test(`D5 ${engine}: a transaction is done whole or not at all; a savepoint undoes what it did alone`, async (t) => {
    const database = await opened(t)
    t.equal(
      await database.transaction(async (sql) => {
        await put(sql, 1, 'one')
        await t.rejects(
          sql.savepoint(async () => {
            await put(sql, 2, 'two')
            throw new Error('no')
          }),
          /no/,
        )
        await sql.savepoint(() => put(sql, 3, 'three'))
        return 'done'
      }),
      'done',
    )
    t.same(await names(database), ['one', 'three'])
    await t.rejects(
      database.transaction(async (sql) => {
        await put(sql, 4, 'four')
        throw new Error('again')
      }),
      /again/,
    )
    t.same(await names(database), ['one', 'three'])
    let late: Transaction | undefined
    await database.transaction((sql) => {
      late = sql
    })
    await t.rejects(late!.run('DELETE FROM things'), /has ended/)
    t.same(await names(database), ['one', 'three'])
  })

  t.test(`D5 ${engine}: values come back as they went in`, async (t) => {
    const database = await opened(t)
    const blob = new Uint8Array(randomBytes(70_000))
    for (const [id, value] of [
      [Number.MAX_SAFE_INTEGER, 0.1],
      [2 ** 40, -1e300],
      [-5, 1],
    ] as const) {
      await database.run(
        'INSERT INTO things (id, name, blob, share) VALUES (?, ?, ?, ?)',
        id,
        `n${id} ？'"`,
        blob,
        value,
      )
      const row = await database.get<{ id: number; name: string; blob: Uint8Array; share: number }>(
        'SELECT * FROM things WHERE id = ?',
        id,
      )
      t.strictSame([row!.id, row!.name, row!.share], [id, `n${id} ？'"`, value])
      t.ok(Buffer.from(row!.blob).equals(blob))
    }
    const sums = await database.get<{ n: number; total: number; most: number; least: number }>(
      'SELECT count(*) AS n, sum(share) AS total, max(id) AS most, max(0, min(id)) AS least FROM things',
    )
    t.strictSame([sums!.n, sums!.most, sums!.least], [3, Number.MAX_SAFE_INTEGER, 0])
    t.equal(await database.get('SELECT 1 AS there FROM things WHERE name = ?', 'nobody'), undefined)
    await database.run('UPDATE things SET blob = NULL')
    t.same(await database.all('SELECT blob FROM things WHERE blob IS NOT NULL'), [])
    await database.run("UPDATE things SET blob = x''")
    t.equal((await database.get<{ blob: Uint8Array }>('SELECT blob FROM things'))!.blob.length, 0)
  })

  t.test(`D5 ${engine}: text is ordered byte by byte`, async (t) => {
    const database = await opened(t)
    const words = ['b', 'B', 'a', 'あ', 'ä', '10', '9', '']
    for (const [id, word] of words.entries()) await put(database, id, word)
    const rows = await database.all<{ name: string }>('SELECT name FROM things ORDER BY name')
    const expected = words.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    t.same(
      rows.map(({ name }) => name),
      expected,
    )
  })

  t.test(`D5 ${engine}: what is there twice is refused, and the transaction is gone`, async (t) => {
    const database = await opened(t)
    await put(database, 1, 'one')
    await t.rejects(put(database, 2, 'one'))
    t.equal(
      (await database.run('INSERT INTO things (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING', 1, 'x')).changes,
      0,
    )
    t.same(await names(database), ['one'])
  })

  t.test(`D5 ${engine}: of many at once each sees the others whole, and nothing is lost`, async (t) => {
    const database = await opened(t)
    await put(database, 1, '0')
    await Promise.all(
      Array.from({ length: 40 }, () =>
        database.transaction(async (sql) => {
          const { name } = (await sql.get<{ name: string }>('SELECT name FROM things WHERE id = 1'))!
          await sql.run('UPDATE things SET name = ? WHERE id = 1', String(Number(name) + 1))
        }),
      ),
    )
    t.same(await names(database), ['40'])
  })

  t.test(`D5 ${engine}: what shares a commit is settled each by itself`, async (t) => {
    const database = await opened(t)
    const group = new CommitGroup(database, setImmediate)
    await group.flush()
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map((id) =>
        group.run(async (sql) => {
          await put(sql, id, `n${id}`)
          if (id === 2) throw new Error('two')
          return id
        }),
      ),
    )
    t.match(outcomes, [{ value: 1 }, { reason: /two/ }, { value: 3 }])
    t.same(await names(database), ['n1', 'n3'])
    t.equal(await group.run(() => 4), 4, 'also after it had nothing to do')
  })

  const all: readonly (readonly MigrationSet[])[] = [
    [gatewayMigrations, telemetryMigrations],
    [hostMigrations, { set: 'placement', migrations: placementMigrations }],
    [hostMigrations, { set: 'settlement', migrations: settlementMigrations }],
  ]
  t.test(`D5 ${engine}: every migration runs, once, and a newer database is refused`, async (t) => {
    for (const sets of all) {
      const database = await open()
      t.teardown(() => database.close())
      await migrate(database, sets, 1)
      await migrate(database, sets, 2)
      const rows = await database.all<{ at: number }>('SELECT DISTINCT at FROM migrations')
      t.same(rows, [{ at: 1 }], sets.at(-1)!.set)
      await database.run(
        "INSERT INTO migrations (set_name, number, name, at) VALUES (?, 999, 'x', 3)",
        sets.at(-1)!.set,
      )
      await t.rejects(migrate(database, sets, 4), { code: 'database.newer' })
    }
  })

  t.test(`P9 ${engine}: journals and logs do not change`, async (t) => {
    const database = await open()
    t.teardown(() => database.close())
    await migrate(database, all[2]!, 1)
    await database.run("INSERT INTO operations (at, clerk, what, detail) VALUES (1, 'a', 'b', 'c')")
    await t.rejects(database.run("UPDATE operations SET clerk = 'x'"), /does not change/)
    await t.rejects(database.run('DELETE FROM operations'), /does not change/)
    t.equal((await database.all('SELECT * FROM operations')).length, 1)
  })
}

t.test('D5: on SQLite a transaction awaits its statements and nothing else', async (t) => {
  const database = memoryDatabase()
  t.teardown(() => database.close())
  await database.script(table)
  const elsewhere = database.transaction(async (sql) => {
    await sql.run("INSERT INTO things (id, name) VALUES (1, 'half')")
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  })
  const meanwhile = database.all('SELECT * FROM things')
  await t.rejects(elsewhere, /awaited something else/)
  t.same(await meanwhile, [], 'nobody sees its half')
  await t.rejects(
    database.transaction(() => database.transaction(() => 1)),
    /awaited something else/,
    'a transaction inside another waits for itself',
  )
  t.equal(await database.transaction(() => 1), 1, 'and it goes on')
})
