/**
 * One process at a time works in a folder (D5): two would do the same work twice. The lock is SQLite's on a file of its own,
 * which the kernel takes away with its process, however that ends: nothing is left over after a power cut.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Problem } from '../problem.ts'

/** How long the process before this one has to end, ms. */
const waitMs = 3_000

/**
 * Holds a folder until disposed of.
 * @param path of the lock's own file, in that folder
 * @throws {Problem} `folder.in-use` while another process holds it
 */
export function holdFolder(path: string): Disposable {
  let lock: DatabaseSync | undefined
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    lock = new DatabaseSync(path, { timeout: waitMs })
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock?.close()
    if (((cause as { errcode?: number }).errcode ?? 0) % 256 === sqliteBusy)
      throw new Problem('folder.in-use', path, { cause })
    // A disk that is read-only, full or gone: who opens what matters there says so.
    return { [Symbol.dispose]: () => undefined }
  }
  return { [Symbol.dispose]: () => lock.close() }
}

/** SQLITE_BUSY, which extended codes have as their last byte. */
const sqliteBusy = 5
