/** The notes beside a replica (wrapped keys, opaque here): read, replaced whole, and the one of two copies that rots made anew. */
import type { Files } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { decodeNotes, encodeNotes, filesIn, notesMaxBytes } from './layout.ts'

/** The notes in a replica's folder. @throws {Problem} `replica.damaged` */
export async function readNotes(files: Files, folder: string): Promise<Uint8Array> {
  const handle = await files.open(filesIn(folder).notes, 'read')
  try {
    const found = decodeNotes(await handle.read(0, 4 * notesMaxBytes))
    if (!found) throw new Problem('replica.damaged', 'the notes are lost')
    return found.notes
  } finally {
    await handle.close()
  }
}

/**
 * Puts notes in the place of those in a replica's folder, durably: after a crash there are the old ones or the new.
 * @param block of `encodeNotes`
 * @returns how many bytes more there are than before
 */
export async function replaceNotes(files: Files, folder: string, block: Uint8Array): Promise<number> {
  const path = filesIn(folder).notes
  const before = (await files.stat(path))?.sizeBytes ?? 0
  const handle = await files.open(`${path}.new`, 'create')
  try {
    await handle.truncate(0)
    await handle.write(0, block)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await files.rename(`${path}.new`, path)
  await files.syncDirectory(folder)
  return block.length - before
}

/** The notes in a replica's folder: true when sound, false when repaired, undefined when lost. */
export async function scanNotes(files: Files, folder: string): Promise<boolean | undefined> {
  const path = filesIn(folder).notes
  if (!(await files.stat(path))) return undefined
  const handle = await files.open(path, 'write')
  try {
    const found = decodeNotes(await handle.read(0, 4 * notesMaxBytes))
    if (!found) return undefined
    if (found.sound === 2) return true
    await handle.write(0, encodeNotes(found.notes))
    await handle.sync()
    return false
  } catch (error) {
    // What the medium does not give is lost.
    if (isProblem(error, 'storage.failed')) return undefined
    throw error
  } finally {
    await handle.close()
  }
}
