/** Simulated removable memory, kept in memory: it can be pulled out, full, write-protected, or lose power while writing. */
import {
  type MemoryEntry,
  type MemoryFile,
  memoryNamePattern,
  partProblem,
  type RemovableMemory,
} from '@azukari/device/drivers'
import { Problem } from '@azukari/protocol/problem'

export interface SimulatedMemoryOptions {
  model?: string
  /** 256 MiB by default. */
  capacityBytes?: number
}

export class SimulatedMemory implements RemovableMemory {
  readonly model: string
  capacityBytes: number
  readOnly = false
  #present = true
  #closed = false
  #tearAfterBytes: number | undefined
  #files = new Map<string, Uint8Array>()

  constructor(options: SimulatedMemoryOptions = {}) {
    this.model = options.model ?? 'Azukari Simulated Memory'
    this.capacityBytes = options.capacityBytes ?? 256 * 1024 * 1024
  }

  /** Pulls it out; what was whole stays on it. */
  eject(): void {
    this.#present = false
  }

  insert(): void {
    this.#present = true
    this.#tearAfterBytes = undefined
  }

  /** It is pulled out when so many more bytes have been written. */
  tearAfter(bytes: number): void {
    this.#tearAfterBytes = bytes
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    this.#check(name)
    if (this.readOnly) throw partProblem('memory', 'read-only')
    const parts: Uint8Array[] = []
    let bytes = 0
    for await (const part of content instanceof Uint8Array ? [content] : content) {
      signal.throwIfAborted()
      this.#check(name)
      bytes += part.length
      if (this.#tearAfterBytes !== undefined && bytes > this.#tearAfterBytes) this.eject()
      this.#check(name)
      if (bytes > this.#freeBytes()) throw partProblem('memory', 'full', `${bytes} bytes do not fit`)
      parts.push(part.slice())
    }
    signal.throwIfAborted()
    this.#check(name)
    this.#files.set(name, new Uint8Array(Buffer.concat(parts)))
  }

  async list(): Promise<MemoryEntry[]> {
    this.#check()
    return [...this.#files]
      .map(([name, bytes]) => ({ name, sizeBytes: bytes.length }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async open(name: string): Promise<MemoryFile> {
    this.#check(name)
    const bytes = this.#files.get(name)
    if (!bytes) throw new Problem('object.unknown', name)
    return {
      sizeBytes: bytes.length,
      read: async (at, length) => {
        this.#check()
        return bytes.slice(at, at + length)
      },
      close: async () => {},
    }
  }

  async remove(name: string): Promise<void> {
    this.#check(name)
    if (this.readOnly) throw partProblem('memory', 'read-only')
    this.#files.delete(name)
  }

  async freeBytes(): Promise<number> {
    this.#check()
    return this.#freeBytes()
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #freeBytes(): number {
    let used = 0
    for (const bytes of this.#files.values()) used += bytes.length
    return Math.max(0, this.capacityBytes - used)
  }

  #check(name?: string): void {
    if (this.#closed || !this.#present) throw partProblem('memory', 'absent')
    if (name !== undefined && !memoryNamePattern.test(name))
      throw partProblem('memory', 'unsupported', 'no such name is allowed')
  }
}
