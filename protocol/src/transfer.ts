/**
 * Transfer, the pure part (ARCHITECTURE §6): how content becomes encrypted blocks, which blocks a receiver has, and what
 * a sender sends next. No I/O: the device and the gateway perform what is decided here.
 *
 * Blocks are encrypted for the receiving service under a key made for this transfer, so neither a foreign broker nor
 * the buffer's disk sees plaintext; encryption depends on (key, transfer, index) only, so a block sent twice is the same.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import { encodeDeterministic } from './codec.ts'
import { Problem } from './problem.ts'

/** Plaintext bytes per block. */
export const blockPlainBytes = 65_536
const tagBytes = 16
/** Bytes of a full block on the wire. */
export const blockBytes = blockPlainBytes + tagBytes
/** Above this much, `init` names only the root and each block brings its proof. */
export const inlineLeavesMaxBytes = 8 * 1024 * 1024

/** How many blocks carry `sizeBytes` of plaintext; an empty object has one empty block. */
export function blockCount(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / blockPlainBytes))
}

/** Encrypted size of `sizeBytes` of plaintext. */
export function encryptedBytes(sizeBytes: number): number {
  return sizeBytes + blockCount(sizeBytes) * tagBytes
}

/** Encrypts one block: AES-256-GCM, nonce = 4 zero bytes and the index, AAD = domain, transfer and index. */
export function encryptBlock(key: Uint8Array, transfer: Uint8Array, index: number, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), nonceOf(index))
  cipher.setAAD(aadOf(transfer, index))
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** @throws {Problem} `transfer.bad-block` */
export function decryptBlock(key: Uint8Array, transfer: Uint8Array, index: number, block: Uint8Array): Uint8Array {
  if (block.length < tagBytes) throw new Problem('transfer.bad-block', `block ${index} is too short`)
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), nonceOf(index))
  decipher.setAAD(aadOf(transfer, index))
  decipher.setAuthTag(block.subarray(block.length - tagBytes))
  // A cipher in counter mode gives each byte at once: nothing is left for the end but the verdict.
  const plain = decipher.update(block.subarray(0, block.length - tagBytes))
  try {
    decipher.final()
    return plain
  } catch (cause) {
    throw new Problem('transfer.bad-block', `block ${index} does not open`, { cause })
  }
}

function nonceOf(index: number): Uint8Array {
  const nonce = new Uint8Array(12)
  new DataView(nonce.buffer).setUint32(8, index)
  return nonce
}

function aadOf(transfer: Uint8Array, index: number): Uint8Array {
  return encodeDeterministic(['azukari/transfer/1', transfer, index])
}

/** A set of block indexes, kept as sorted, disjoint [first, last] ranges: small for any size of transfer. */
export class BlockSet {
  #ranges: [number, number][]
  #count = 0

  constructor(ranges: Iterable<readonly [number, number]> = []) {
    this.#ranges = []
    for (const [first, last] of ranges) this.addRange(first, last)
  }

  get count(): number {
    return this.#count
  }

  get ranges(): [number, number][] {
    return this.#ranges.map(([first, last]) => [first, last])
  }

  has(index: number): boolean {
    const at = this.#after(index) - 1
    return at >= 0 && this.#ranges[at]![1] >= index
  }

  add(index: number): void {
    this.addRange(index, index)
  }

  addRange(first: number, last: number): void {
    if (!(Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && last >= first))
      throw new Problem('message.invalid', 'a range of blocks runs backwards')
    let from = this.#after(first)
    if (from > 0 && this.#ranges[from - 1]![1] >= first - 1) from--
    let to = from
    while (to < this.#ranges.length && this.#ranges[to]![0] <= last + 1) {
      const range = this.#ranges[to]!
      first = Math.min(first, range[0])
      last = Math.max(last, range[1])
      this.#count -= range[1] - range[0] + 1
      to++
    }
    this.#ranges.splice(from, to - from, [first, last])
    this.#count += last - first + 1
  }

  /** The first index in [0, blocks) from `from` on that is in none of the sets; undefined when there is none. */
  static firstMissing(blocks: number, from: number, ...sets: BlockSet[]): number | undefined {
    let index = from
    for (let moved = true; moved; ) {
      moved = false
      for (const set of sets) {
        const at = set.#after(index) - 1
        if (at >= 0 && set.#ranges[at]![1] >= index) {
          index = set.#ranges[at]![1] + 1
          moved = true
        }
      }
    }
    return index < blocks ? index : undefined
  }

  /** Position of the first range that starts after `index`. */
  #after(index: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ranges[middle]![0] <= index) low = middle + 1
      else high = middle
    }
    return low
  }
}

/**
 * What a sender should send next. Blocks count as under way from being sent until the receiver's `have` covers them,
 * or says that they were bad; after a break nothing is under way.
 */
export class SendWindow {
  readonly blocks: number
  #have: BlockSet
  #underWay = new Set<number>()
  #windowBlocks: number

  constructor(blocks: number, windowBlocks = 8) {
    this.blocks = blocks
    this.#have = new BlockSet()
    this.#windowBlocks = windowBlocks
  }

  get sentOrHeld(): number {
    return this.#have.count
  }

  get complete(): boolean {
    return this.#have.count >= this.blocks
  }

  get underWay(): number {
    return this.#underWay.size
  }

  isUnderWay(index: number): boolean {
    return this.#underWay.has(index)
  }

  /** The next block to send now, marked as under way; undefined when the window is full or nothing is left. */
  next(): number | undefined {
    const index = this.peek()
    if (index !== undefined) this.#underWay.add(index)
    return index
  }

  /** What `next` would return. */
  peek(): number | undefined {
    if (this.#underWay.size >= this.#windowBlocks) return undefined
    let index = BlockSet.firstMissing(this.blocks, 0, this.#have)
    while (index !== undefined && this.#underWay.has(index))
      index = BlockSet.firstMissing(this.blocks, index + 1, this.#have)
    return index
  }

  /** The receiver's word on what it has. `bad` blocks are sent again. */
  have(ranges: Iterable<readonly [number, number]>, windowBlocks: number, bad: readonly number[] = []): void {
    for (const [first, last] of ranges) {
      if (last >= this.blocks) throw new Problem('message.invalid', 'a range of blocks ends past the last')
      this.#have.addRange(first, last)
    }
    for (const index of this.#underWay) if (this.#have.has(index)) this.#underWay.delete(index)
    for (const index of bad) this.#underWay.delete(index)
    this.#windowBlocks = windowBlocks
  }

  /** The line broke: whatever was under way may be lost. */
  broken(): void {
    this.#underWay.clear()
  }
}
