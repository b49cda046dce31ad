/** Databases for tests on both engines. PostgreSQL is there when AZUKARI_TEST_POSTGRES names a server (`npm test` starts one). */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { InternalError } from '@azukari/protocol/problem'
import pg from 'pg'
import { memoryDatabase } from './adapters/database.ts'
import { openPostgres } from './adapters/postgres.ts'
import { storeFile } from './adapters/stores.ts'
import type { Database } from './storage/database.ts'

/** Makes an empty database of its own. */
export type OpenTestDatabase = () => Promise<Database>

/** The engines that can be tried here, by name. */
export function testEngines(): Readonly<Record<string, OpenTestDatabase>> {
  const url = process.env['AZUKARI_TEST_POSTGRES']
  return {
    SQLite: async () => memoryDatabase(),
    ...(url && {
      PostgreSQL: () => openPostgres({ url, schema: `t_${randomBytes(8).toString('hex')}`, connections: 4 }),
    }),
  }
}

/** For fixtures: an empty database of the engine that AZUKARI_TEST_ENGINE names; SQLite without it. */
export function testDatabase(): Promise<Database> {
  const name = process.env['AZUKARI_TEST_ENGINE'] ?? 'SQLite'
  const open = testEngines()[name]
  if (!open) throw new InternalError(`${name} cannot be tried here`)
  return open()
}

/** Puts the services of a site on the test server, in a database of their own, by settings in its folder. @returns its URL */
export async function putOnPostgres(folder: string): Promise<string> {
  const url = new URL(process.env['AZUKARI_TEST_POSTGRES'] ?? '')
  const name = `site_${randomBytes(8).toString('hex')}`
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  await client.query(`CREATE DATABASE ${name} TEMPLATE template0`)
  await client.end()
  url.pathname = `/${name}`
  const { password, href } = url
  url.password = ''
  writeFileSync(`${folder}/postgres-password`, decodeURIComponent(password), { mode: 0o600 })
  writeFileSync(
    `${folder}/${storeFile}`,
    JSON.stringify({ url: url.href, passwordFile: `${folder}/postgres-password` }),
  )
  return href
}
