/** The spool on removable memory, or in a folder of the device where there is none (S17). */
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import type { Files } from '@azukari/protocol/ports'
import type { RemovableMemory } from './drivers.ts'
import { OpenFiles } from './open-files.ts'
import type { Spool } from './spool.ts'

export function memorySpool(memory: RemovableMemory): Spool {
  const reading = new OpenFiles((name) => memory.open(name))
  return {
    write: (name, pieces) => memory.put(name, pieces, new AbortController().signal),
    read: (name, at, length, into) => reading.read(name, at, length, into),
    remove: async (name) => {
      await reading.release(name)
      await memory.remove(name)
    },
    list: async () => (await memory.list()).map((entry) => entry.name),
  }
}

/** Files are written beside and renamed, so that a name means the whole. */
export function fileSpool(files: Files, folder: string): Spool {
  const reading = new OpenFiles((name) => files.open(`${folder}/${name}`, 'read'))
  return {
    write: async (name, pieces) => {
      await makeDurableDirectory(files, folder)
      const beside = `${folder}/${name}.new`
      const file = await files.open(beside, 'create')
      try {
        await file.truncate(0)
        let at = 0
        for await (const piece of pieces) {
          await file.write(at, piece)
          at += piece.length
        }
        await file.sync()
      } finally {
        await file.close()
      }
      await files.rename(beside, `${folder}/${name}`)
      await files.syncDirectory(folder)
    },
    read: (name, at, length, into) => reading.read(name, at, length, into),
    remove: async (name) => {
      await reading.release(name)
      await files.remove(`${folder}/${name}`)
    },
    list: () => files.list(folder),
  }
}
