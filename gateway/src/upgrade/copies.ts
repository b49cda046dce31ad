/**
 * Copies of a site's databases from before a new version of the gateway was tried (D6). They are made while no gateway
 * runs, so all of them are of one moment. When they count is one file, written last and whole: it is there from the first
 * trial until that is confirmed or everything is back as it was.
 *
 *   before/{path}   a copy of each database
 *   before/open     what they are; counts until the trial has an outcome
 *   before/closed   the same of the last trial that was confirmed
 */
import { createHash } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, Count, checker, Hash, type Static, Text, Type } from '@azukari/protocol/contract'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import type { FileHandle, Files, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { TrialData } from '@azukari/protocol/upgrade/launcher'
import type { Held, Slots } from '@azukari/protocol/upgrade/slots'

const Copy = Type.Object({ path: Text(200), bytes: Count, hash: Hash })
const CopySet = Type.Object({
  /** The release that was about to be tried. */
  version: Text(32),
  sequence: Count,
  /** Of each database that there was. */
  copies: Type.Array(Copy, { maxItems: 16 }),
})
export type CopySet = Static<typeof CopySet>

const checkFile = checker(Type.Object({ set: Bytes(1, 16_384), digest: Bytes(32) }), 'copies of databases')
const checkSet = checker(CopySet, 'copies of databases')

export interface CopiesOptions {
  files: Files
  /** The site's folder. */
  folder: string
  /** Where the copies lie. */
  directory: string
  /** Databases that a gateway may have, by their paths in the folder. */
  databases: readonly string[]
  /** Writes a consistent copy of a database to a path where there is none, durably. @throws {Problem} `storage.*` */
  copyDatabase: (from: string, to: string) => Promise<void>
  log: Log
}

/** What SQLite keeps beside a database, which is none of another file's. */
const besides = ['-wal', '-shm', '-journal']
const pieceBytes = 1 << 20
const recordMaxBytes = 32_768

export class DatabaseCopies implements TrialData {
  readonly #options: CopiesOptions

  constructor(options: CopiesOptions) {
    this.#options = options
  }

  /** @throws {Problem} `storage.full` before anything is written when there is no room for it, `storage.*` */
  async keep({ version, sequence }: Held): Promise<void> {
    const { files, folder, directory, databases, copyDatabase } = this.#options
    const open = await this.#read('open')
    // Who can no longer tell what was copied cannot go back either; by now a trial may have changed the databases.
    if (open === 'damaged') throw new Problem('storage.failed', 'the record of the copies is damaged')
    if (open?.sequence === sequence) return
    await checkRoom(this.#options)
    await makeDurableDirectory(files, directory)
    await files.remove(`${directory}/closed`)
    await files.syncDirectory(directory)
    const copies: CopySet['copies'] = []
    for (const path of databases) {
      const to = `${directory}/${path}`
      await files.remove(to)
      if (!(await files.stat(`${folder}/${path}`))) continue
      await makeDurableDirectory(files, to.slice(0, to.lastIndexOf('/')))
      await copyDatabase(`${folder}/${path}`, to)
      copies.push({ path, ...(await digestOf(files, to)) })
    }
    await this.#write('open', { version, sequence, copies })
  }

  async settle({ last }: Slots): Promise<void> {
    const { log } = this.#options
    const open = await this.#read('open')
    if (!open) return
    if (open === 'damaged') {
      log.error('the record of the copies from before the trial is damaged; nothing is put back')
      return this.#remove('open')
    }
    const { version, sequence } = open
    if (last?.outcome === 'confirmed' && last.sequence === sequence) return this.close()
    const damaged = await this.#damaged(open)
    // Without a sound copy the old version gets what the trial left. Unless that brought a database up to date it can work
    // with it; otherwise it says so (database.newer). The copy must not count later, over what was acknowledged meanwhile.
    if (damaged) log.error('a copy from before the trial is not what it was and is not put back', { version, damaged })
    else await this.#restore(open)
    await this.#remove('open')
    if (!damaged) log.warn('the databases are as they were before the trial', { version })
  }

  /** The trial was confirmed: from now on its copies are of the past and never put back by themselves. */
  async close(): Promise<void> {
    const { files, directory } = this.#options
    if (!(await files.stat(`${directory}/open`))) return
    await files.rename(`${directory}/open`, `${directory}/closed`)
    await files.syncDirectory(directory)
  }

  /** The copies from before the last trial that was confirmed. */
  async closed(): Promise<CopySet | undefined> {
    const closed = await this.#read('closed')
    return closed === 'damaged' ? undefined : closed
  }

  /** Path of the first copy that is absent or not what was written. */
  async #damaged({ copies }: CopySet): Promise<string | undefined> {
    const { files, directory } = this.#options
    for (const { path, bytes, hash } of copies) {
      if (!(await files.stat(`${directory}/${path}`))) return path
      const found = await digestOf(files, `${directory}/${path}`)
      if (found.bytes !== bytes || !Buffer.from(found.hash).equals(hash)) return path
    }
    return undefined
  }

  /** May be broken off anywhere and begun again: as long as `open` is there nothing runs on what it is about. */
  async #restore({ copies }: CopySet): Promise<void> {
    const { files, folder, directory, databases } = this.#options
    for (const path of databases) {
      const target = `${folder}/${path}`
      const copied = copies.some((copy) => copy.path === path)
      if (copied) await copyFile(files, `${directory}/${path}`, `${target}.restored`)
      for (const beside of besides) await files.remove(`${target}${beside}`)
      const parent = target.slice(0, target.lastIndexOf('/'))
      if (!(await files.stat(parent))) continue
      // A log that outlived its database would be played into the other one: it is gone before that takes the name.
      await files.syncDirectory(parent)
      if (copied) await files.rename(`${target}.restored`, target)
      else await files.remove(target)
      await files.syncDirectory(parent)
    }
  }

  async #read(name: 'open' | 'closed'): Promise<CopySet | 'damaged' | undefined> {
    const { files, directory } = this.#options
    let file: FileHandle
    try {
      file = await files.open(`${directory}/${name}`, 'read')
    } catch (error) {
      if (isProblem(error, 'object.unknown')) return undefined
      throw error
    }
    try {
      const { set, digest } = checkFile(decode(await file.read(0, recordMaxBytes)))
      if (!createHash('sha256').update(set).digest().equals(digest)) return 'damaged'
      return checkSet(decode(set))
    } catch (error) {
      if (isProblem(error) && !error.code.startsWith('storage.')) return 'damaged'
      throw error
    } finally {
      await file.close()
    }
  }

  async #write(name: 'open', record: CopySet): Promise<void> {
    const { files, directory } = this.#options
    const set = encodeDeterministic(record)
    const digest = new Uint8Array(createHash('sha256').update(set).digest())
    const file = await files.open(`${directory}/new`, 'create')
    try {
      await file.truncate(0)
      await file.write(0, encodeDeterministic({ set, digest }))
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(`${directory}/new`, `${directory}/${name}`)
    await files.syncDirectory(directory)
  }

  async #remove(name: 'open'): Promise<void> {
    const { files, directory } = this.#options
    await files.remove(`${directory}/${name}`)
    await files.syncDirectory(directory)
  }
}

/**
 * Whether the databases fit on the medium twice more (the copy, and what is put back from it), and `bytes` besides.
 * @throws {Problem} `storage.full`
 */
export async function checkRoom(
  { files, folder, databases }: Pick<CopiesOptions, 'files' | 'folder' | 'databases'>,
  bytes = 0,
): Promise<void> {
  let needed = bytes
  for (const path of databases)
    for (const beside of ['', '-wal']) needed += 2 * ((await files.stat(`${folder}/${path}${beside}`))?.sizeBytes ?? 0)
  const free = await files.freeBytes(folder)
  if (free < needed) throw new Problem('storage.full', `${needed} bytes are needed, ${free} are free`)
}

async function digestOf(files: Files, path: string): Promise<{ bytes: number; hash: Uint8Array }> {
  const file = await files.open(path, 'read')
  try {
    const hash = createHash('sha256')
    const bytes = await eachPiece(file, async (piece) => void hash.update(piece))
    return { bytes, hash: new Uint8Array(hash.digest()) }
  } finally {
    await file.close()
  }
}

async function copyFile(files: Files, from: string, to: string): Promise<void> {
  const source = await files.open(from, 'read')
  try {
    const target = await files.open(to, 'create')
    try {
      await target.truncate(0)
      await eachPiece(source, (piece, at) => target.write(at, piece))
      await target.sync()
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function eachPiece(file: FileHandle, take: (piece: Uint8Array, at: number) => Promise<void>): Promise<number> {
  for (let at = 0; ; ) {
    const piece = await file.read(at, pieceBytes)
    if (piece.length === 0) return at
    await take(piece, at)
    at += piece.length
  }
}
