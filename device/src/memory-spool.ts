/** The spool on removable memory, or in a folder of the device where there is none (S17). */
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import type { FileHandle, Files } from '@azukari/protocol/ports'
import type { MemoryFile, RemovableMemory } from './drivers.ts'
import type { Spool } from './spool.ts'

/** One file is kept open: blocks are read one after the other. */
export function memorySpool(memory: RemovableMemory): Spool {
  let open: { name: string; file: Promise<MemoryFile> } | undefined
  const release = async () => {
    const last = open
    open = undefined
    await last?.file.then((file) => file.close()).catch(() => undefined)
  }
  return {
    write: (name, pieces) => memory.put(name, pieces, new AbortController().signal),
    read: async (name, at, length, into) => {
      if (open?.name !== name) {
        await release()
        open = { name, file: memory.open(name) }
      }
      try {
        return await (await open.file).read(at, length, into)
      } catch (error) {
        // The memory may have been taken out and put back: the next read opens it anew.
        open = undefined
        throw error
      }
    },
    remove: async (name) => {
      if (open?.name === name) await release()
      await memory.remove(name)
    },
    list: async () => (await memory.list()).map((entry) => entry.name),
  }
}

/** Files are written beside and renamed, so that a name means the whole; the one that is read is kept open. */
export function fileSpool(files: Files, folder: string): Spool {
  let open: { name: string; file: Promise<FileHandle> } | undefined
  const release = async () => {
    const last = open
    open = undefined
    await last?.file.then((file) => file.close()).catch(() => undefined)
  }
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
    read: async (name, at, length, into) => {
      if (open?.name !== name) {
        await release()
        open = { name, file: files.open(`${folder}/${name}`, 'read') }
      }
      try {
        return await (await open.file).read(at, length, into)
      } catch (error) {
        await release()
        throw error
      }
    },
    remove: async (name) => {
      if (open?.name === name) await release()
      await files.remove(`${folder}/${name}`)
    },
    list: () => files.list(folder),
  }
}
