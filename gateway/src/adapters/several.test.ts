/** Several processes of one service in one schema (docs/decisions/0034), each here by a `Stores` of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { onDuty } from '../service/work-store.ts'
import { siteKeyFile } from '../site-folder.ts'
import { migrate } from '../storage/migrate.ts'
import { putOnPostgres } from '../test-database.ts'
import type { PostgresDatabase } from './postgres.ts'
import { Stores } from './stores.ts'

const skip = process.env['AZUKARI_TEST_POSTGRES'] ? false : 'no PostgreSQL here; npm test starts one'
const path = 'toy/toy.db'

interface Site {
  url: string
  /** Opens the database as another process would. */
  open(isOneOfSeveral?: boolean, waitMs?: number): Promise<PostgresDatabase>
}

async function siteFor(t: Test): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-several-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, siteKeyFile), 'a key')
  const url = await putOnPostgres(folder)
  return {
    url,
    open: async (isOneOfSeveral = true, waitMs) => {
      const database = await Stores.of(folder).openOwnSchema(path)
      t.teardown(() => database.close())
      await (isOneOfSeveral ? database.join(waitMs) : database.hold())
      return database
    },
  }
}

const toys = [
  { set: 'toy', migrations: [{ number: 1, name: 'toys', up: 'CREATE TABLE toys (id INTEGER PRIMARY KEY)' }] },
]

async function until(what: string, so: () => boolean | Promise<boolean>): Promise<void> {
  for (const untilMs = performance.now() + 30_000; !(await so()); await setTimeout(20))
    if (performance.now() > untilMs) throw new Error(`not in time: ${what}`)
}

t.test('D4 D5: processes that share wait for the first one to migrate, and then all work', { skip }, async (t) => {
  const site = await siteFor(t)
  const first = await site.open()
  t.equal(first.isShared, false, 'alone while it migrates')
  let isIn = false
  const second = site.open().then((database) => {
    isIn = true
    return database
  })
  await migrate(first, toys, 1)
  t.equal(isIn, false)
  await first.share()
  const other = await second
  t.equal(other.isShared, true)
  await migrate(other, toys, 1)
  await other.share()
  await Promise.all([
    first.run('INSERT INTO toys (id) VALUES (1)'),
    other.transaction((sql) => sql.run('INSERT INTO toys (id) VALUES (2)')),
  ])
  t.same(await other.all('SELECT id FROM toys ORDER BY id'), [{ id: 1 }, { id: 2 }])

  const newer = [{ set: 'toy', migrations: [...toys[0]!.migrations, { number: 2, name: 'more', up: 'SELECT 1' }] }]
  await t.rejects(migrate(other, newer, 1), { code: 'storage.held', message: /older release/ })
  await t.rejects(site.open(false), { code: 'storage.held' }, 'nobody has it alone')
  await first.close()
  await t.rejects(site.open(false), { code: 'storage.held' })
  await other.close()
  await site.open(false)
  t.pass('when all have gone it is free')
})

t.test('D5: who shares waits for one that does not, and not for ever', { skip }, async (t) => {
  const site = await siteFor(t)
  const alone = await site.open(false)
  const refused = await site.open(true, 1_000).then(
    () => undefined,
    (error: { code: string }) => error,
  )
  t.match(refused, { code: 'storage.held' })
  await alone.close()
})

t.test('D5: one that was cut off while somebody had the schema alone writes nothing more', { skip }, async (t) => {
  const site = await siteFor(t)
  const first = await site.open()
  await migrate(first, toys, 1)
  await first.share()
  const admin = new pg.Client({ connectionString: site.url })
  await admin.connect()
  t.teardown(() => admin.end())
  let alone: PostgresDatabase | undefined
  while (!alone) {
    await admin.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    )
    alone = await site.open(false).catch((error: { code: string }) => {
      t.match(error.code, /^storage\.(held|unreachable)$/)
      return undefined
    })
  }
  await alone.close()
  const second = await site.open()
  await second.share()
  await t.rejects(first.run('INSERT INTO toys (id) VALUES (1)'), { code: 'storage.held' })
  await second.run('INSERT INTO toys (id) VALUES (2)')
  await until('the second does the slow work', () => second.duty!.isHeld)
})

t.test(
  'D5 S17: slow work is one process’s at a time; another takes over and the first commits nothing more',
  { skip },
  async (t) => {
    const site = await siteFor(t)
    const first = await site.open()
    await migrate(first, toys, 1)
    await first.share()
    await until('the first has it', () => first.duty!.isHeld)
    const second = await site.open()
    await second.share()
    t.equal(second.duty!.isHeld, false)
    const work = (database: PostgresDatabase, id: number) =>
      onDuty(
        {
          sql: database,
          transaction: (does) => database.transaction((sql) => does({ sql } as never)),
          commit: (does) => database.transaction((sql) => does({ sql } as never)),
        },
        database.duty!,
      ).sql.run('INSERT INTO toys (id) VALUES (?)', id)
    await work(first, 1)
    await t.rejects(work(second, 2), { code: 'storage.held' })

    let called = 0
    first.duty!.onCall(() => called++)
    second.duty!.call()
    await until('the first hears the call', () => called > 0)

    // As if the first had slept through its lease.
    await second.run(`UPDATE store_lease SET until = 0, holder = 'gone'`)
    await t.rejects(work(first, 3), { code: 'storage.held' }, 'though it does not know yet')
    let holder: PostgresDatabase | undefined
    await until('one of them works again', async () => {
      for (const [id, database] of [first, second].entries())
        await work(database, 4 + id).then(
          () => {
            holder = database
          },
          (error: unknown) => t.match(error, { code: 'storage.held' }),
        )
      return holder !== undefined
    })
    t.match(await first.get('SELECT epoch FROM store_lease'), { epoch: 2 }, 'under a new epoch')
    const other = holder === first ? second : first
    await holder!.close()
    const left = (await other.get<{ epoch: number; until: number }>('SELECT epoch, until FROM store_lease'))!
    t.ok(left.until === 0 || left.epoch === 3, 'given back at once, not when the lease has run out')
    await until('the other has it', () => other.duty!.isHeld)
    await work(other, 6)
    t.equal((await other.get<{ n: number }>('SELECT count(*) AS n FROM toys WHERE id IN (2, 3)'))!.n, 0)
  },
)

t.test('D4: a long transaction is not starved by short ones of another process', { skip }, async (t) => {
  const site = await siteFor(t)
  const first = await site.open()
  await first.script('CREATE TABLE sums (id INTEGER NOT NULL PRIMARY KEY, value INTEGER NOT NULL)')
  await first.run('INSERT INTO sums (id, value) VALUES (1, 0)')
  await first.share()
  const second = await site.open()
  await second.share()
  let isDone = false
  let short = 0
  const storm = async () => {
    while (!isDone) {
      await second.transaction((sql) => sql.run('UPDATE sums SET value = value + 1 WHERE id = 1'))
      short++
    }
  }
  const storming = [storm(), storm()]
  let tries = 0
  await first.transaction(async (sql) => {
    tries++
    const { value } = (await sql.get<{ value: number }>('SELECT value FROM sums WHERE id = 1'))!
    await setTimeout(60)
    await sql.run('UPDATE sums SET value = ? WHERE id = 1', value + 1_000_000)
  })
  isDone = true
  await Promise.all(storming)
  t.ok(tries <= 10, `${tries} tries beside ${short} short ones`)
  t.equal((await first.get<{ value: number }>('SELECT value FROM sums WHERE id = 1'))!.value, short + 1_000_000)
})

t.test('D4 D5: a conflict on every transaction ends as a problem that a later try may mend', { skip }, async (t) => {
  const site = await siteFor(t)
  const database = await site.open()
  await migrate(database, toys, 1)
  await database.share()
  await database.script('CREATE TABLE tries (id INTEGER NOT NULL PRIMARY KEY)')
  // PostgreSQL itself says so each time, as it would of a conflict that never ends.
  const admin = new pg.Client({ connectionString: site.url })
  await admin.connect()
  t.teardown(() => admin.end())
  await admin.query(`CREATE FUNCTION toy.always() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$`)
  await admin.query('CREATE TRIGGER always BEFORE INSERT ON toy.toys FOR EACH ROW EXECUTE FUNCTION toy.always()')
  let tries = 0
  const work = database.transaction(async (sql) => {
    tries++
    await sql.run('INSERT INTO toys (id) VALUES (1)')
  })
  await t.rejects(work, { code: 'service.busy', retry: 'later', message: /conflicts/ })
  t.equal(tries, 60)
  await admin.query('DROP TRIGGER always ON toy.toys')
  await database.run('INSERT INTO toys (id) VALUES (1)')
})
