/**
 * One transfer that is coming in (S4, ARCHITECTURE §6). Each block is checked against the announced root when it arrives,
 * written, and counted as held when the file is synced, some blocks at a time. Memory: the blocks between arrival and
 * disk, at most one window, whatever the size.
 *
 * Beside the blocks of a big transfer lie their leaf hashes, so that after a crash what is on disk can be told from what
 * is torn without asking the device for proofs again.
 */
import { decode } from '@azukari/protocol/codec'
import { Bytes, checker, Hash, Type } from '@azukari/protocol/contract'
import { leafHash, verifyProof } from '@azukari/protocol/merkle'
import type { Clock, FileHandle, Files, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { BlockSet } from '@azukari/protocol/transfer'
import type { Reservation } from '../budgets/pool.ts'
import type { TransferRow } from './store.ts'

/** Time after which what was written is synced, however little it is. */
const syncMs = 20
/** Blocks that any sender may have under way. */
export const windowMostBlocks = 32

const checkProved = checker(Type.Object({ p: Type.Array(Hash, { maxItems: 53 }), d: Bytes(1, 131_072) }), 'block')
const provedLimits = { maxBytes: 160_000 }

export interface IncomingPorts {
  files: Files
  clock: Clock
  /** Blocks after which what was written is synced: half a window, so that the sender can go on meanwhile. */
  syncBlocks: () => number
  /** Blocks are on disk, or were bad; the sender should know. */
  onProgress: (incoming: Incoming, bad: readonly number[]) => void
  onProblem: (incoming: Incoming, problem: Problem) => void
  /** Memory for a block on its way to the disk; undefined while there is none. */
  reserve: (incoming: Incoming, bytes: number) => Reservation | undefined
}

export class Incoming {
  readonly row: TransferRow
  readonly #ports: IncomingPorts
  readonly #blocks: FileHandle
  readonly #leaves: FileHandle | undefined
  /** Synced. */
  readonly #have: BlockSet
  /** Arrived and right, on their way to the disk. */
  readonly #coming = new Set<number>()
  readonly #writes = new Set<Promise<void>>()
  #written: number[] = []
  #bad: number[] = []
  #syncing: Promise<void> | undefined
  #timer: Timer | undefined
  #failure: Problem | undefined
  #closed = false
  lastUsedMs: number

  private constructor(
    row: TransferRow,
    ports: IncomingPorts,
    blocks: FileHandle,
    leaves: FileHandle | undefined,
    have: BlockSet,
  ) {
    this.row = row
    this.#ports = ports
    this.#blocks = blocks
    this.#leaves = leaves
    this.#have = have
    this.lastUsedMs = ports.clock.monotonicMs()
  }

  /** Opens a transfer, new or begun: what its files hold is checked against its hashes. */
  static async open(row: TransferRow, path: string, ports: IncomingPorts): Promise<Incoming> {
    const blocks = await ports.files.open(`${path}.blocks`, 'create')
    const leaves = row.leaves ? undefined : await ports.files.open(`${path}.leaves`, 'create')
    const have = row.complete ? new BlockSet([[0, row.blocks - 1]]) : await recheck(row, blocks, leaves)
    return new Incoming(row, ports, blocks, leaves, have)
  }

  get ranges(): [number, number][] {
    return this.#have.ranges
  }

  /** On disk. */
  get receivedBytes(): number {
    return Math.min(this.#have.count * this.row.block_bytes, this.row.size_bytes)
  }

  get whole(): boolean {
    return this.#have.count === this.row.blocks
  }

  get failure(): Problem | undefined {
    return this.#failure
  }

  /**
   * Takes a block as it came. A wrong one is noted and asked for again; one that is held already costs nothing. The
   * promise, when there is one, holds back a sender that does not keep to its window.
   */
  take(index: number, payload: Uint8Array): Promise<void> | undefined {
    this.lastUsedMs = this.#ports.clock.monotonicMs()
    if (this.#closed || index >= this.row.blocks || this.#coming.has(index)) return undefined
    const held = this.#have.has(index)
    const block = held ? undefined : this.#check(index, payload)
    if (!block) {
      if (!held && !this.#bad.includes(index) && this.#bad.length < 64) this.#bad.push(index)
      this.#tellSoon()
      return undefined
    }
    const memory = this.#ports.reserve(this, block.bytes.length)
    // Lost like a block that the line lost: the sender asks what is held when it hears nothing, and sends it again.
    if (!memory) return undefined
    this.#coming.add(index)
    const write = this.#write(index, block).finally(() => memory.release())
    this.#writes.add(write)
    void write.finally(() => this.#writes.delete(write))
    return this.#writes.size > windowMostBlocks ? write : undefined
  }

  /** Resolves when everything taken so far is on disk, or has failed. */
  async settle(): Promise<void> {
    await Promise.all(this.#writes)
    await this.#syncing
    await this.#sync()
  }

  /** @throws {Problem} `transfer.incomplete` */
  async read(from: number, count: number): Promise<Uint8Array[]> {
    this.lastUsedMs = this.#ports.clock.monotonicMs()
    const blocks: Uint8Array[] = []
    for (let index = from; index < Math.min(from + count, this.row.blocks); index++) {
      if (!this.#have.has(index)) throw new Problem('transfer.incomplete', `block ${index}`)
      blocks.push(await this.#blocks.read(index * this.row.block_bytes, this.#lengthOf(index)))
    }
    return blocks
  }

  /** Forgets a failure of the disk, so that blocks may come again. */
  resume(): void {
    this.#failure = undefined
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    await this.#syncing?.catch(() => undefined)
    await this.#blocks.close()
    await this.#leaves?.close()
  }

  #check(index: number, payload: Uint8Array): { bytes: Uint8Array; leaf: Uint8Array } | undefined {
    const { leaves, root, blocks } = this.row
    if (leaves) {
      if (payload.length !== this.#lengthOf(index)) return undefined
      const leaf = leafHash(payload)
      return sameBytes(leaf, leaves.subarray(index * 32, index * 32 + 32)) ? { bytes: payload, leaf } : undefined
    }
    try {
      const { p, d } = checkProved(decode(payload, provedLimits))
      if (d.length !== this.#lengthOf(index)) return undefined
      const leaf = leafHash(d)
      return verifyProof({ root, leafHash: leaf, index, count: blocks, proof: p }) ? { bytes: d, leaf } : undefined
    } catch (error) {
      if (isProblem(error)) return undefined
      throw error
    }
  }

  async #write(index: number, { bytes, leaf }: { bytes: Uint8Array; leaf: Uint8Array }): Promise<void> {
    try {
      await this.#blocks.write(index * this.row.block_bytes, bytes)
      await this.#leaves?.write(index * 32, leaf)
      this.#written.push(index)
      if (this.#due) void this.#sync()
      else this.#tellSoon()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** One sync at a time; what is written meanwhile goes with the next. */
  #sync(): Promise<void> {
    this.#syncing ??= this.#syncAll().finally(() => {
      this.#syncing = undefined
      if (this.#written.length > 0) this.#tellSoon()
    })
    return this.#syncing
  }

  async #syncAll(): Promise<void> {
    try {
      do {
        const written = this.#written
        const bad = this.#bad
        this.#written = []
        this.#bad = []
        this.#timer?.cancel()
        this.#timer = undefined
        if (written.length > 0) {
          await this.#leaves?.sync()
          await this.#blocks.sync()
        }
        for (const index of written) {
          this.#have.add(index)
          this.#coming.delete(index)
        }
        if (!this.#closed && (written.length > 0 || bad.length > 0)) this.#ports.onProgress(this, bad)
      } while (this.#due)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Enough was written to sync at once, or nothing more will come. */
  get #due(): boolean {
    return (
      this.#written.length >= this.#ports.syncBlocks() ||
      (this.#written.length > 0 && this.#have.count + this.#written.length === this.row.blocks)
    )
  }

  #tellSoon(): void {
    if (this.#closed) return
    this.#timer ??= this.#ports.clock.timer(syncMs, () => {
      this.#timer = undefined
      if (this.#written.length === 0 && this.#bad.length === 0) this.#ports.onProgress(this, [])
      else void this.#sync()
    })
  }

  /** The disk failed: nothing that was not synced counts, and the blocks must come again. */
  #fail(error: unknown): void {
    this.#coming.clear()
    this.#written = []
    this.#failure = isProblem(error) ? error : new Problem('storage.failed', String(error))
    this.#ports.onProblem(this, this.#failure)
  }

  #lengthOf(index: number): number {
    const { size_bytes, block_bytes, blocks } = this.row
    return index === blocks - 1 ? size_bytes - (blocks - 1) * block_bytes : block_bytes
  }
}

/** What is on disk of a transfer that was begun before: blocks that match their leaf, which then are synced. */
async function recheck(row: TransferRow, blocks: FileHandle, leaves: FileHandle | undefined): Promise<BlockSet> {
  const have = new BlockSet()
  const held = Math.min(row.blocks, Math.ceil((await blocks.size()) / row.block_bytes))
  for (let index = 0; index < held; index++) {
    const length = index === row.blocks - 1 ? row.size_bytes - index * row.block_bytes : row.block_bytes
    const leaf = row.leaves ? row.leaves.subarray(index * 32, index * 32 + 32) : await leaves!.read(index * 32, 32)
    if (leaf.length !== 32) continue
    if (sameBytes(leafHash(await blocks.read(index * row.block_bytes, length)), leaf)) have.add(index)
  }
  if (have.count > 0) {
    await leaves?.sync()
    await blocks.sync()
  }
  return have
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
