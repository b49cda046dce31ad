/**
 * Downloads, the pure part (ARCHITECTURE §6): what is offered, and how its blocks travel. The root is over the blocks in
 * the clear, so the same content has the same root for every device; each block is encrypted under the key of the
 * offer, its proof inside, so a foreign broker sees neither the content nor its hashes.
 */
import { sameBytes } from './bytes.ts'
import { encode } from './codec.ts'
import type { Offer } from './contracts/download.ts'
import type { TransferFacts } from './incoming.ts'
import { leafHash, MerkleTree, rootOfLeafHashes } from './merkle.ts'
import { Problem } from './problem.ts'
import { blockPlainBytes, decryptBlock, encryptBlock, inlineLeavesMaxBytes } from './transfer.ts'

/** What is known of content before it is sent: its size, and the hash of each of its blocks. */
export interface ContentHashes {
  sizeBytes: number
  root: Uint8Array
  /** 32 bytes for each block. */
  leaves: Uint8Array
}

/** Reads up to `length` bytes from `at`; shorter only at the end. */
export type ReadContent = (at: number, length: number) => Promise<Uint8Array>

/** Hashes content piece by piece. */
export async function hashContent(sizeBytes: number, read: ReadContent): Promise<ContentHashes> {
  const leaves: Uint8Array[] = []
  for (let at = 0; at < sizeBytes; at += blockPlainBytes) {
    const block = await read(at, Math.min(blockPlainBytes, sizeBytes - at))
    if (block.length !== Math.min(blockPlainBytes, sizeBytes - at))
      throw new Problem('transfer.bad-root', `the content ends before ${sizeBytes} bytes`)
    leaves.push(leafHash(block))
  }
  return { sizeBytes, root: rootOfLeafHashes(leaves), leaves: new Uint8Array(Buffer.concat(leaves)) }
}

/** The same for content that is in memory. */
export function hashBytes(content: Uint8Array): ContentHashes {
  const leaves: Uint8Array[] = []
  for (let at = 0; at < content.length; at += blockPlainBytes)
    leaves.push(leafHash(content.subarray(at, at + blockPlainBytes)))
  return {
    sizeBytes: content.length,
    root: rootOfLeafHashes(leaves),
    leaves: new Uint8Array(Buffer.concat(leaves)),
  }
}

/** What a device is told of content. */
export function offerOf(
  content: ContentHashes,
  says: Pick<Offer, 'transfer' | 'from' | 'kind' | 'name' | 'mediaType' | 'key' | 'expiresMs'>,
): Offer {
  const offer: Offer = {
    ...says,
    sizeBytes: content.sizeBytes,
    blocks: content.leaves.length / 32,
    root: content.root,
  }
  if (content.sizeBytes <= inlineLeavesMaxBytes) offer.leaves = content.leaves
  return offer
}

/** Makes the blocks of one content, as they travel; the tree is kept where blocks bring their proofs. */
export class ContentBlocks {
  readonly #content: ContentHashes
  readonly #read: ReadContent
  readonly #tree: MerkleTree | undefined

  constructor(content: ContentHashes, read: ReadContent) {
    this.#content = content
    this.#read = read
    if (content.sizeBytes > inlineLeavesMaxBytes) {
      const leaves: Uint8Array[] = []
      for (let at = 0; at < content.leaves.length; at += 32) leaves.push(content.leaves.subarray(at, at + 32))
      this.#tree = new MerkleTree(leaves)
    }
  }

  /** How many there are. */
  get count(): number {
    return this.#content.leaves.length / 32
  }

  /** @throws {Problem} `transfer.bad-root` when the content is not what was hashed any more, and what reading it throws */
  async sealed({ key, transfer }: Pick<Offer, 'key' | 'transfer'>, index: number): Promise<Uint8Array> {
    const at = index * blockPlainBytes
    const plain = await this.#read(at, Math.min(blockPlainBytes, this.#content.sizeBytes - at))
    if (!sameBytes(leafHash(plain), this.#content.leaves.subarray(index * 32, index * 32 + 32)))
      throw new Problem('transfer.bad-root', `block ${index} has changed since it was offered`)
    const payload = this.#tree ? encode({ p: this.#tree.prove(index), d: plain }) : plain
    return encryptBlock(key, transfer, index, payload)
  }
}

/** What a block carries, for `checkBlock`; nothing that any check accepts when it was not sealed for this transfer. */
export function openedBlock({ key, transfer }: Offer, index: number, payload: Uint8Array): Uint8Array {
  try {
    return decryptBlock(key, transfer, index, payload)
  } catch {
    return new Uint8Array(0)
  }
}

/** How an offer's blocks are checked. @throws {Problem} `message.invalid`, `transfer.bad-root` when it contradicts itself */
export function factsOfOffer({ sizeBytes, blocks, root, leaves }: Offer): TransferFacts {
  if (blocks !== Math.ceil(sizeBytes / blockPlainBytes))
    throw new Problem('message.invalid', `${blocks} blocks are not ${sizeBytes} bytes`)
  if (leaves === undefined && sizeBytes <= inlineLeavesMaxBytes)
    throw new Problem('message.invalid', 'leaves are told up to 8 MiB')
  if (leaves && leaves.length !== blocks * 32) throw new Problem('message.invalid', 'one leaf per block')
  if (leaves && !sameBytes(new Uint8Array(rootOfLeafHashes(splitLeaves(leaves))), root))
    throw new Problem('transfer.bad-root')
  return { sizeBytes, blockBytes: blockPlainBytes, blocks, root, leaves }
}

function splitLeaves(leaves: Uint8Array): Uint8Array[] {
  const hashes: Uint8Array[] = []
  for (let at = 0; at < leaves.length; at += 32) hashes.push(leaves.subarray(at, at + 32))
  return hashes
}
