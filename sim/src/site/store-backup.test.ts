import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Stores, storeFile } from '@azukari/gateway/adapters/stores'
import { hostMigrations } from '@azukari/gateway/service/tables'
import { settlementMigrations } from '@azukari/gateway/services/settlement/migrations'
import { siteKeyFile } from '@azukari/gateway/site-folder'
import { isFollowed } from '@azukari/gateway/storage/database'
import { migrate } from '@azukari/gateway/storage/migrate'
import { putOnPostgres } from '@azukari/gateway/test-database'
import t, { type Test } from 'tap'
import { postgresPrograms } from '../testkit/postgres.ts'

/** Backup and restore as docs/operators.md says, while the service goes on. */

const path = 'settlement/settlement.db'
const sets = [hostMigrations, { set: 'settlement', migrations: settlementMigrations }]
const programs = postgresPrograms()

function folderFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-backup-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'settlement'))
  writeFileSync(join(folder, siteKeyFile), 'a key')
  return folder
}

/** A busy service: two rows that belong together in each transaction, until it is stopped. */
async function busy(t: Test, folder: string) {
  const database = await Stores.of(folder).openAlone(path)
  await migrate(database, sets, 1)
  let running = true
  let written = 0
  const work = (async () => {
    // On SQLite a transaction ends before the event loop turns: others must have their turn, too.
    for (; running; written++, await new Promise((resolve) => setImmediate(resolve)))
      await database.transaction(async (sql) => {
        await sql.run("INSERT INTO operations (at, clerk, what, detail) VALUES (?, 'c', 'one', '')", written)
        await sql.run("INSERT INTO operations (at, clerk, what, detail) VALUES (?, 'c', 'two', '')", written)
      })
  })()
  const until = async (n: number) => {
    while (written < n) await new Promise((resolve) => setImmediate(resolve))
  }
  t.teardown(async () => {
    running = false
    await work
    await database.close()
  })
  await until(20)
  return { database, written: () => written, until }
}

async function checkRestored(t: Test, folder: string, atLeast: number): Promise<void> {
  const restored = await Stores.of(folder).openAlone(path)
  await migrate(restored, sets, 2)
  const pairs = await restored.all<{ n: number }>('SELECT count(*) AS n FROM operations GROUP BY at')
  t.ok(pairs.length >= atLeast, `${pairs.length} of at least ${atLeast} transactions`)
  t.ok(
    pairs.every(({ n }) => n === 2),
    'each of them whole',
  )
  await t.rejects(restored.run('DELETE FROM operations'), /does not change/)
  const before = (await restored.get<{ n: number }>('SELECT max(n) AS n FROM operations'))!.n
  await restored.run("INSERT INTO operations (at, clerk, what, detail) VALUES (1, 'c', 'more', '')")
  t.equal((await restored.get<{ n: number }>('SELECT max(n) AS n FROM operations'))!.n, before + 1)
  await restored.close()
}

t.test('P9 D4 SQLite: a copy made while money moves is of one moment, and a site starts on it', async (t) => {
  const folder = folderFor(t)
  const { database, written, until } = await busy(t, folder)
  const atLeast = written()
  const elsewhere = folderFor(t)
  if (isFollowed(database)) await database.copyTo(join(elsewhere, 'copy.db'))
  await until(written() + 5)
  copyFileSync(join(elsewhere, 'copy.db'), join(elsewhere, path))
  await checkRestored(t, elsewhere, atLeast)
})

t.test(
  'P9 D4 PostgreSQL: pg_dump while money moves, pg_restore into another database, and a site starts on it',
  {
    skip: process.env['AZUKARI_TEST_POSTGRES'] && programs ? false : 'no PostgreSQL here; npm test starts one',
  },
  async (t) => {
    const folder = folderFor(t)
    const url = await putOnPostgres(folder)
    const { written, until } = await busy(t, folder)
    const atLeast = written()
    const dump = join(folder, 'site.dump')
    const run = (program: string, ...words: string[]) =>
      execFileSync(join(programs!, program), words, { stdio: 'pipe' })
    run('pg_dump', '--format=custom', '--no-owner', `--file=${dump}`, url)
    await until(written() + 5)
    const elsewhere = folderFor(t)
    const other = await putOnPostgres(elsewhere)
    run('pg_restore', '--exit-on-error', '--single-transaction', '--no-owner', `--dbname=${other}`, dump)
    t.match(readFileSync(join(elsewhere, storeFile), 'utf8'), /postgres/)
    await checkRestored(t, elsewhere, atLeast)
  },
)
