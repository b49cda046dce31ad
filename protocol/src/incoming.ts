/**
 * One transfer that is coming in, at the gateway or at a device (S4, ARCHITECTURE §6). Each block is checked against the
 * announced root when it arrives, written, and counted as held when the file is synced, some blocks at a time. Memory: the
 * blocks between arrival and disk, at most one window, whatever the size.
 *
 * Beside the blocks of a big transfer lie their leaf hashes, so that after a crash what is on disk can be told from what
 * is torn without asking the device for proofs again.
 */
import { sameBytes } from './bytes.ts'
import { decode } from './codec.ts'
import { Bytes, checker, Hash, Type } from './contract.ts'
import { leafHash, verifyProof } from './merkle.ts'
import type { Clock, FileHandle, Files, Timer } from './ports.ts'
import { isProblem, Problem } from './problem.ts'
import { BlockSet } from './transfer.ts'

/** Time after which what was written is synced, however little it is. */
const syncMs = 20
/** Blocks that any sender may have under way. */
export const windowMostBlocks = 32

const checkProved = checker(Type.Object({ p: Type.Array(Hash, { maxItems: 53 }), d: Bytes(1, 131_072) }), 'block')
const provedLimits = { maxBytes: 160_000 }

/** What was announced of a transfer. */
export interface TransferFacts {
  sizeBytes: number
  blockBytes: number
  blocks: number
  root: Uint8Array
  /** Leaf hashes of all blocks, 32 bytes each; without them each block brings its proof. */
  leaves: Uint8Array | undefined
}

export interface IncomingPorts<Row> {
  files: Files
  clock: Clock
  /** Blocks after which what was written is synced: half a window, so that the sender can go on meanwhile. */
  syncBlocks: () => number
  /** Blocks are on disk, or were bad; the sender should know. */
  onProgress: (incoming: Incoming<Row>, bad: readonly number[]) => void
  onProblem: (incoming: Incoming<Row>, problem: Problem) => void
  /** Memory for a block on its way to the disk; undefined while there is none. */
  reserve: (incoming: Incoming<Row>, bytes: number) => { release(): void } | undefined
}

export class Incoming<Row = unknown> {
  /** Whose transfer it is, for whoever opened it. */
  readonly row: Row
  readonly #facts: TransferFacts
  readonly #ports: IncomingPorts<Row>
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
    row: Row,
    facts: TransferFacts,
    ports: IncomingPorts<Row>,
    blocks: FileHandle,
    leaves: FileHandle | undefined,
    have: BlockSet,
  ) {
    this.row = row
    this.#facts = facts
    this.#ports = ports
    this.#blocks = blocks
    this.#leaves = leaves
    this.#have = have
    this.lastUsedMs = ports.clock.monotonicMs()
  }

  /** Opens a transfer, new or begun: what its files hold is checked against its hashes. */
  static async open<Row>(
    row: Row,
    facts: TransferFacts,
    path: string,
    ports: IncomingPorts<Row>,
    isComplete = false,
  ): Promise<Incoming<Row>> {
    const blocks = await ports.files.open(`${path}.blocks`, 'create')
    const leaves = facts.leaves ? undefined : await ports.files.open(`${path}.leaves`, 'create')
    const have = isComplete ? new BlockSet([[0, facts.blocks - 1]]) : await recheck(facts, blocks, leaves)
    return new Incoming(row, facts, ports, blocks, leaves, have)
  }

  get ranges(): [number, number][] {
    return this.#have.ranges
  }

  /** On disk. */
  get receivedBytes(): number {
    return Math.min(this.#have.count * this.#facts.blockBytes, this.#facts.sizeBytes)
  }

  get whole(): boolean {
    return this.#have.count === this.#facts.blocks
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
    if (this.#closed || index >= this.#facts.blocks || this.#coming.has(index)) return undefined
    const held = this.#have.has(index)
    const block = held ? undefined : checkBlock(this.#facts, index, payload)
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
    for (let index = from; index < Math.min(from + count, this.#facts.blocks); index++) {
      if (!this.#have.has(index)) throw new Problem('transfer.incomplete', `block ${index}`)
      blocks.push(await this.#blocks.read(index * this.#facts.blockBytes, lengthOf(this.#facts, index)))
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

  async #write(index: number, { bytes, leaf }: { bytes: Uint8Array; leaf: Uint8Array }): Promise<void> {
    try {
      await this.#blocks.write(index * this.#facts.blockBytes, bytes)
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
      (this.#written.length > 0 && this.#have.count + this.#written.length === this.#facts.blocks)
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
}

/** A block as it came, when it is the one that was announced under this index. */
export function checkBlock(
  facts: TransferFacts,
  index: number,
  payload: Uint8Array,
): { bytes: Uint8Array; leaf: Uint8Array } | undefined {
  const { leaves, root, blocks } = facts
  if (leaves) {
    if (payload.length !== lengthOf(facts, index)) return undefined
    const leaf = leafHash(payload)
    return sameBytes(leaf, leaves.subarray(index * 32, index * 32 + 32)) ? { bytes: payload, leaf } : undefined
  }
  try {
    const { p, d } = checkProved(decode(payload, provedLimits))
    if (d.length !== lengthOf(facts, index)) return undefined
    const leaf = leafHash(d)
    return verifyProof({ root, leafHash: leaf, index, count: blocks, proof: p }) ? { bytes: d, leaf } : undefined
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}

function lengthOf({ sizeBytes, blockBytes, blocks }: TransferFacts, index: number): number {
  return index === blocks - 1 ? sizeBytes - (blocks - 1) * blockBytes : blockBytes
}

/** What is on disk of a transfer that was begun before: blocks that match their leaf, which then are synced. */
async function recheck(facts: TransferFacts, blocks: FileHandle, leaves: FileHandle | undefined): Promise<BlockSet> {
  const have = new BlockSet()
  const held = Math.min(facts.blocks, Math.ceil((await blocks.size()) / facts.blockBytes))
  for (let index = 0; index < held; index++) {
    const leaf = facts.leaves ? facts.leaves.subarray(index * 32, index * 32 + 32) : await leaves!.read(index * 32, 32)
    if (leaf.length !== 32) continue
    const block = await blocks.read(index * facts.blockBytes, lengthOf(facts, index))
    if (sameBytes(leafHash(block), leaf)) have.add(index)
  }
  if (have.count > 0) {
    await leaves?.sync()
    await blocks.sync()
  }
  return have
}
