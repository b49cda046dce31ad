/** Files of the operating system behind the `Files` port; made for Linux, where a directory can be synced. */
import { constants } from 'node:fs'
import { mkdir, type FileHandle as NodeHandle, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { isNativeError } from 'node:util/types'
import type { FileHandle, Files } from '../ports.ts'
import { Problem } from '../problem.ts'

const flags = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT,
} as const

class SystemHandle implements FileHandle {
  readonly #handle: NodeHandle
  readonly #path: string

  constructor(handle: NodeHandle, path: string) {
    this.#handle = handle
    this.#path = path
  }

  async read(at: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const bytes = into ? into.subarray(0, length) : new Uint8Array(length)
    let done = 0
    while (done < length) {
      const { bytesRead } = await told(this.#path, this.#handle.read(bytes, done, length - done, at + done))
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done === length ? bytes : bytes.subarray(0, done)
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    // A full disk can take a part and report it as success: go on until it is all there, or the error comes.
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await told(this.#path, this.#handle.write(bytes, done, bytes.length - done, at + done))
      if (bytesWritten === 0) throw new Problem('storage.failed', `${this.#path}: nothing was written`)
      done += bytesWritten
    }
  }

  truncate(size: number): Promise<void> {
    return told(this.#path, this.#handle.truncate(size))
  }

  async size(): Promise<number> {
    return (await told(this.#path, this.#handle.stat())).size
  }

  sync(): Promise<void> {
    return told(this.#path, this.#handle.sync())
  }

  close(): Promise<void> {
    return told(this.#path, this.#handle.close())
  }
}

/** @param access who may read what is made; by default the owner alone */
export function systemFiles(access: { fileMode?: number; directoryMode?: number } = {}): Files {
  const { fileMode = 0o600, directoryMode = 0o700 } = access
  return {
    open: async (path, mode) => new SystemHandle(await told(path, open(path, flags[mode], fileMode)), path),
    rename: (from, to) => told(from, rename(from, to)),
    remove: (path) => told(path, rm(path, { recursive: true, force: true })),
    list: async (directory) => (await told(directory, orAbsent(readdir(directory), []))).sort(),
    makeDirectory: async (path) => {
      await told(path, mkdir(path, { recursive: true, mode: directoryMode }))
    },
    syncDirectory: async (path) => {
      const handle = await told(path, open(path, constants.O_RDONLY | constants.O_DIRECTORY))
      try {
        await told(path, handle.sync())
      } finally {
        await handle.close()
      }
    },
    stat: async (path) => {
      const found = await told(path, orAbsent(stat(path), undefined))
      return found && { sizeBytes: found.size, directory: found.isDirectory(), mode: found.mode & 0o777 }
    },
    freeBytes: async (path) => {
      const { bavail, bsize } = await told(path, statfs(path))
      return bavail * bsize
    },
  }
}

async function orAbsent<T, U>(work: Promise<T>, absent: U): Promise<T | U> {
  try {
    return await work
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return absent
    throw cause
  }
}

/** Turns the system's errors into problems; the path stays in this process's logs. */
async function told<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'ENOENT') throw new Problem('object.unknown', path, { cause })
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new Problem('storage.full', path, { cause })
    throw new Problem('storage.failed', `${path}: ${code ?? 'unknown error'}`, { cause })
  }
}

function codeOf(error: unknown): string | undefined {
  return isNativeError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
