/** From what a member made to the encrypted blocks of its transfer, in one pass (S4). */
import { createHash } from 'node:crypto'
import { TreeHash } from '@azukari/protocol/merkle'
import { Problem } from '@azukari/protocol/problem'
import { blockPlainBytes, encryptBlock } from '@azukari/protocol/transfer'

/** The largest object: 2 MiB of leaf hashes. */
const objectMaxBytes = 4 * 1024 ** 3

/** Plaintext pieces of any length → encrypted blocks, with hashes of both sides made on the way. */
export class Sealing {
  readonly #key: Uint8Array
  readonly #transfer: Uint8Array
  readonly #plainHash = createHash('sha256')
  readonly #tree = new TreeHash()
  readonly #leaves: Uint8Array[] = []
  #sizeBytes = 0

  constructor(key: Uint8Array, transfer: Uint8Array) {
    this.#key = key
    this.#transfer = transfer
  }

  async *blocks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const buffer = new Uint8Array(blockPlainBytes)
    let filled = 0
    for await (const piece of pieces) {
      this.#sizeBytes += piece.length
      if (this.#sizeBytes > objectMaxBytes) throw new Problem('transfer.too-large', `more than ${objectMaxBytes} bytes`)
      this.#plainHash.update(piece)
      for (let at = 0; at < piece.length; ) {
        const take = Math.min(piece.length - at, blockPlainBytes - filled)
        buffer.set(piece.subarray(at, at + take), filled)
        at += take
        filled += take
        if (filled === blockPlainBytes) {
          yield this.#block(buffer)
          filled = 0
        }
      }
    }
    if (filled > 0 || this.#leaves.length === 0) yield this.#block(buffer.subarray(0, filled))
  }

  result(): { sizeBytes: number; sha256: Uint8Array; root: Uint8Array; leaves: Uint8Array } {
    return {
      sizeBytes: this.#sizeBytes,
      sha256: this.#plainHash.digest(),
      root: this.#tree.root(),
      leaves: Buffer.concat(this.#leaves),
    }
  }

  #block(plain: Uint8Array): Uint8Array {
    const block = encryptBlock(this.#key, this.#transfer, this.#leaves.length, plain)
    this.#leaves.push(this.#tree.add(block))
    return block
  }
}
