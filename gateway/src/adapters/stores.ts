/**
 * Where a site's services keep their databases (D4, docs/decisions/0025): each in a file of the site's folder, or in a schema
 * of its own on PostgreSQL when the folder has a `store.json`. The gateway's registry and the operators' log stay files.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { InternalError, Problem } from '@azukari/protocol/problem'
import { type SiteFolder, type SitePorts, siteKeyFile } from '../site-folder.ts'
import type { Database, Engine } from '../storage/database.ts'
import type { PostgresDatabase } from './postgres.ts'

export const storeFile = 'store.json'
export const passwordVariable = 'AZUKARI_POSTGRES_PASSWORD'
/** What a database of SQLite is called once it was moved to PostgreSQL. */
export const movedSuffix = '.moved'

const StoreSettings = Type.Object(
  {
    url: Type.String({
      pattern: '^postgres(ql)?://[^@/:]+@[^/?#]+/[^/?#]+(\\?host=[^&#]+)?$',
      maxLength: 1_000,
      description:
        'postgres://user@host:port/database, without the password; for a Unix socket localhost and ?host=/folder',
    }),
    passwordFile: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1_000, description: `file with the password; else ${passwordVariable}` }),
    ),
    ca: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1_000,
        description: 'PEM file of the server’s authority; else the system’s',
      }),
    ),
    connections: Type.Optional(
      Type.Integer({ minimum: 2, maximum: 200, description: 'connections at most, of each service (8)' }),
    ),
  },
  { additionalProperties: false },
)
export type StoreSettings = Static<typeof StoreSettings>

const checkSettings = checker(StoreSettings, storeFile)

/** @throws {Problem} `config.invalid` */
export function checkStoreSettings(value: unknown): StoreSettings {
  try {
    return checkSettings(value)
  } catch (cause) {
    throw new Problem('config.invalid', `${storeFile}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** What PostgreSQL is opened with: only a server on this machine is spoken to without TLS. @throws {Problem} `config.invalid` */
export function connectionFrom({ url, passwordFile, ca, connections }: StoreSettings) {
  const { hostname, searchParams } = new URL(url)
  const isHere = searchParams.has('host') || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|)$/.test(hostname)
  const fromFile = (path: string) => {
    try {
      return readFileSync(path, 'utf8')
    } catch (cause) {
      throw new Problem('config.invalid', `${path} of ${storeFile} cannot be read`, { cause })
    }
  }
  return {
    url,
    password: () => (passwordFile ? fromFile(passwordFile).trim() : (process.env[passwordVariable] ?? '')),
    ...(!isHere && { tls: { ca: ca === undefined ? undefined : fromFile(ca) } }),
    ...(connections !== undefined && { connections }),
  }
}

/** The schema of a database that SQLite would keep under this path of the site's folder. */
export function schemaOf(path: string): string {
  return basename(path, '.db').replaceAll('-', '_')
}

export class Stores {
  readonly folder: string
  readonly settings: StoreSettings | undefined
  /** In place of files, where the machine is not the real one; it closes what it opens. */
  readonly #machine: ((path: string) => Database) | undefined
  readonly #opened = new Map<string, Database>()

  private constructor(folder: string, settings?: StoreSettings, machine?: (path: string) => Database) {
    this.folder = folder
    this.settings = settings
    this.#machine = machine
  }

  /** By the settings of a site's folder. @throws {Problem} `config.invalid` */
  static of(folder: string): Stores {
    const path = `${folder}/${storeFile}`
    if (!existsSync(path)) return new Stores(folder)
    let settings: unknown
    try {
      settings = JSON.parse(readFileSync(path, 'utf8'))
    } catch (cause) {
      throw new Problem('config.invalid', `${path}: ${cause instanceof Error ? cause.message : cause}`, { cause })
    }
    return new Stores(folder, checkStoreSettings(settings))
  }

  /** As they will be, before the folder says so. */
  static with(folder: string, settings: StoreSettings): Stores {
    return new Stores(folder, settings)
  }

  /** Those of a process of a site. @throws {Problem} `config.invalid` */
  static for(folder: SiteFolder, ports: SitePorts): Stores {
    if (!ports.machine) return Stores.of(folder.path)
    return new Stores(folder.path, undefined, ports.machine(folder, ports).openDatabase)
  }

  get engine(): Engine {
    return this.settings ? 'postgres' : 'sqlite'
  }

  /**
   * Opens a database, to be closed with all others; on PostgreSQL no other process does so meanwhile, or only its like.
   * @param path in the site's folder, as SQLite keeps it; @param isOneOfSeveral on PostgreSQL other processes may have it open, too
   * @throws {Problem} `config.invalid` when what is on the other engine would be left behind, or the schema is another site's; `storage.held`; `storage.*`
   */
  async open(path: string, isOneOfSeveral = false): Promise<Database> {
    if (this.#machine) return this.#machine(path)
    if (this.#opened.has(path)) throw new InternalError(`${path} is open`)
    const database = await this.openAlone(path)
    this.#opened.set(path, database)
    if (isPostgres(database)) await (isOneOfSeveral ? database.join() : database.hold())
    return database
  }

  /** The same, for the caller to close. */
  async openAlone(path: string): Promise<Database> {
    const file = `${this.folder}/${path}`
    if (!this.settings) {
      if (!existsSync(file) && existsSync(`${file}${movedSuffix}`))
        throw new Problem('config.invalid', `${path} was moved to PostgreSQL, and ${storeFile} is gone: put it back`)
      const { openDatabase } = await import('./database.ts')
      return openDatabase(file)
    }
    if (existsSync(file))
      throw new Problem('config.invalid', `${path} is still a file: move it with azukari-gateway store move`)
    return this.openOwnSchema(path)
  }

  /** A schema of this site, whatever lies in the folder. @throws {Problem} `config.invalid` when it is another's */
  async openOwnSchema(path: string): Promise<PostgresDatabase> {
    const database = await this.openSchema(path)
    try {
      await this.#claim(database)
      return database
    } catch (error) {
      await database.close()
      throw error
    }
  }

  /** Whether there is such a database; what does not answer is not told from what is not there yet. */
  async has(path: string): Promise<boolean> {
    if (!this.settings) return existsSync(`${this.folder}/${path}`)
    const database = await this.openSchema(path)
    try {
      return (
        (await database.get(
          `SELECT 1 AS there FROM pg_tables WHERE schemaname = ? AND tablename = 'migrations'`,
          schemaOf(path),
        )) !== undefined
      )
    } finally {
      await database.close()
    }
  }

  async openSchema(path: string): Promise<PostgresDatabase> {
    if (!this.settings) throw new InternalError('this site keeps its databases in files')
    const { openPostgres } = await import('./postgres.ts')
    return openPostgres({ ...connectionFrom(this.settings), schema: schemaOf(path) })
  }

  async close(): Promise<void> {
    const opened = [...this.#opened.values()]
    this.#opened.clear()
    await Promise.all(opened.map((database) => database.close()))
  }

  /** Those that are open, by their schema or what it would be. */
  get opened(): [name: string, database: Database][] {
    return [...this.#opened].map(([path, database]) => [schemaOf(path), database])
  }

  /** A schema belongs to one site: by its key, where the folder has it. */
  async #claim(database: PostgresDatabase): Promise<void> {
    const path = `${this.folder}/${siteKeyFile}`
    if (!existsSync(path))
      throw new Problem('config.invalid', `${siteKeyFile} is not in ${this.folder}: copy it from the gateway’s folder`)
    const key = new Uint8Array(readFileSync(path))
    await database.script('CREATE TABLE IF NOT EXISTS store_site (id INTEGER NOT NULL PRIMARY KEY, key BLOB NOT NULL)')
    await database.run('INSERT INTO store_site (id, key) VALUES (1, ?) ON CONFLICT DO NOTHING', key)
    const found = await database.get<{ key: Uint8Array }>('SELECT key FROM store_site WHERE id = 1')
    if (!found || Buffer.compare(found.key, key) !== 0)
      throw new Problem('config.invalid', `the schema ${database.schema} belongs to another site`)
  }
}

function isPostgres(database: Database): database is PostgresDatabase {
  return database.engine === 'postgres' && 'hold' in database
}
