/**
 * Sends one object to the gateway's receive buffer, resuming whatever is there (S4, ARCHITECTURE §6). Memory: one window
 * of blocks and 32 bytes per block of the object.
 */
import { encode } from '@azukari/protocol/codec'
import { finishTransfer, type Have, haveTransfer, initTransfer } from '@azukari/protocol/contracts/transfer'
import { MerkleTree } from '@azukari/protocol/merkle'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { blockBytes, blockCount, encryptedBytes, inlineLeavesMaxBytes, SendWindow } from '@azukari/protocol/transfer'
import type { Link } from './link.ts'
import type { Spool } from './spool.ts'

export interface Uploadable {
  transfer: Uint8Array
  to: string
  /** Plaintext bytes. */
  sizeBytes: number
  root: Uint8Array
  /** Leaf hashes of the encrypted blocks, 32 bytes each. */
  leaves: Uint8Array
  file: string
}

export type UploadProgress = { sentBlocks: number; blocks: number }

interface Ports {
  link: Pick<Link, 'call' | 'sendBlock' | 'siteNow'>
  spool: Spool
  clock: Clock
}

/** Without news of a block for this long, the receiver is asked what it has. */
const stallMs = 5_000
/** Questions without any new block after which the transfer is given up until the next try. */
const maxStalls = 6
/** How long the gateway is asked to keep a half-finished transfer. */
const keepMs = 7 * 86_400_000

/**
 * One upload. Feed it `progress` events of its transfer while `run` is under way.
 */
export class Upload {
  readonly #ports: Ports
  readonly #object: Uploadable
  readonly #window: SendWindow
  readonly #tree: MerkleTree | undefined
  /** Memory that blocks are read into, again and again: one window of it, whatever the object's size. */
  readonly #places: Uint8Array[] = []
  #news = Promise.withResolvers<void>()
  #failure: Problem | undefined

  constructor(ports: Ports, object: Uploadable) {
    this.#ports = ports
    this.#object = object
    this.#window = new SendWindow(blockCount(object.sizeBytes))
    if (object.sizeBytes > inlineLeavesMaxBytes) this.#tree = new MerkleTree(hashesOf(object.leaves))
  }

  /** The gateway's word on what is on its disk, and which blocks were bad. */
  progress(have: Have, bad: readonly number[]): void {
    this.#window.have(have.ranges, have.windowBlocks, bad)
    this.#news.resolve()
  }

  /** Resolves when the gateway has checked the whole. @throws {Problem} `link.*`, `transfer.*`, `memory.*` */
  async run(signal: AbortSignal, onProgress: (progress: UploadProgress) => void): Promise<void> {
    const { link } = this.#ports
    const { transfer, sizeBytes, root, leaves, to } = this.#object
    const blocks = this.#window.blocks
    const have = await link.call(
      initTransfer,
      {
        transfer,
        to,
        sizeBytes: encryptedBytes(sizeBytes),
        blockBytes,
        blocks,
        root,
        ...(this.#tree ? {} : { leaves: hashesOf(leaves) }),
        expiresMs: link.siteNow() + keepMs,
      },
      { signal },
    )
    this.#window.broken()
    this.#window.have(have.ranges, have.windowBlocks)
    for (let stalls = 0; !this.#window.complete; ) {
      signal.throwIfAborted()
      onProgress({ sentBlocks: this.#window.sentOrHeld, blocks })
      const before = this.#window.sentOrHeld
      this.#news = Promise.withResolvers()
      await this.#fillWindow()
      const news = await this.#newsWithin(stallMs, signal)
      if (this.#failure) throw this.#failure
      if (!news) {
        if (++stalls > maxStalls) throw new Problem('link.timeout', 'the gateway takes no blocks')
        const again = await link.call(haveTransfer, { transfer }, { signal })
        this.#window.broken()
        this.#window.have(again.ranges, again.windowBlocks)
      }
      if (this.#window.sentOrHeld > before) stalls = 0
    }
    onProgress({ sentBlocks: blocks, blocks })
    const finished = await link.call(finishTransfer, { transfer }, { signal })
    if (!Buffer.from(finished.root).equals(root)) throw new Problem('transfer.bad-root')
  }

  /** Sends as much as the window allows, without waiting for the broker: the gateway's word moves the window. */
  async #fillWindow(): Promise<void> {
    const { spool } = this.#ports
    const { file } = this.#object
    for (let index = this.#window.next(); index !== undefined; index = this.#window.next()) {
      if (this.#failure) return
      const place = this.#places.pop() ?? new Uint8Array(blockBytes)
      const block = await spool.read(file, index * blockBytes, blockBytes, place)
      void this.#send(index, block, place)
    }
  }

  async #send(index: number, block: Uint8Array, place: Uint8Array): Promise<void> {
    const name = Buffer.from(this.#object.transfer).toString('hex')
    try {
      await this.#ports.link.sendBlock(
        name,
        index,
        this.#tree ? encode({ p: this.#tree.prove(index), d: block }) : block,
      )
      // The broker has it, so nobody reads these bytes any more; after a failure somebody might.
      this.#places.push(place)
    } catch (error) {
      this.#failure ??= isProblem(error) ? error : new Problem('link.offline', String(error))
      this.#news.resolve()
    }
  }

  async #newsWithin(ms: number, signal: AbortSignal): Promise<boolean> {
    if (this.#window.complete) return true
    const { promise: late, resolve } = Promise.withResolvers<boolean>()
    const abort = () => resolve(false)
    signal.addEventListener('abort', abort, { once: true })
    using _limit = this.#ports.clock.timer(ms, () => resolve(false))
    try {
      return await Promise.race([this.#news.promise.then(() => true), late])
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }
}

function hashesOf(leaves: Uint8Array): Uint8Array[] {
  const hashes: Uint8Array[] = []
  for (let at = 0; at < leaves.length; at += 32) hashes.push(leaves.subarray(at, at + 32))
  return hashes
}
