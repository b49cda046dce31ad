/**
 * Local repair: Reed–Solomon over GF(2⁸) with two parity shards per stripe of up to sixteen (ARCHITECTURE §7), in the
 * form P = Σ dᵢ, Q = Σ gⁱ·dᵢ with g = 2 and the polynomial 0x11d (H. P. Anvin, "The mathematics of RAID-6"). Any two
 * lost shards of a stripe, data or parity, come back. Four bytes are worked on at a time: the coder keeps up with disks.
 */
import { InternalError } from '@azukari/protocol/problem'

/** Data shards per stripe. */
export const stripeShards = 16
/** Parity shards per stripe. */
export const parityShards = 2

const exponents = new Uint8Array(512)
const logarithms = new Uint8Array(256)
for (let power = 0, value = 1; power < 255; power++) {
  exponents[power] = value
  exponents[power + 255] = value
  logarithms[value] = power
  value = value & 0x80 ? ((value << 1) ^ 0x11d) & 0xff : value << 1
}

function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : exponents[logarithms[a]! + logarithms[b]!]!
}

function inverse(a: number): number {
  return exponents[255 - logarithms[a]!]!
}

/** All products with one constant. */
function timesTable(constant: number): Uint8Array {
  const table = new Uint8Array(256)
  for (let value = 0; value < 256; value++) table[value] = multiply(constant, value)
  return table
}

/**
 * The two parity shards of a stripe.
 * @param stripe shards one after another, `shardBytes` each, shorter ones padded with zeros; starts at a multiple of 4
 * @param shardBytes a multiple of 4
 */
export function encodeParity(
  stripe: Uint8Array,
  count: number,
  shardBytes: number,
  p: Uint8Array,
  q: Uint8Array,
): void {
  if (
    shardBytes % 4 !== 0 ||
    stripe.byteOffset % 4 !== 0 ||
    count < 1 ||
    count > stripeShards ||
    stripe.length < count * shardBytes
  )
    throw new InternalError('a stripe must be whole and aligned')
  const words = shardBytes / 4
  const data = new Int32Array(stripe.buffer, stripe.byteOffset, count * words)
  const sums = new Int32Array(p.buffer, p.byteOffset, words)
  const weighted = new Int32Array(q.buffer, q.byteOffset, words)
  const top = (count - 1) * words
  for (let word = 0; word < words; word++) {
    let sum = data[top + word]!
    let horner = sum
    for (let at = top - words + word; at >= 0; at -= words) {
      const value = data[at]!
      sum ^= value
      // Doubling in four bytes at once: shift each, and reduce those whose top bit fell out.
      horner = ((horner << 1) & 0xfefefefe) ^ (((horner >>> 7) & 0x01010101) * 0x1d) ^ value
    }
    sums[word] = sum
    weighted[word] = horner
  }
}

/**
 * Restores up to two lost shards in place. Index `count` is P and `count + 1` is Q.
 * @param shards `count` data shards, P and Q, all of `shardBytes`; the lost ones are overwritten
 * @returns false when more than two are lost: nothing is changed then
 */
export function repairStripe(shards: readonly Uint8Array[], count: number, lost: readonly number[]): boolean {
  if (shards.length !== count + parityShards) throw new InternalError('a stripe has its data shards, P and Q')
  if (lost.length > parityShards) return false
  const p = shards[count]!
  const q = shards[count + 1]!
  const lostData = lost.filter((index) => index < count)
  const known = (index: number) => !lost.includes(index)
  if (lostData.length === 2) {
    // Two unknowns x at i, y at j: x + y = P′ and gⁱx + gʲy = Q′.
    const [i, j] = lostData as [number, number]
    const x = shards[i]!
    const y = shards[j]!
    const ofP = sumOf(shards, count, addPlain, lostData, p)
    const ofQ = sumOf(shards, count, addWeighted, lostData, q)
    const scale = inverse(exponents[i]! ^ exponents[j]!)
    const timesP = timesTable(multiply(scale, exponents[j]!))
    const timesQ = timesTable(scale)
    for (let at = 0; at < x.length; at++) {
      const value = timesP[ofP[at]!]! ^ timesQ[ofQ[at]!]!
      x[at] = value
      y[at] = value ^ ofP[at]!
    }
  } else if (lostData.length === 1) {
    const i = lostData[0]!
    if (known(count)) shards[i]!.set(sumOf(shards, count, addPlain, lostData, p))
    else {
      const table = timesTable(inverse(exponents[i]!))
      const ofQ = sumOf(shards, count, addWeighted, lostData, q)
      for (let at = 0; at < ofQ.length; at++) shards[i]![at] = table[ofQ[at]!]!
    }
  }
  if (!known(count)) p.set(sumOf(shards, count, addPlain))
  if (!known(count + 1)) q.set(sumOf(shards, count, addWeighted))
  return true
}

/** Adds a data shard to a sum; `index` is the shard's place in its stripe. */
type Add = (sum: Uint8Array, shard: Uint8Array, index: number) => void

/** As in P: dᵢ. */
const addPlain: Add = (sum, shard) => {
  for (let at = 0; at < sum.length; at++) sum[at]! ^= shard[at]!
}

/** As in Q: gⁱ·dᵢ. */
const addWeighted: Add = (sum, shard, index) => {
  const table = timesTable(exponents[index]!)
  for (let at = 0; at < sum.length; at++) sum[at]! ^= table[shard[at]!]!
}

/** What `start` and the data shards add up to, but those `without`. */
function sumOf(
  shards: readonly Uint8Array[],
  count: number,
  add: Add,
  without: readonly number[] = [],
  start?: Uint8Array,
): Uint8Array {
  const sum = start ? Uint8Array.from(start) : new Uint8Array(shards[0]!.length)
  for (let index = 0; index < count; index++) if (!without.includes(index)) add(sum, shards[index]!, index)
  return sum
}
