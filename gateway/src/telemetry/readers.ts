/**
 * Readers (D6): credentials with which a program of the operator's, such as Home Assistant, may read telemetry from the
 * embedded broker and do nothing else. The password is made here, shown once, and 160 bits of chance, so its hash needs
 * no stretching.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { base32 } from '@azukari/protocol/base32'
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { slugPattern } from '@azukari/protocol/topics'
import type { Database } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { TelemetryTables } from './tables.ts'

const maxReaders = 64
const secretBytes = 20
/** User names that mean something else in CONNECT. */
const taken: ReadonlySet<string> = new Set(['device', 'claim'])

const query = queries<TelemetryTables>()
const byName = query<{ name: string }>()((db, p) => db.selectFrom('readers').selectAll().where('name', '=', p.name))
const all = query<Record<never, never>>()((db) => db.selectFrom('readers').selectAll().orderBy('name'))
const insert = query<TelemetryTables['readers']>()((db, p) =>
  db.insertInto('readers').values({ name: p.name, verifier: p.verifier, made_ms: p.made_ms }),
)
const drop = query<{ name: string }>()((db, p) => db.deleteFrom('readers').where('name', '=', p.name))

export class Readers {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Makes a reader and returns its password, which is shown once. @throws {Problem} `config.invalid` */
  async make(name: string, { clock, random }: { clock: Clock; random: Random }): Promise<string> {
    if (!slugPattern.test(name) || taken.has(name))
      throw new Problem(
        'config.invalid',
        `a reader’s name has a–z, digits and hyphens, and is not ${[...taken].join(' or ')}`,
      )
    if (await byName.get(this.#database, { name }))
      throw new Problem('config.invalid', `there is a reader ${name} already`)
    if ((await this.list()).length >= maxReaders)
      throw new Problem('config.invalid', `a site has at most ${maxReaders} readers`)
    const password = base32(random.bytes(secretBytes))
    await insert.run(this.#database, { name, verifier: verifierOf(name, password), made_ms: clock.now() })
    return password
  }

  async list(): Promise<{ name: string; madeMs: number }[]> {
    return (await all.all(this.#database, {})).map((row) => ({ name: row.name, madeMs: row.made_ms }))
  }

  /** @throws {Problem} `config.invalid` when there is none of this name */
  async remove(name: string): Promise<void> {
    if ((await drop.run(this.#database, { name })).changes === 0)
      throw new Problem('config.invalid', `there is no reader ${name}`)
  }

  async has(name: string): Promise<boolean> {
    return (await byName.get(this.#database, { name })) !== undefined
  }

  /** @throws {Problem} `message.unauthorised` */
  async check(name: string, password: Uint8Array): Promise<void> {
    const row = slugPattern.test(name) ? await byName.get(this.#database, { name }) : undefined
    if (!row || !timingSafeEqual(row.verifier, verifierOf(name, new TextDecoder().decode(password))))
      throw new Problem('message.unauthorised', 'no such reader, or another password')
  }
}

function verifierOf(name: string, password: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`azukari/reader/1\0${name}\0${password}`).digest())
}
