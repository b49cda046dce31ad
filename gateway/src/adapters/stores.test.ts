import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { storeHealth } from '../host/store-health.ts'
import { siteKeyFile } from '../site-folder.ts'
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
