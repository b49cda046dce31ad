/**
 * Objects beside replicas on the same disks (ARCHITECTURE §8): what many clients may read, in the clear, each named by the
 * root over its blocks. They have a quota of their own; what is evicted to make room for one is another object that no
 * provider keeps here, never a replica.
 *
 *   objects/{2 hex}/{root}/
 *     blocks   the bytes
 *     leaves   SHA-256 leaf hash of each block; their root is the folder's name, so this file needs no other checksum
 *     pin      there when a provider keeps it here: its origin
 */
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { leafHash, rootOfLeafHashes } from '@azukari/protocol/merkle'
import type { Clock, FileHandle, Files, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import type { Disk } from './disk.ts'

export interface ObjectLimits {
  /** Bytes of all objects here; what providers keep counts, and is never evicted. */
  quotaBytes: number
  /** Evicting goes on down to this, so that it is not begun again with the next object. */
  lowBytes: number
}

export interface ObjectStoreOptions {
  files: Files
  disks: readonly Disk[]
  clock: Clock
  random: Random
  log: Log
  /** A quarter of the disks, and nine tenths of that, unless told. */
  limits?: Partial<ObjectLimits> | undefined
}

/** An object that is whole here. */
export interface StoredObject {
  root: Uint8Array
  sizeBytes: number
  leaves: Uint8Array
  isPinned: boolean
}

interface Held extends StoredObject {
  disk: Disk
  folder: string
  /** When it was asked for last; the longest ago goes first. */
  usedMs: number
  /** Readers now: what is being read stays. */
  readers: number
}

export class ObjectStore {
  readonly #o: ObjectStoreOptions
  readonly #limits: ObjectLimits
  readonly #held = new Map<string, Held>()
  #usedBytes = 0
  #reservedBytes = 0
  /** Objects that were evicted since the start. */
  evicted = 0

  constructor(options: ObjectStoreOptions) {
    this.#o = options
    const capacity = options.disks.reduce((sum, disk) => sum + disk.capacityBytes, 0)
    const quotaBytes = options.limits?.quotaBytes ?? Math.floor(capacity / 4)
    this.#limits = { quotaBytes, lowBytes: options.limits?.lowBytes ?? Math.floor(quotaBytes * 0.9) }
  }

  /** Finds what is on the disks. What a crash left half-written was in `incoming/`, and is gone. */
  async start(): Promise<void> {
    for (const disk of this.#o.disks) if (disk.works) await this.#readDisk(disk)
  }

  /** Bytes of all objects. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Undefined for one that is not whole here. Asking for it counts as its use. */
  find(root: Uint8Array): StoredObject | undefined {
    const held = this.#working(root)
    if (held) held.usedMs = this.#o.clock.now()
    return held
  }

  /** Objects in order of their roots, after the given one. */
  list(after: Uint8Array | undefined, limit: number): StoredObject[] {
    const start = after ? hex(after) : ''
    return [...this.#held.keys()]
      .sort()
      .filter((name) => name > start)
      .map((name) => this.#held.get(name)!)
      .filter(({ disk }) => disk.works)
      .slice(0, limit)
  }

  /** Blocks, each checked against its leaf. @throws {Problem} `object.unknown`, `transfer.bad-root` for one that rotted: then it is here no more */
  async *read(root: Uint8Array, from: number, count: number): AsyncGenerator<Uint8Array> {
    const held = this.#working(root)
    if (!held) throw new Problem('object.unknown', hex(root).slice(0, 16))
    held.readers++
    const file = await this.#o.files.open(`${held.folder}/blocks`, 'read')
    try {
      const end = Math.min(from + count, held.leaves.length / 32)
      for (let index = from; index < end; index++) {
        const block = await file.read(index * blockPlainBytes, blockPlainBytes)
        if (!sameBytes(leafHash(block), leafAt(held.leaves, index))) {
          this.#o.log.error('an object has rotted; it is fetched anew', { root: hex(root), block: index })
          held.readers--
          await this.#remove(held)
          held.readers++
          throw new Problem('transfer.bad-root', `block ${index}`)
        }
        yield block
      }
    } finally {
      held.readers--
      await file.close()
    }
  }

  /**
   * Begins to write an object. Room is made by evicting, down to the low mark, what nobody keeps or reads.
   * @throws {Problem} `storage.full`, `storage.failed`, `transfer.bad-root` for leaves that are not the root's
   */
  async begin(root: Uint8Array, sizeBytes: number, leaves: Uint8Array): Promise<ObjectWriter> {
    if (leaves.length !== Math.ceil(sizeBytes / blockPlainBytes) * 32)
      throw new Problem('transfer.bad-root', 'one leaf per block')
    if (!sameBytes(rootOf(leaves), root)) throw new Problem('transfer.bad-root', 'the leaves are not those of the root')
    const bytes = sizeBytes + leaves.length
    await this.#makeRoom(bytes)
    // Counted at once, so that no two take the same room.
    this.#reservedBytes += bytes
    let isReserved = true
    const release = () => {
      if (isReserved) this.#reservedBytes -= bytes
      isReserved = false
    }
    try {
      const { disk, reservation } = await this.#choose(bytes)
      const staging = `${disk.incoming}/${hex(this.#o.random.bytes(16))}`
      const { files } = this.#o
      const file = await disk.writing(async () => {
        await files.makeDirectory(staging)
        return files.open(`${staging}/blocks`, 'create')
      })
      const finish = async (isPinned: boolean) => {
        await disk.writing(async () => {
          await writeWhole(files, `${staging}/leaves`, leaves)
          if (isPinned) await writeWhole(files, `${staging}/pin`, new Uint8Array([1]))
          await files.syncDirectory(staging)
          await this.#show(disk, root, staging)
        })
        const folder = folderOf(disk, hex(root))
        const usedMs = this.#o.clock.now()
        const own = { root: Uint8Array.from(root), leaves: Uint8Array.from(leaves) }
        this.#add({ ...own, sizeBytes, isPinned, disk, folder, usedMs, readers: 0 })
      }
      const drop = () => files.remove(staging)
      return new ObjectWriter({ file, disk, leaves, sizeBytes, finish, drop }, () => {
        release()
        reservation[Symbol.dispose]()
      })
    } catch (error) {
      release()
      throw error
    }
  }

  /** Keeps it for its provider from now on. @throws {Problem} `object.unknown` */
  async pin(root: Uint8Array): Promise<void> {
    const held = this.#working(root)
    if (!held) throw new Problem('object.unknown', hex(root).slice(0, 16))
    if (held.isPinned) return
    await held.disk.writing(async () => {
      await writeWhole(this.#o.files, `${held.folder}/pin`, new Uint8Array([1]))
      await this.#o.files.syncDirectory(held.folder)
    })
    held.isPinned = true
  }

  /** Absent is not an error. */
  async remove(root: Uint8Array): Promise<void> {
    const held = this.#held.get(hex(root))
    if (held) await this.#remove(held)
  }

  #add(held: Held): void {
    const before = this.#held.get(hex(held.root))
    this.#held.set(hex(held.root), held)
    const grownBytes = bytesOf(held) - (before ? bytesOf(before) : 0)
    held.disk.usedBytes += grownBytes
    this.#usedBytes += grownBytes
  }

  #working(root: Uint8Array): Held | undefined {
    const held = this.#held.get(hex(root))
    return held?.disk.works ? held : undefined
  }

  /** @throws {Problem} `storage.full` when what may go is not enough */
  async #makeRoom(bytes: number): Promise<void> {
    const { quotaBytes, lowBytes } = this.#limits
    const wanted = () => this.usedBytes + this.#reservedBytes + bytes
    if (wanted() <= quotaBytes) return
    const oldest = [...this.#held.values()]
      .filter(({ isPinned, readers, disk }) => !isPinned && readers === 0 && disk.works)
      .sort((a, b) => a.usedMs - b.usedMs)
    for (const held of oldest) {
      if (wanted() <= lowBytes) break
      await this.#remove(held)
      this.evicted++
    }
    if (wanted() > quotaBytes) throw new Problem('storage.full', `the quota of objects is ${quotaBytes} bytes`)
  }

  async #choose(bytes: number): Promise<{ disk: Disk; reservation: Disposable }> {
    for (const disk of [...this.#o.disks].sort((a, b) => b.freeBytes - a.freeBytes)) {
      const reservation = disk.works ? await disk.reserve(bytes) : undefined
      if (reservation) return { disk, reservation }
    }
    throw new Problem('storage.full', `${bytes} bytes`)
  }

  async #show(disk: Disk, root: Uint8Array, staging: string): Promise<void> {
    const { files } = this.#o
    const name = hex(root)
    const bucket = bucketOf(disk, name)
    const folder = folderOf(disk, name)
    if (!(await files.stat(bucket))) {
      await files.makeDirectory(bucket)
      await files.syncDirectory(`${disk.path}/objects`)
      await files.syncDirectory(disk.path)
    }
    await files.remove(folder)
    await files.rename(staging, folder)
    await Promise.all([files.syncDirectory(bucket), files.syncDirectory(disk.incoming)])
  }

  async #remove(held: Held): Promise<void> {
    const { files, random } = this.#o
    const name = hex(held.root)
    if (this.#held.delete(name)) {
      held.disk.usedBytes -= bytesOf(held)
      this.#usedBytes -= bytesOf(held)
    }
    await held.disk.writing(async () => {
      // One rename takes it away whole; what a crash leaves in incoming/ is cleared at start.
      const gone = `${held.disk.incoming}/${hex(random.bytes(16))}`
      if (await files.stat(held.folder)) await files.rename(held.folder, gone)
      await files.remove(gone)
    })
  }

  async #readDisk(disk: Disk): Promise<void> {
    const { files, log } = this.#o
    try {
      for (const bucket of await files.list(`${disk.path}/objects`))
        for (const name of await files.list(`${disk.path}/objects/${bucket}`)) {
          const held = /^[0-9a-f]{64}$/.test(name) ? await readHeld(disk, name, files) : undefined
          if (!held) {
            log.warn('an object is not whole and is removed', { disk: disk.number })
            await files.remove(`${disk.path}/objects/${bucket}/${name}`)
          } else if (!this.#held.has(name)) this.#add(held)
        }
    } catch (error) {
      if (!isProblem(error)) throw error
      disk.fail(error.detail ?? error.code)
    }
  }
}

interface Staged {
  file: FileHandle
  disk: Disk
  leaves: Uint8Array
  sizeBytes: number
  finish(isPinned: boolean): Promise<void>
  drop(): Promise<void>
}

/** An object on its way in; block by block, each checked before it is written. */
export class ObjectWriter {
  readonly #of: Staged
  readonly #release: () => void
  #isOpen = true
  #isFinished = false
  /** The next block that is wanted. */
  next = 0

  constructor(of: Staged, release: () => void) {
    this.#of = of
    this.#release = release
  }

  get blocks(): number {
    return this.#of.leaves.length / 32
  }

  /** False for a block that is not the one that belongs there: nothing is written. */
  async add(block: Uint8Array): Promise<boolean> {
    const { file, disk, leaves } = this.#of
    if (this.next >= this.blocks || !sameBytes(leafHash(block), leafAt(leaves, this.next))) return false
    await disk.writing(() => file.write(this.next * blockPlainBytes, block))
    this.next++
    return true
  }

  /** Shows it, whole and durably. @throws {Problem} `transfer.bad-root` when blocks are missing */
  async finish(isPinned: boolean): Promise<void> {
    const { file, disk, finish } = this.#of
    if (this.next !== this.blocks) throw new Problem('transfer.bad-root', `${this.next} of ${this.blocks} blocks`)
    await disk.writing(() => file.sync())
    await this.#close()
    await finish(isPinned)
    this.#isFinished = true
  }

  /** Lets go of the room that was reserved, and of what was written unless it was finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    if (!this.#isFinished) await this.#of.drop().catch(() => undefined)
    this.#release()
  }

  async #close(): Promise<void> {
    if (this.#isOpen) await this.#of.file.close()
    this.#isOpen = false
  }
}

export function leafAt(leaves: Uint8Array, index: number): Uint8Array {
  return leaves.subarray(index * 32, index * 32 + 32)
}

export function rootOf(leaves: Uint8Array): Uint8Array {
  const hashes: Uint8Array[] = []
  for (let at = 0; at < leaves.length; at += 32) hashes.push(leaves.subarray(at, at + 32))
  return rootOfLeafHashes(hashes)
}

function bytesOf({ sizeBytes, leaves }: StoredObject): number {
  return sizeBytes + leaves.length
}

function bucketOf(disk: Disk, name: string): string {
  return `${disk.path}/objects/${name.slice(0, 2)}`
}

function folderOf(disk: Disk, name: string): string {
  return `${bucketOf(disk, name)}/${name}`
}

/** Undefined when it is not whole: then it is as if it had never come. */
async function readHeld(disk: Disk, name: string, files: Files): Promise<Held | undefined> {
  const folder = folderOf(disk, name)
  const found = await files.stat(`${folder}/blocks`)
  const leaves = await readWhole(files, `${folder}/leaves`)
  if (!found || !leaves || leaves.length === 0 || leaves.length !== Math.ceil(found.sizeBytes / blockPlainBytes) * 32)
    return undefined
  const root = rootOf(leaves)
  if (hex(root) !== name) return undefined
  const isPinned = (await files.stat(`${folder}/pin`)) !== undefined
  return { root, sizeBytes: found.sizeBytes, leaves, isPinned, disk, folder, usedMs: 0, readers: 0 }
}

async function readWhole(files: Files, path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await files.open(path, 'read')
    try {
      return Uint8Array.from(await file.read(0, await file.size()))
    } finally {
      await file.close()
    }
  } catch (error) {
    if (isProblem(error, 'object.unknown')) return undefined
    throw error
  }
}

async function writeWhole(files: Files, path: string, bytes: Uint8Array): Promise<void> {
  const file = await files.open(path, 'create')
  try {
    await file.truncate(0)
    await file.write(0, bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}
