/** Where two copies of the same data differ, as byte ranges a person can read (S11). Pure. */

/** `[from, to)`, in bytes of the object. */
export type ByteRange = [from: number, to: number]

/** Ranges that are kept and shown; what is nearer together than the last gap that had to be closed is one. */
export const rangesMax = 256

/** Collects differing ranges in order, bounded: when there are too many, the nearest grow together. */
export class Ranges {
  readonly found: ByteRange[] = []

  add(from: number, to: number): void {
    if (to <= from) return
    const last = this.found.at(-1)
    if (last && from <= last[1]) last[1] = Math.max(last[1], to)
    else this.found.push([from, to])
    if (this.found.length > rangesMax) this.#join()
  }

  get bytes(): number {
    return this.found.reduce((sum, [from, to]) => sum + to - from, 0)
  }

  #join(): void {
    let nearest = 1
    for (let at = 2; at < this.found.length; at++) if (this.#gap(at) < this.#gap(nearest)) nearest = at
    this.found[nearest - 1]![1] = this.found[nearest]![1]
    this.found.splice(nearest, 1)
  }

  #gap(at: number): number {
    return this.found[at]![0] - this.found[at - 1]![1]
  }
}

/** Adds the differing ranges of two pieces that begin at `offset`; what one lacks at its end differs. */
export function addDifferences(ranges: Ranges, offset: number, good: Uint8Array, other: Uint8Array): void {
  const both = Math.min(good.length, other.length)
  for (let at = 0; at < both; at++) {
    if (good[at] === other[at]) continue
    const from = at
    while (at < both && good[at] !== other[at]) at++
    ranges.add(offset + from, offset + at)
  }
  ranges.add(offset + both, offset + Math.max(good.length, other.length))
}
