/**
 * Removable memory that the system has mounted at a directory (an SD card, a USB stick). A file is written under a
 * hidden name, synced, renamed and its directory synced, so a name is there whole or not at all, also after a power cut.
 * The folder of a mount point stays when the medium goes: so it is looked whether the same medium is still mounted there,
 * and nothing that was begun on one ends on another, or on the system's own disk.
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
import { isProblem, Problem } from '@azukari/protocol/problem'

export interface DirectoryMemoryOptions {
  files: Files
  /** The mount point or a folder on it. It must be there: a missing one means that nothing is mounted. */
  directory: string
  /**
   * What is mounted at `directory`; when given, nothing mounted means no medium. As long as a file of a medium is open its
   * `id` is nobody else's, also after the medium was taken out.
   */
  mountAt?: ((directory: string) => { id: number } | undefined) | undefined
  /** Device node that is there as long as a medium is plugged in, also one that could not be mounted. */
  device?: string | undefined
  model?: string
}

const unfinished = '.part-'

export class DirectoryMemory implements RemovableMemory {
  readonly model: string
  readonly #files: Files
  readonly #directory: string
  readonly #mountAt: DirectoryMemoryOptions['mountAt']
  readonly #device: string | undefined
  #puts = 0
  /** The medium on which nothing half written is left of earlier times. */
  #tidied: number | undefined
  #closed = false

  constructor(options: DirectoryMemoryOptions) {
    this.#files = options.files
    this.#directory = options.directory
    this.#mountAt = options.mountAt
    this.#device = options.device
    this.model = options.model ?? 'removable memory'
  }

  /** Whether a medium is mounted; not known of a plain folder. */
  get isReady(): boolean | undefined {
    return this.#mountAt && this.#mountAt(this.#directory) !== undefined
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const medium = await this.#check(name)
    const partial = `${this.#directory}/${unfinished}${name}-${++this.#puts}`
    try {
      await this.#onMedium(medium, this.#writeSynced(partial, content, signal))
      await this.#onMedium(medium, this.#files.rename(partial, `${this.#directory}/${name}`))
      await this.#onMedium(medium, this.#files.syncDirectory(this.#directory))
    } catch (error) {
      // Best effort: what cannot be removed now is not listed, and is removed when the memory is next opened.
      await this.#files.remove(partial).catch(() => {})
      // What was just written is not there: this is another medium.
      throw isProblem(error, 'object.unknown') ? this.#removed(error) : error
    }
  }

  async list(): Promise<MemoryEntry[]> {
    const medium = await this.#check()
    const entries: MemoryEntry[] = []
    for (const name of await this.#onMedium(medium, this.#files.list(this.#directory))) {
      if (!memoryNamePattern.test(name)) continue
      const found = await this.#onMedium(medium, this.#files.stat(`${this.#directory}/${name}`))
      if (found && !found.directory) entries.push({ name, sizeBytes: found.sizeBytes })
    }
    return entries
  }

  async open(name: string): Promise<MemoryFile> {
    const medium = await this.#check(name)
    const handle = await this.#onMedium(medium, this.#files.open(`${this.#directory}/${name}`, 'read'))
    try {
      const sizeBytes = await this.#onMedium(medium, handle.size())
      return {
        sizeBytes,
        read: (at, length) => this.#onMedium(medium, handle.read(at, length)),
        close: () => mapped(handle.close()),
      }
    } catch (error) {
      await handle.close().catch(() => undefined)
      throw error
    }
  }

  async remove(name: string): Promise<void> {
    const medium = await this.#check(name)
    await this.#onMedium(medium, this.#files.remove(`${this.#directory}/${name}`))
    await this.#onMedium(medium, this.#files.syncDirectory(this.#directory))
  }

  async freeBytes(): Promise<number> {
    const medium = await this.#check()
    return this.#onMedium(medium, this.#files.freeBytes(this.#directory))
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

  /** The medium that is there now. */
  async #check(name?: string): Promise<number> {
    if (this.#closed) throw partProblem('memory', 'absent', 'closed')
    if (name !== undefined && !memoryNamePattern.test(name))
      throw partProblem('memory', 'unsupported', 'no such name is allowed')
    const medium = this.#medium()
    if (medium === undefined) throw await this.#whyNothing()
    if (!(await mapped(this.#files.stat(this.#directory)))?.directory)
      throw partProblem('memory', 'absent', 'nothing is mounted')
    if (this.#tidied === medium) return medium
    this.#tidied = medium
    // What a power cut left half written; write-protected memory keeps it, unseen.
    for (const left of await this.#onMedium(medium, this.#files.list(this.#directory)))
      if (left.startsWith(unfinished)) await this.#files.remove(`${this.#directory}/${left}`).catch(() => {})
    return medium
  }

  /** What stands for the medium; a plain folder is always the same one. */
  #medium(): number | undefined {
    return this.#mountAt ? this.#mountAt(this.#directory)?.id : 0
  }

  /** Work on one medium: what ends after it was taken out, or another put in, was not done. */
  async #onMedium<T>(medium: number, work: Promise<T>): Promise<T> {
    let cause: unknown
    try {
      const result = await mapped(work)
      if (this.#medium() === medium) return result
    } catch (error) {
      if (this.#medium() === medium) throw error
      cause = error
    }
    throw this.#removed(cause)
  }

  #removed(cause?: unknown): Problem {
    // What was begun on it may lie there half written when it comes back.
    this.#tidied = undefined
    return partProblem('memory', 'removed', 'the medium was taken out', { cause })
  }

  async #whyNothing(): Promise<Problem> {
    if (this.#device && (await this.#files.stat(this.#device).catch(() => undefined)))
      return new Problem('memory.unreadable', `${this.#device} is plugged in and not mounted`)
    return partProblem('memory', 'absent', 'nothing is mounted')
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
  if (/ENODEV|ENXIO|ENOTCONN|ESTALE/.test(detail)) return 'removed'
  return /EROFS|EACCES|EPERM/.test(detail) ? 'read-only' : 'failed'
}
