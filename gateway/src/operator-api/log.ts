/**
 * The log of every operator's act: append-only, each entry chained to the one before by its hash. The head is signed with
 * the site's key in a file beside the database, so that entries cut off at the end are missed.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Count, checker, Hash, Type } from '@azukari/protocol/contract'
import { sign1, signerOf, verify1 } from '@azukari/protocol/cose'
import { publicOf } from '@azukari/protocol/keys'
import type { SiteFolder } from '../site-folder.ts'
import type { Database, Sql } from '../storage/database.ts'
import { insertRow } from '../storage/insert.ts'

const headFile = 'operator-log.head'
const domain = new TextEncoder().encode('azukari/operator-log-head/1')
const checkHead = checker(Type.Object({ id: Count, hash: Hash }), headFile)
const nothing = new Uint8Array(32)

export interface LogEntry {
  operator: string
  /** The session, as the hash of its token; of no bytes before there is one. */
  session: Uint8Array
  command: string
  /** Of the command, its values and files. */
  digest: Uint8Array
  /** `done`, `pending`, or the code of the problem. */
  outcome: string
}

interface Row extends LogEntry {
  id: number
  at_ms: number
  hash: Uint8Array
}

export class OperatorLog {
  readonly #database: Database
  readonly #folder: SiteFolder
  readonly #key: KeyObject
  /** Heads are written one after another. */
  #written: Promise<void> = Promise.resolve()

  constructor(database: Database, folder: SiteFolder, key: KeyObject) {
    this.#database = database
    this.#folder = folder
    this.#key = key
  }

  /** Adds an entry; it is durable, and so is the signed head, when this resolves. */
  async add(entry: LogEntry, nowMs: number): Promise<void> {
    const head = await this.#database.transaction(async (sql) => {
      const last = await lastOf(sql)
      const row = { id: (last?.id ?? 0) + 1, at_ms: nowMs, ...entry }
      const hash = hashOf(last?.hash ?? nothing, row)
      await insertRow(sql, 'operator_log', { ...row, hash })
      return { id: row.id, hash }
    })
    const write = this.#written.then(() => this.#writeHead(head))
    this.#written = write.catch(() => undefined)
    await write
  }

  /** The latest entries, the newest first. */
  async latest(limit: number): Promise<Row[]> {
    return this.#database.all<Row>('SELECT * FROM operator_log ORDER BY id DESC LIMIT ?', limit)
  }

  /** What is wrong with the log, in words; nothing when it is whole. */
  async check(): Promise<string[]> {
    const found: string[] = []
    const signed = await this.#readHead().catch(() => undefined)
    let before: { id: number; hash: Uint8Array } = { id: 0, hash: nothing }
    for (;;) {
      const rows = await this.#database.all<Row>(
        'SELECT * FROM operator_log WHERE id > ? ORDER BY id LIMIT 500',
        before.id,
      )
      for (const row of rows) {
        if (row.id !== before.id + 1) found.push(`entries ${before.id + 1} to ${row.id - 1} are gone`)
        else if (!same(hashOf(before.hash, row), row.hash)) found.push(`entry ${row.id} was changed`)
        if (signed?.id === row.id && !same(signed.hash, row.hash)) found.push(`entry ${row.id} is not the one signed`)
        before = { id: row.id, hash: row.hash }
      }
      if (rows.length === 0) break
    }
    if (!signed) {
      if (before.id > 0) found.push(`${headFile} is gone or not signed by this site`)
    } else if (signed.id > before.id) found.push(`entries ${before.id + 1} to ${signed.id} are gone`)
    return found
  }

  async #writeHead(head: { id: number; hash: Uint8Array }): Promise<void> {
    await this.#folder.write(headFile, sign1(encodeDeterministic(head), signerOf(this.#key), domain))
  }

  /** Undefined before the first entry. @throws {Problem} `cose.*`, `cbor.*` */
  async #readHead(): Promise<{ id: number; hash: Uint8Array } | undefined> {
    const bytes = await this.#folder.read(headFile)
    return bytes && checkHead(decode(verify1(bytes, () => publicOf(this.#key), domain).payload))
  }
}

async function lastOf(sql: Sql): Promise<Row | undefined> {
  return sql.get<Row>('SELECT * FROM operator_log ORDER BY id DESC LIMIT 1')
}

function hashOf(before: Uint8Array, { id, at_ms, operator, session, command, digest, outcome }: Omit<Row, 'hash'>) {
  const entry = encodeDeterministic([before, id, at_ms, operator, session, command, digest, outcome])
  return new Uint8Array(createHash('sha256').update(entry).digest())
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
