import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import t, { type Test } from 'tap'
import { openDatabase } from '../adapters/database.ts'
import { Stores, storeFile } from '../adapters/stores.ts'
import { hostMigrations } from '../service/tables.ts'
import { settlementMigrations } from '../services/settlement/migrations.ts'
import { siteKeyFile } from '../site-folder.ts'
import type { Database } from '../storage/database.ts'
import { migrate } from '../storage/migrate.ts'
import { putOnPostgres } from '../test-database.ts'

const skip = process.env['AZUKARI_TEST_POSTGRES'] ? false : 'no PostgreSQL here; npm test starts one'
const cli = resolve(import.meta.dirname, '../cli.ts')
const path = 'settlement/settlement.db'
const bare = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('TAP') && name !== 'NODE_OPTIONS'),
)

/** A stopped site with settlement on SQLite, and a database on the server that it may move to. */
async function stoppedSite(t: Test, rows: number) {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-move-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, siteKeyFile), 'a key')
  mkdirSync(join(folder, 'settlement'))
  await putOnPostgres(folder)
  const { url } = JSON.parse(readFileSync(join(folder, storeFile), 'utf8')) as { url: string }
  rmSync(join(folder, storeFile))
  const database = openDatabase(join(folder, path))
  await migrate(database, [hostMigrations, { set: 'settlement', migrations: settlementMigrations }], 1)
  await database.transaction(async (sql) => {
    for (let i = 1; i <= rows; i++) {
      await sql.run('INSERT INTO operations (at, clerk, what, detail) VALUES (?, ?, ?, ?)', i, 'あ', `w${i}`, "it's")
      await sql.run(
        'INSERT INTO inbox (device, stream, seq, act, hash, at, reply) VALUES (?, ?, ?, ?, ?, ?, ?)',
        `d${i % 7}`,
        Buffer.alloc(16, i % 7),
        i,
        Buffer.alloc(16, i & 255),
        Buffer.alloc(32),
        2 ** 45 + i,
        Buffer.from([0, i & 255]),
      )
    }
    await sql.run("INSERT INTO events (at, device, id, contract, at_ms, body) VALUES (900, 'd', x'01', 'c', 1, x'')")
    await sql.run('DELETE FROM events')
  })
  await database.close()
  const words = [
    'store',
    'move',
    '--folder',
    folder,
    '--url',
    url,
    '--password-file',
    join(folder, 'postgres-password'),
  ]
  return { folder, words, url }
}

function start(words: string[]): { child: ChildProcess; said: string[]; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [cli, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env: bare })
  const said: string[] = []
  createInterface(child.stderr!).on('line', (line) => said.push(line))
  createInterface(child.stdout!).on('line', (line) => said.push(line))
  return { child, said, ended: once(child, 'close').then(([code]) => code as number | null) }
}

async function rowsOf(database: Database, table: string) {
  return database.all(`SELECT * FROM ${table} ORDER BY 1, 2, 3`)
}

t.test('D4: a site moves to PostgreSQL, killed as often as may be, and every row is the same', { skip }, async (t) => {
  const { folder, words } = await stoppedSite(t, 1_500)
  // Killed when it has told so many lines, each time one more: at the start, within a table, while it compares.
  for (const lines of [1, 4, 12]) {
    const { child, said, ended } = start(words)
    await new Promise<void>((resolve) => {
      child.stderr!.on('data', () => said.length >= lines && resolve())
      child.once('close', () => resolve())
    })
    child.kill('SIGKILL')
    await ended
  }
  t.notOk(existsSync(join(folder, storeFile)), 'nothing says that it has moved')
  const { said, ended } = start([...words, '--json'])
  t.equal(await ended, 0, said.join('\n'))
  const { moved } = JSON.parse(said.filter((line) => !line.startsWith(path)).join('\n')) as {
    moved: Record<string, { rows: number; again: boolean }>
  }
  t.equal(moved[path]?.again, false, 'it went on where it was')
  t.notOk(existsSync(join(folder, path)))

  const file = openDatabase(join(folder, `${path}.moved`))
  const there = await Stores.of(folder).openAlone(path)
  t.teardown(async () => {
    await file.close()
    await there.close()
  })
  for (const table of ['operations', 'inbox', 'ledger_postings', 'centre_self'])
    t.same(await rowsOf(there, table), await rowsOf(file, table), table)
  await t.rejects(there.run("UPDATE operations SET clerk = 'x'"), /does not change/, 'triggers act again')
  await there.run("INSERT INTO events (device, id, contract, at_ms, body) VALUES ('d', x'02', 'c', 1, x'')")
  t.same(await there.all('SELECT at FROM events'), [{ at: 901 }], 'no number is given twice')
  const again = start(words)
  t.equal(await again.ended, 0)
  t.match(again.said.join('\n'), /nothing lies in files/)
})

t.test('D4: a running site is not moved; one that ran between two tries is copied anew', { skip }, async (t) => {
  const { folder, words } = await stoppedSite(t, 300)
  {
    using _ = holdFolder(`${folder}/settlement-primary.lock`)
    const { said, ended } = start(words)
    t.equal(await ended, 1)
    t.match(said.join('\n'), /Another process works in this folder/)
  }
  const first = start(words)
  await new Promise<void>((resolve) => first.child.stderr!.on('data', () => first.said.length >= 40 && resolve()))
  first.child.kill('SIGKILL')
  await first.ended
  const database = openDatabase(join(folder, path))
  await database.run("UPDATE inbox SET reply = x'ff' WHERE seq = 1")
  await database.close()
  const { said, ended } = start([...words, '--json'])
  t.equal(await ended, 0, said.join('\n'))
  const there = await Stores.of(folder).openAlone(path)
  t.teardown(() => there.close())
  t.same(
    Buffer.from((await there.get<{ reply: Uint8Array }>('SELECT reply FROM inbox WHERE seq = 1'))!.reply),
    Buffer.from([0xff]),
  )
  const other = start([...words.slice(0, 4), '--url', 'postgres://me@localhost/other'])
  t.equal(await other.ended, 1)
  t.match(other.said.join('\n'), /another server/)
})
