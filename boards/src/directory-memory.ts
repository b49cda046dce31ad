/**
 * Removable memory that the system has mounted at a directory (an SD card, a USB stick). A file is written under a
 * hidden name, synced, renamed and its directory synced, so a name is there whole or not at all, also after a power cut.
 */
import {
  type MemoryEntry,
  type MemoryFile,
  memoryNamePattern,
  type PartErrorKind,
  partProblem,
  type RemovableMemory,
} from '@azukari/device/drivers'
import type { FileHandle, Files } from '@azukari/protocol/ports'
import { isProblem, type Problem } from '@azukari/protocol/problem'

export interface DirectoryMemoryOptions {
  files: Files
  /** The mount point or a folder on it. It must be there: a missing one means that nothing is mounted. */
  directory: string
  model?: string
}

const unfinished = '.part-'

export class DirectoryMemory implements RemovableMemory {
  readonly model: string
  readonly #files: Files
  readonly #directory: string
  #puts = 0
  #tidied = false
  #closed = false

  constructor(options: DirectoryMemoryOptions) {
    this.#files = options.files
    this.#directory = options.directory
    this.model = options.model ?? 'removable memory'
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    await this.#check(name)
    const partial = `${this.#directory}/${unfinished}${name}-${++this.#puts}`
    try {
      await mapped(this.#writeSynced(partial, content, signal))
      await this.#check()
      await mapped(this.#files.rename(partial, `${this.#directory}/${name}`))
      await mapped(this.#files.syncDirectory(this.#directory))
    } catch (error) {
      // Best effort: what cannot be removed now is not listed, and is removed when the memory is next opened.
      await this.#files.remove(partial).catch(() => {})
      throw error
    }
  }

  async list(): Promise<MemoryEntry[]> {
    await this.#check()
    const entries: MemoryEntry[] = []
    for (const name of await mapped(this.#files.list(this.#directory))) {
      if (!memoryNamePattern.test(name)) continue
      const found = await mapped(this.#files.stat(`${this.#directory}/${name}`))
      if (found && !found.directory) entries.push({ name, sizeBytes: found.sizeBytes })
    }
    return entries
  }

  async open(name: string): Promise<MemoryFile> {
    await this.#check(name)
    const handle = await mapped(this.#files.open(`${this.#directory}/${name}`, 'read'))
    const sizeBytes = await mapped(handle.size())
    return { sizeBytes, read: (at, length) => mapped(handle.read(at, length)), close: () => mapped(handle.close()) }
  }

  async remove(name: string): Promise<void> {
    await this.#check(name)
    await mapped(this.#files.remove(`${this.#directory}/${name}`))
    await mapped(this.#files.syncDirectory(this.#directory))
  }

  async freeBytes(): Promise<number> {
    await this.#check()
    return mapped(this.#files.freeBytes(this.#directory))
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  async #writeSynced(
    path: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const handle: FileHandle = await this.#files.open(path, 'create')
    try {
      await handle.truncate(0)
      let at = 0
      for await (const part of content instanceof Uint8Array ? [content] : content) {
        signal.throwIfAborted()
        await handle.write(at, part)
        at += part.length
      }
      signal.throwIfAborted()
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async #check(name?: string): Promise<void> {
    if (this.#closed) throw partProblem('memory', 'absent', 'closed')
    if (name !== undefined && !memoryNamePattern.test(name))
      throw partProblem('memory', 'unsupported', 'no such name is allowed')
    if (!(await mapped(this.#files.stat(this.#directory)))?.directory)
      throw partProblem('memory', 'absent', 'nothing is mounted')
    if (this.#tidied) return
    this.#tidied = true
    // What a power cut left half written; write-protected memory keeps it, unseen.
    for (const left of await mapped(this.#files.list(this.#directory)))
      if (left.startsWith(unfinished)) await this.#files.remove(`${this.#directory}/${left}`).catch(() => {})
  }
}

/** The file system's problems as the memory's own. A name that is not there stays `object.unknown`. */
async function mapped<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!isProblem(error)) throw error
    const kind = kindOf(error)
    if (!kind) throw error
    throw partProblem('memory', kind, error.detail, { cause: error })
  }
}

function kindOf({ code, detail = '' }: Problem): PartErrorKind | undefined {
  if (code === 'storage.full') return 'full'
  if (code !== 'storage.failed') return undefined
  return /EROFS|EACCES|EPERM/.test(detail) ? 'read-only' : 'failed'
}
