/**
 * Finds registered works that look like a picture (R1, R5), where a mark was lost: a hint, never a proof. All fingerprints are in memory,
 * 32 bytes each: most of a million are left after three of eight words, so that no index is needed.
 */
import { distanceMax, type Fingerprint, qualityMin } from '@azukari/protocol/marks/fingerprint'
import type { Sql } from '../../../storage/database.ts'

export interface Alike {
  work: string
  /** Bits that differ, of 256. */
  distance: number
}

const words = 8

export class FingerprintIndex {
  readonly #works: string[] = []
  #hashes = new Uint32Array(1024 * words)

  add(work: string, { hash, quality }: Fingerprint): void {
    if (quality < qualityMin) return
    const at = this.#works.push(work) * words
    if (at > this.#hashes.length) {
      const larger = new Uint32Array(this.#hashes.length * 2)
      larger.set(this.#hashes)
      this.#hashes = larger
    }
    this.#hashes.set(wordsOf(hash), at - words)
  }

  /** The nearest within the distance at which two pictures look alike; undefined without one, and of a picture too flat to tell. */
  nearest({ hash, quality }: Fingerprint): Alike | undefined {
    if (quality < qualityMin) return undefined
    const wanted = wordsOf(hash)
    let found: Alike | undefined
    for (const [at, work] of this.#works.entries()) {
      const distance = this.#distance(at * words, wanted, (found?.distance ?? distanceMax + 1) - 1)
      if (distance !== undefined) found = { work, distance }
    }
    return found
  }

  /** Undefined when it is more than `most`. */
  #distance(from: number, wanted: Uint32Array, most: number): number | undefined {
    let distance = 0
    for (let i = 0; i < words; i++) {
      distance += bitsIn(this.#hashes[from + i]! ^ wanted[i]!)
      if (distance > most) return undefined
    }
    return distance
  }
}

/** All that are registered. */
export async function fingerprintsIn(sql: Sql): Promise<FingerprintIndex> {
  const index = new FingerprintIndex()
  const rows = await sql.all<{ work: string; hash: Uint8Array; quality: number }>(
    'SELECT work, hash, quality FROM fingerprints ORDER BY work',
  )
  for (const { work, hash, quality } of rows) index.add(work, { hash: new Uint8Array(hash), quality })
  return index
}

function wordsOf(hash: Uint8Array): Uint32Array {
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength)
  return Uint32Array.from({ length: words }, (_, i) => view.getUint32(i * 4))
}

function bitsIn(word: number): number {
  let left = word - ((word >>> 1) & 0x55555555)
  left = (left & 0x33333333) + ((left >>> 2) & 0x33333333)
  return Math.imul((left + (left >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
