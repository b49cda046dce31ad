/**
 * Sends one object to the gateway's receive buffer, resuming whatever is there (S4, ARCHITECTURE §6). Memory: one window
 * of blocks and 32 bytes per block of the object.
 */
import { encode } from '@azukari/protocol/codec'
import { finishTransfer, type Have, haveTransfer, initTransfer } from '@azukari/protocol/contracts/transfer'
import { prove } from '@azukari/protocol/merkle'
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
  link: Pick<Link, 'call' | 'sendBlock'>
  spool: Spool
  clock: Clock
}

/** Without news of a block for this long, the receiver is asked what it has. */
const stallMs = 5_000
/** Questions without any new block after which the transfer is given up until the next try. */
const stallsAtMost = 6
/** How long the gateway is asked to keep a half-finished transfer. */
const keepMs = 7 * 86_400_000

/**
 * One upload. Feed it `progress` events of its transfer while `run` is under way.
 */
export class Upload {
  readonly #ports: Ports
  readonly #object: Uploadable
  readonly #window: SendWindow
  #news = Promise.withResolvers<void>()

  constructor(ports: Ports, object: Uploadable) {
    this.#ports = ports
    this.#object = object
    this.#window = new SendWindow(blockCount(object.sizeBytes))
  }

  /** The gateway's word on what is on its disk, and which blocks were bad. */
  progress(have: Have, bad: readonly number[]): void {
    this.#window.have(have.ranges, have.windowBlocks, bad)
    this.#news.resolve()
  }

  /** Resolves when the gateway has checked the whole. @throws {Problem} `link.*`, `transfer.*`, `memory.*` */
  async run(signal: AbortSignal, onProgress: (progress: UploadProgress) => void): Promise<void> {
    const { link, clock } = this.#ports
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
        ...(this.#inline ? { leaves: hashesOf(leaves) } : {}),
        expiresMs: clock.now() + keepMs,
      },
      { signal },
    )
    this.#window.broken()
    this.#window.have(have.ranges, have.windowBlocks)
    for (let stalls = 0; !this.#window.complete; ) {
      signal.throwIfAborted()
      onProgress({ sentBlocks: this.#window.sentOrHeld, blocks })
      const before = this.#window.sentOrHeld
      await this.#sendWindow()
      if (!(await this.#newsWithin(stallMs, signal))) {
        if (++stalls > stallsAtMost) throw new Problem('link.timeout', 'the gateway takes no blocks')
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

  get #inline(): boolean {
    return this.#object.sizeBytes <= inlineLeavesMaxBytes
  }

  async #sendWindow(): Promise<void> {
    const { link, spool } = this.#ports
    const { transfer, file, leaves } = this.#object
    const name = Buffer.from(transfer).toString('hex')
    this.#news = Promise.withResolvers()
    const sent: Promise<void>[] = []
    for (let index = this.#window.next(); index !== undefined; index = this.#window.next()) {
      const block = await spool.read(file, index * blockBytes, blockBytes)
      const payload = this.#inline ? block : encode({ p: prove(hashesOf(leaves), index), d: block })
      const sending = link.sendBlock(name, index, payload)
      // Looked at below; a line that breaks while the next block is read must not end the process.
      sending.catch(() => undefined)
      sent.push(sending)
    }
    const results = await Promise.allSettled(sent)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw isProblem(failed.reason) ? failed.reason : new Problem('link.offline', String(failed.reason))
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
