import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { storeHealth } from '../host/store-health.ts'
import { siteKeyFile } from '../site-folder.ts'
import type { Database } from '../storage/database.ts'
import { putOnPostgres } from '../test-database.ts'
import { checkStoreSettings, connectionFrom, movedSuffix, Stores, storeFile } from './stores.ts'

const skip = process.env['AZUKARI_TEST_POSTGRES'] ? false : 'no PostgreSQL here; npm test starts one'

function folderFor(t: Test, key = 'a key'): string {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-stores-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, siteKeyFile), key)
  return folder
}

t.test('D4: settings of PostgreSQL: no password in the URL, nothing unknown, TLS beyond this machine', async (t) => {
  for (const url of [
    'postgres://me:secret@db/site',
    'mysql://me@db/site',
    'postgres://db/site',
    'postgres://me@db',
    'postgres://me@db/site?sslmode=disable',
  ])
    t.throws(() => checkStoreSettings({ url }), { code: 'config.invalid' }, url)
  t.throws(() => checkStoreSettings({ url: 'postgres://me@db/site', password: 'x' }), { code: 'config.invalid' })
  t.equal(connectionFrom({ url: 'postgres://me@localhost/site' }).tls, undefined)
  t.equal(connectionFrom({ url: 'postgres://me@127.0.0.1:5433/site' }).tls, undefined)
  t.equal(connectionFrom({ url: 'postgres://me@localhost/site?host=/run/postgresql' }).tls, undefined)
  t.same(connectionFrom({ url: 'postgres://me@db.example/site' }).tls, { ca: undefined }, 'the system’s authorities')
  t.throws(() => connectionFrom({ url: 'postgres://me@db.example/site', ca: '/absent.pem' }), {
    code: 'config.invalid',
  })
  t.throws(() => connectionFrom({ url: 'postgres://me@db/site', passwordFile: '/absent' }).password(), {
    code: 'config.invalid',
  })
})

t.test('D4: what lies on the other engine is not left behind', async (t) => {
  const folder = folderFor(t)
  const stores = Stores.of(folder)
  await stores.open('toy.db')
  await stores.close()
  writeFileSync(join(folder, storeFile), JSON.stringify({ url: 'postgres://me@localhost/site' }))
  await t.rejects(Stores.of(folder).open('toy.db'), { code: 'config.invalid', message: /still a file/ })
  rmSync(join(folder, storeFile))
  rmSync(join(folder, 'toy.db'))
  writeFileSync(join(folder, `toy.db${movedSuffix}`), '')
  await t.rejects(Stores.of(folder).open('toy.db'), { code: 'config.invalid', message: /was moved/ })
  writeFileSync(join(folder, storeFile), '{')
  t.throws(() => Stores.of(folder), { code: 'config.invalid' })
})

t.test('D4: a server that does not answer is a problem, and the password is in none', async (t) => {
  const folder = folderFor(t)
  writeFileSync(join(folder, 'password'), 'hunter2')
  const passwordFile = join(folder, 'password')
  writeFileSync(join(folder, storeFile), JSON.stringify({ url: 'postgres://me@127.0.0.1:1/site', passwordFile }))
  const failure = await Stores.of(folder)
    .open('toy.db')
    .then(
      () => undefined,
      (error: Error) => error,
    )
  t.match(failure, { code: 'storage.unreachable', retry: 'later' })
  t.notMatch(JSON.stringify(failure) + failure?.stack, /hunter2/)
})

t.test('D4 D6: a schema is one site’s; its pool and conflicts are told', { skip }, async (t) => {
  const folder = folderFor(t)
  await putOnPostgres(folder)
  const stores = Stores.of(folder)
  t.teardown(() => stores.close())
  const database = await stores.open('toy/toy.db')
  t.match(await storeHealth(stores).facts?.(), { toyStore: { engine: 'postgres', waiting: 0, conflicts: 0 } })
  const registry = new Registry()
  storeHealth(stores).metrics?.(registry)
  t.match(await registry.metrics(), /azukari_toy_store_connections 1\n/)
  t.match(await registry.metrics(), /azukari_toy_store_total\{what="conflicts"\} 0\n/)
  t.equal(database.engine, 'postgres')

  const other = folderFor(t, 'another key')
  for (const name of [storeFile, 'postgres-password'])
    writeFileSync(join(other, name), readFileSync(join(folder, name)))
  await t.rejects(Stores.of(other).open('toy/toy.db'), { code: 'config.invalid', message: /another site/ })
  rmSync(join(other, siteKeyFile))
  await t.rejects(Stores.of(other).open('toy/toy.db'), { code: 'config.invalid', message: /site.pub/ })
})

t.test(
  'D5: a schema is one process’s: a second is refused, one that was followed writes nothing more',
  { skip },
  async (t) => {
    const folder = folderFor(t)
    const url = await putOnPostgres(folder)
    const first = Stores.of(folder)
    t.teardown(() => first.close())
    const database = await first.open('toy/toy.db')
    await database.script('CREATE TABLE toys (id INTEGER NOT NULL PRIMARY KEY)')
    const second = Stores.of(folder)
    await t.rejects(second.open('toy/toy.db'), { code: 'storage.held' })
    await second.close()
    await database.run('INSERT INTO toys (id) VALUES (1)')

    // The lines of the first break, and before it is back another process begins.
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    t.teardown(() => admin.end())
    const third = Stores.of(folder)
    t.teardown(() => third.close())
    let followed: Database | undefined
    while (!followed) {
      await admin.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      )
      followed = await third.open('toy/toy.db').catch(async (error: { code: string }) => {
        t.match(error.code, /^storage\.(held|unreachable)$/)
        await third.close()
        return undefined
      })
    }
    for (const late of [
      () => database.run('INSERT INTO toys (id) VALUES (2)'),
      () => database.transaction((sql) => sql.run('INSERT INTO toys (id) VALUES (3)')),
    ])
      await t.rejects(late(), { code: 'storage.held' })
    await followed.run('INSERT INTO toys (id) VALUES (4)')
    t.same(await followed.all('SELECT id FROM toys ORDER BY id'), [{ id: 1 }, { id: 4 }])
    await third.close()

    const fourth = Stores.of(folder)
    t.teardown(() => fourth.close())
    await fourth.open('toy/toy.db')
    t.pass('what was closed is held no more')
  },
)

t.test('D5: whoever lost the line and was not followed holds the schema again', { skip }, async (t) => {
  const folder = folderFor(t)
  const url = await putOnPostgres(folder)
  const stores = Stores.of(folder)
  t.teardown(() => stores.close())
  const database = await stores.open('toy/toy.db')
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  t.teardown(() => admin.end())
  await admin.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
  const locks = `SELECT count(*)::int AS n FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()`
  while ((await admin.query(locks)).rows[0].n === 0) await setTimeout(20)
  await t.rejects(Stores.of(folder).open('toy/toy.db'), { code: 'storage.held' })
  await database.script('CREATE TABLE toys (id INTEGER NOT NULL PRIMARY KEY)')
})
