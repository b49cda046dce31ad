/**
 * The hash tree of RFC 9162 §2.1 over SHA-256: transfers, replicas and audits name content by its root, and a proof of a
 * few hashes shows that one leaf belongs to it. Domain-separated: a leaf can never pass for a node.
 */
import { createHash } from 'node:crypto'
import { Problem } from './problem.ts'

const hashBytes = 32
const leafPrefix = Uint8Array.of(0)
const nodePrefix = Uint8Array.of(1)

/** SHA-256(0x00 ‖ leaf). */
export function leafHash(leaf: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(leafPrefix).update(leaf).digest())
}

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(nodePrefix).update(left).update(right).digest())
}

/** The root over leaves that come one after another; memory grows with the logarithm of their number. */
export class TreeHash {
  /** One complete subtree per set bit of the count, largest first. */
  #subtrees: { hash: Uint8Array; leaves: number }[] = []
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Adds the next leaf and returns its hash. */
  add(leaf: Uint8Array): Uint8Array {
    const hash = leafHash(leaf)
    this.addHash(hash)
    return hash
  }

  /** Adds a leaf whose hash is already known. */
  addHash(hash: Uint8Array): void {
    let leaves = 1
    let last = this.#subtrees.at(-1)
    while (last && last.leaves === leaves) {
      this.#subtrees.pop()
      hash = nodeHash(last.hash, hash)
      leaves *= 2
      last = this.#subtrees.at(-1)
    }
    this.#subtrees.push({ hash, leaves })
    this.#count++
  }

  /** The root so far; of no leaves, the hash of nothing. More may be added afterwards. */
  root(): Uint8Array {
    let root: Uint8Array | undefined
    for (let at = this.#subtrees.length - 1; at >= 0; at--) {
      const { hash } = this.#subtrees[at]!
      root = root ? nodeHash(hash, root) : hash
    }
    return root ?? new Uint8Array(createHash('sha256').digest())
  }
}

/** A whole tree in memory (64 bytes per leaf), for making many proofs. */
export class MerkleTree {
  /** Bottom up; a level's odd last hash is carried up as it is, which yields the tree of RFC 9162. */
  readonly #levels: Uint8Array[][]

  constructor(leafHashes: readonly Uint8Array[]) {
    this.#levels = [[...leafHashes]]
    for (let level = this.#levels[0]!; level.length > 1; ) {
      const above: Uint8Array[] = []
      for (let at = 0; at < level.length; at += 2)
        above.push(at + 1 < level.length ? nodeHash(level[at]!, level[at + 1]!) : level[at]!)
      this.#levels.push(above)
      level = above
    }
  }

  get count(): number {
    return this.#levels[0]!.length
  }

  root(): Uint8Array {
    return this.#levels.at(-1)![0] ?? new Uint8Array(createHash('sha256').digest())
  }

  /** The inclusion proof of one leaf, lowest sibling first (RFC 9162 §2.1.3.1). @throws {Problem} `message.invalid` */
  prove(index: number): Uint8Array[] {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.count)
      throw new Problem('message.invalid', `leaf ${index} of ${this.count}`)
    const proof: Uint8Array[] = []
    let at = index
    for (const level of this.#levels) {
      const sibling = level[at ^ 1]
      if (sibling) proof.push(sibling)
      at >>>= 1
    }
    return proof
  }
}

/** The root over leaf hashes. */
export function rootOfLeafHashes(leafHashes: Iterable<Uint8Array>): Uint8Array {
  const tree = new TreeHash()
  for (const hash of leafHashes) tree.addHash(hash)
  return tree.root()
}

/** One proof; for many, keep a `MerkleTree`. */
export function prove(leafHashes: readonly Uint8Array[], index: number): Uint8Array[] {
  return new MerkleTree(leafHashes).prove(index)
}

/** What a proof claims: that the leaf stands at `index` of `count` under `root`. */
export interface InclusionProof {
  root: Uint8Array
  leafHash: Uint8Array
  index: number
  count: number
  proof: readonly Uint8Array[]
}

/** Whether the proof holds (RFC 9162 §2.1.3.2). Never throws on bad input: that is a proof that does not hold. */
export function verifyProof({ root, leafHash: leaf, index, count, proof }: InclusionProof): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(count) || index < 0 || index >= count) return false
  if (leaf.length !== hashBytes || root.length !== hashBytes || proof.length > 53) return false
  let hash = leaf
  let at = index
  let last = count - 1
  for (const sibling of proof) {
    if (last === 0 || sibling.length !== hashBytes) return false
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash)
      while (at % 2 === 0 && at !== 0) {
        at = Math.floor(at / 2)
        last = Math.floor(last / 2)
      }
    } else hash = nodeHash(hash, sibling)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && hash.every((byte, i) => byte === root[i])
}

/** The leaf ranges [from, to) whose roots make up the inclusion proof of one leaf, lowest first (RFC 9162 §2.1.3.1). */
function proofRanges(index: number, count: number): [number, number][] {
  const ranges: [number, number][] = []
  let from = 0
  let to = count
  while (to - from > 1) {
    let half = 1
    while (half * 2 < to - from) half *= 2
    if (index - from < half) {
      ranges.push([from + half, to])
      to = from + half
    } else {
      ranges.push([from, from + half])
      from += half
    }
  }
  return ranges.reverse()
}

/** Proofs of some leaves of a tree too big for memory: give it all leaf hashes in order, once. */
export class ProofStream {
  readonly #wanted: { index: number; parts: { from: number; to: number; tree: TreeHash }[] }[]
  readonly #leaves = new Map<number, Uint8Array>()
  #at = 0

  constructor(count: number, indexes: readonly number[]) {
    this.#wanted = indexes.map((index) => {
      if (!Number.isSafeInteger(index) || index < 0 || index >= count)
        throw new Problem('message.invalid', `leaf ${index} of ${count}`)
      return { index, parts: proofRanges(index, count).map(([from, to]) => ({ from, to, tree: new TreeHash() })) }
    })
  }

  addHash(hash: Uint8Array): void {
    const at = this.#at++
    for (const { index, parts } of this.#wanted) {
      if (index === at) this.#leaves.set(at, hash)
      for (const { from, to, tree } of parts) if (at >= from && at < to) tree.addHash(hash)
    }
  }

  /** In the order asked. */
  proofs(): { index: number; leafHash: Uint8Array; proof: Uint8Array[] }[] {
    return this.#wanted.map(({ index, parts }) => ({
      index,
      leafHash: this.#leaves.get(index)!,
      proof: parts.map(({ tree }) => tree.root()),
    }))
  }
}
