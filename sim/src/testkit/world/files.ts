/**
 * Files that forget what was not synced: POSIX's promises and not one more (ARCHITECTURE §11). At a power cut each
 * unsynced write is kept, lost or torn on its own, and of the unsynced names a prefix is kept, as a journal does. Media
 * rot, fill up and fail on demand. Everything follows from the seed.
 */
import type { FileHandle, Files, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'

const sectorBytes = 512
/** Changes of names that a power cut can undo, at most. */
const namesAtRisk = 256

/** A write that a power cut may undo: where, how long, and what was there. */
interface Unsynced {
  at: number
  length: number
  before: Uint8Array
  sizeBefore: number
}

class FileNode {
  bytes = new Uint8Array(0)
  size = 0
  unsynced: Unsynced[] = []

  resize(size: number): void {
    if (size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(size, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.size))
      this.bytes = grown
    }
    if (size < this.size) this.bytes.fill(0, size, this.size)
    this.size = size
  }
}

class DirectoryNode {
  live = new Map<string, Node>()
  durable = new Map<string, Node>()
}

type Node = FileNode | DirectoryNode

/** A change of names that is not yet durable; a rename is one change in two directories. */
interface NameChange {
  steps: { directory: DirectoryNode; name: string; node: Node | undefined }[]
}

export type FileOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'rename'
  | 'remove'
  | 'makeDirectory'
  | 'syncDirectory'

export interface SimFilesOptions {
  random: Random
  /** Bytes that fit, names not counted. */
  capacityBytes?: number
}

export class SimFiles implements Files {
  /** Called before each operation; may throw, as a failing disk would. */
  intercept: ((operation: FileOperation, path: string) => void) | undefined
  /** Bytes that fit. */
  capacityBytes: number
  /** Operations that change something, so far: a power cut can be planned after each of them. */
  changes = 0
  /** After that many changes the power is off: every operation fails until `powerLoss`. */
  cutAfterChanges = Number.POSITIVE_INFINITY
  readonly #random: Random
  #root = new DirectoryNode()
  #names: NameChange[] = []
  #generation = 0
  #usedBytes = 0

  constructor({ random, capacityBytes = Number.MAX_SAFE_INTEGER }: SimFilesOptions) {
    this.#random = random
    this.capacityBytes = capacityBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get powerIsOff(): boolean {
    return this.changes > this.cutAfterChanges
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<FileHandle> {
    this.#before('open', path)
    const [directory, name] = this.#parentOf(path)
    let node = directory.live.get(name)
    if (!node) {
      if (mode !== 'create') throw new Problem('object.unknown', path)
      this.#change('open', path)
      node = new FileNode()
      this.#rename([{ directory, name, node }])
    }
    if (node instanceof DirectoryNode) throw new Problem('storage.failed', `${path}: is a directory`)
    return this.#handle(path, node, mode !== 'read')
  }

  async rename(from: string, to: string): Promise<void> {
    this.#before('rename', from)
    this.#change('rename', from)
    const [source, oldName] = this.#parentOf(from)
    const [target, newName] = this.#parentOf(to)
    const node = source.live.get(oldName)
    if (!node) throw new Problem('object.unknown', from)
    const replaced = target.live.get(newName)
    if (replaced instanceof DirectoryNode && (replaced.live.size > 0 || !(node instanceof DirectoryNode)))
      throw new Problem('storage.failed', `${to}: is a directory`)
    if (replaced && !(replaced instanceof DirectoryNode) && node instanceof DirectoryNode)
      throw new Problem('storage.failed', `${to}: is a file`)
    this.#rename([
      { directory: source, name: oldName, node: undefined },
      { directory: target, name: newName, node },
    ])
    if (replaced) this.#usedBytes -= sizeOf(replaced)
  }

  async remove(path: string): Promise<void> {
    this.#before('remove', path)
    let directory: DirectoryNode
    let name: string
    try {
      ;[directory, name] = this.#parentOf(path)
    } catch {
      return
    }
    const node = directory.live.get(name)
    if (!node) return
    this.#change('remove', path)
    this.#rename([{ directory, name, node: undefined }])
    this.#usedBytes -= sizeOf(node)
  }

  async list(directory: string): Promise<string[]> {
    this.#before('read', directory)
    const node = this.#find(directory)
    if (node instanceof FileNode) throw new Problem('storage.failed', `${directory}: is a file`)
    return node ? [...node.live.keys()].sort() : []
  }

  async makeDirectory(path: string): Promise<void> {
    this.#before('makeDirectory', path)
    let node: DirectoryNode = this.#root
    for (const name of partsOf(path)) {
      let next = node.live.get(name)
      if (!next) {
        this.#change('makeDirectory', path)
        next = new DirectoryNode()
        this.#rename([{ directory: node, name, node: next }])
      }
      if (next instanceof FileNode) throw new Problem('storage.failed', `${path}: is a file`)
      node = next
    }
  }

  async syncDirectory(path: string): Promise<void> {
    this.#before('syncDirectory', path)
    this.#change('syncDirectory', path)
    const node = this.#find(path)
    if (!(node instanceof DirectoryNode)) throw new Problem('object.unknown', path)
    // What touches this directory becomes durable, and with it every earlier change to the same names.
    const wanted = new Set<number>()
    for (let at = this.#names.length - 1; at >= 0; at--) {
      const change = this.#names[at]!
      const touches = change.steps.some((step) => step.directory === node)
      const needed = [...wanted].some((later) =>
        this.#names[later]!.steps.some((b) =>
          change.steps.some((a) => a.directory === b.directory && a.name === b.name),
        ),
      )
      if (touches || needed) wanted.add(at)
    }
    this.#names = this.#names.filter((change, at) => {
      if (!wanted.has(at)) return true
      persist(change)
      return false
    })
  }

  async stat(path: string): Promise<{ sizeBytes: number; directory: boolean } | undefined> {
    this.#before('read', path)
    const node = this.#find(path)
    return node && { sizeBytes: node instanceof FileNode ? node.size : 0, directory: node instanceof DirectoryNode }
  }

  async freeBytes(path: string): Promise<number> {
    this.#before('read', path)
    return Math.max(0, this.capacityBytes - this.#usedBytes)
  }

  /** The power goes: unsynced writes and names are kept, lost or torn as chance wills; open handles are dead. */
  powerLoss(): void {
    this.crash()
    const kept = Math.floor(this.#random.float() * (this.#names.length + 1))
    for (const change of this.#names.slice(0, kept)) persist(change)
    this.#names = []
    this.cutAfterChanges = Number.POSITIVE_INFINITY
    const seen = new Set<Node>()
    const revert = (node: Node) => {
      if (seen.has(node)) return
      seen.add(node)
      if (node instanceof FileNode) this.#lose(node)
      else {
        node.live = new Map(node.durable)
        for (const below of node.live.values()) revert(below)
      }
    }
    revert(this.#root)
    this.#usedBytes = sizeOf(this.#root)
  }

  /** The process dies and the machine does not: handles are dead, everything written stays. */
  crash(): void {
    this.#generation++
  }

  /** Flips `bits` random bits of a file, as media do while nobody looks. */
  rot(path: string, bits = 1, range: { from?: number; to?: number } = {}): void {
    const node = this.#find(path)
    if (!(node instanceof FileNode)) throw new Problem('object.unknown', path)
    const from = range.from ?? 0
    const to = Math.min(range.to ?? node.size, node.size)
    for (let bit = 0; bit < bits && to > from; bit++) {
      const at = from + Math.floor(this.#random.float() * (to - from))
      node.bytes[at]! ^= 1 << Math.floor(this.#random.float() * 8)
    }
  }

  /** What would be left of a file if the power went now and nothing unsynced survived; undefined when not even its name. */
  durable(path: string): Uint8Array | undefined {
    let node: Node | undefined = this.#root
    for (const name of partsOf(path)) node = node instanceof DirectoryNode ? node.durable.get(name) : undefined
    if (!(node instanceof FileNode)) return undefined
    if (node.unsynced.length === 0) return node.bytes.subarray(0, node.size)
    const before = new FileNode()
    before.resize(node.size)
    before.bytes.set(node.bytes.subarray(0, node.size))
    for (const write of [...node.unsynced].reverse()) {
      before.resize(write.sizeBefore)
      before.bytes.set(write.before, write.at)
    }
    return before.bytes.subarray(0, before.size)
  }

  /** A copy of everything that is durable, as an image of the medium has it. */
  image(): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>()
    for (const path of this.paths()) {
      const bytes = this.durable(path)
      if (bytes) files.set(path, Uint8Array.from(bytes))
    }
    return files
  }

  /** Puts an image back: nothing else is left. */
  restore(image: ReadonlyMap<string, Uint8Array>): void {
    this.crash()
    this.#root = new DirectoryNode()
    this.#names = []
    for (const [path, bytes] of image) {
      const parts = partsOf(path)
      const name = parts.pop()!
      let directory = this.#root
      for (const part of parts) {
        const below = directory.live.get(part)
        const next = below instanceof DirectoryNode ? below : new DirectoryNode()
        directory.live.set(part, next)
        directory.durable.set(part, next)
        directory = next
      }
      const node = new FileNode()
      node.resize(bytes.length)
      node.bytes.set(bytes)
      directory.live.set(name, node)
      directory.durable.set(name, node)
    }
    this.#usedBytes = sizeOf(this.#root)
  }

  /** All files below a directory, sorted. */
  paths(directory = '/'): string[] {
    const found: string[] = []
    const walk = (node: Node | undefined, path: string) => {
      if (node instanceof FileNode) found.push(path)
      else for (const [name, below] of node?.live ?? []) walk(below, `${path === '/' ? '' : path}/${name}`)
    }
    walk(this.#find(directory), directory)
    return found.sort()
  }

  #handle(path: string, node: FileNode, writable: boolean): FileHandle {
    const generation = this.#generation
    let open = true
    const check = (operation: FileOperation) => {
      if (!open || generation !== this.#generation) throw new Problem('storage.failed', `${path}: the handle is closed`)
      this.#before(operation, path)
    }
    return {
      read: async (at, length) => {
        check('read')
        return node.bytes.slice(Math.min(at, node.size), Math.min(at + length, node.size))
      },
      write: async (at, bytes) => {
        check('write')
        if (!writable) throw new Problem('storage.failed', `${path}: opened for reading`)
        const grows = Math.max(0, at + bytes.length - node.size)
        if (this.#usedBytes + grows > this.capacityBytes) throw new Problem('storage.full', path)
        this.#change('write', path)
        node.unsynced.push({
          at,
          length: bytes.length,
          before: node.bytes.slice(Math.min(at, node.size), Math.min(at + bytes.length, node.size)),
          sizeBefore: node.size,
        })
        node.resize(Math.max(node.size, at + bytes.length))
        node.bytes.set(bytes, at)
        this.#usedBytes += grows
      },
      truncate: async (size) => {
        check('truncate')
        this.#change('truncate', path)
        if (size < node.size)
          node.unsynced.push({ at: size, length: 0, before: node.bytes.slice(size, node.size), sizeBefore: node.size })
        else node.unsynced.push({ at: node.size, length: 0, before: new Uint8Array(0), sizeBefore: node.size })
        this.#usedBytes += size - node.size
        node.resize(size)
      },
      size: async () => {
        check('read')
        return node.size
      },
      sync: async () => {
        check('sync')
        this.#change('sync', path)
        node.unsynced = []
      },
      close: async () => {
        open = false
      },
    }
  }

  #before(operation: FileOperation, path: string): void {
    if (this.powerIsOff) throw new Problem('storage.failed', `${path}: the power is off`)
    this.intercept?.(operation, path)
  }

  #change(_operation: FileOperation, path: string): void {
    this.changes++
    if (this.powerIsOff) throw new Problem('storage.failed', `${path}: the power is off`)
  }

  #rename(steps: NameChange['steps']): void {
    this.#names.push({ steps })
    // File systems write their journal every few seconds: names are not at risk for ever.
    if (this.#names.length > namesAtRisk) for (const change of this.#names.splice(0, namesAtRisk / 2)) persist(change)
    for (const { directory, name, node } of steps) {
      if (node) directory.live.set(name, node)
      else directory.live.delete(name)
    }
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const name of partsOf(path)) node = node instanceof DirectoryNode ? node.live.get(name) : undefined
    return node
  }

  #parentOf(path: string): [DirectoryNode, string] {
    const parts = partsOf(path)
    const name = parts.pop()
    const directory = this.#find(parts.join('/'))
    if (name === undefined || !(directory instanceof DirectoryNode)) throw new Problem('object.unknown', path)
    return [directory, name]
  }

  #lose(node: FileNode): void {
    const { unsynced } = node
    node.unsynced = []
    const written: Uint8Array[] = []
    const sizes: number[] = []
    for (let at = unsynced.length - 1; at >= 0; at--) {
      const write = unsynced[at]!
      written[at] = node.bytes.slice(write.at, write.at + write.length)
      sizes[at] = node.size
      node.resize(write.sizeBefore)
      node.bytes.set(write.before, write.at)
    }
    for (const [at, write] of unsynced.entries()) {
      const fate = this.#random.float()
      if (fate < 0.4) continue
      let bytes = written[at]!
      if (write.length === 0) {
        node.resize(sizes[at]!)
        continue
      }
      if (fate < 0.7)
        bytes = bytes.subarray(0, Math.floor((this.#random.float() * bytes.length) / sectorBytes) * sectorBytes)
      if (bytes.length === 0) continue
      node.resize(Math.max(node.size, write.at + bytes.length))
      node.bytes.set(bytes, write.at)
    }
  }
}

function persist(change: NameChange): void {
  for (const { directory, name, node } of change.steps) {
    if (node) directory.durable.set(name, node)
    else directory.durable.delete(name)
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}

function sizeOf(node: Node): number {
  if (node instanceof FileNode) return node.size
  let size = 0
  for (const below of node.live.values()) size += sizeOf(below)
  return size
}
