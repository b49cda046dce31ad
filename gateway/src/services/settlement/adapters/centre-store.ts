/** A centre's database as a file: a copy is taken beside it and put in its place with one rename (P9). */
import { closeSync, createReadStream, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { openDatabase } from '../../../adapters/database.ts'
import { hostMigrations } from '../../../service/tables.ts'
import type { FollowedDatabase } from '../../../storage/database.ts'
import { migrate } from '../../../storage/migrate.ts'
import type { CentreStore } from '../centre/centre.ts'
import { settlementMigrations } from '../migrations.ts'

export class FileStore implements CentreStore {
  readonly #path: string
  #database: FollowedDatabase

  private constructor(path: string) {
    this.#path = path
    this.#database = openDatabase(path)
  }

  static async open(path: string, nowMs: number): Promise<FileStore> {
    const store = new FileStore(path)
    await migrate(store.#database, [hostMigrations, { set: 'settlement', migrations: settlementMigrations }], nowMs)
    return store
  }

  get database(): FollowedDatabase {
    return this.#database
  }

  async copy(): Promise<AsyncIterable<Uint8Array>> {
    const path = `${this.#path}.copy`
    rmSync(path, { force: true })
    await this.#database.copyTo(path)
    const content = async function* () {
      try {
        yield* createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Uint8Array>
      } finally {
        rmSync(path, { force: true })
      }
    }
    return content()
  }

  async replace(copy: AsyncIterable<Uint8Array>): Promise<void> {
    const path = `${this.#path}.incoming`
    const descriptor = openSync(path, 'w', 0o600)
    try {
      for await (const chunk of copy) writeSync(descriptor, chunk)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    await openDatabase(path).close()
    await this.#database.close()
    // A log of the old file must not be taken for one of the new.
    for (const end of ['-wal', '-shm']) rmSync(this.#path + end, { force: true })
    renameSync(path, this.#path)
    const directory = openSync(dirname(this.#path), 'r')
    fsyncSync(directory)
    closeSync(directory)
    this.#database = openDatabase(this.#path)
  }
}
