/**
 * What makes a mark's number readable from damaged pixels: a checksum, then the convolutional code of constraint length 7
 * and rate 1/3 (generators 133, 171, 165 octal), read back with soft decisions (Viterbi).
 */

const memoryBits = 6
const states = 1 << memoryBits
const generators = [0o133, 0o171, 0o165]

/** Number and checksum of a mark, in bits. */
export interface MarkFormat {
  numberBits: number
  checkBits: number
  /** Polynomial of the checksum without its highest term. */
  polynomial: number
  /** Where the checksum begins, so that the number 0 has none of only zeros. */
  start: number
}

/** The public mark: 64 bits and CRC-24 (RFC 9580 §6.1). */
export const workFormat: MarkFormat = { numberBits: 64, checkBits: 24, polynomial: 0x864cfb, start: 0xb704ce }
/** The keyed mark: 40 bits and CRC-16/CCITT. */
export const saleFormat: MarkFormat = { numberBits: 40, checkBits: 16, polynomial: 0x1021, start: 0xffff }

/** How many coded bits a format has. */
export function codedLength({ numberBits, checkBits }: MarkFormat): number {
  return (numberBits + checkBits + memoryBits) * generators.length
}

/** The coded bits of a number, as +1 and −1. */
export function encodeNumber(format: MarkFormat, number: bigint): Int8Array {
  const bits = [...bitsOf(number, format.numberBits), ...bitsOf(BigInt(checksum(format, number)), format.checkBits)]
  for (let i = 0; i < memoryBits; i++) bits.push(0)
  const coded = new Int8Array(bits.length * generators.length)
  let state = 0
  let at = 0
  for (const bit of bits) {
    const word = (bit << memoryBits) | state
    for (const generator of generators) coded[at++] = parity(word & generator) === 0 ? 1 : -1
    state = word >> 1
  }
  return coded
}

/**
 * The number that soft values stand for: positive for a coded 0, negative for a 1, larger the surer.
 *
 * @returns undefined when the checksum does not hold: there is no mark, or it cannot be read
 */
export function decodeNumber(format: MarkFormat, soft: ArrayLike<number>): bigint | undefined {
  const bits = mostLikelyBits(soft, format.numberBits + format.checkBits)
  const number = numberOf(bits.subarray(0, format.numberBits))
  const check = numberOf(bits.subarray(format.numberBits))
  return check === BigInt(checksum(format, number)) ? number : undefined
}

function mostLikelyBits(soft: ArrayLike<number>, count: number): Uint8Array {
  const steps = count + memoryBits
  let scores = new Float64Array(states).fill(Number.NEGATIVE_INFINITY)
  scores[0] = 0
  const from = new Uint8Array(steps * states)
  for (let step = 0; step < steps; step++) {
    const next = new Float64Array(states).fill(Number.NEGATIVE_INFINITY)
    for (let state = 0; state < states; state++) {
      const score = scores[state]!
      if (score === Number.NEGATIVE_INFINITY) continue
      for (let bit = 0; bit < 2; bit++) {
        const word = (bit << memoryBits) | state
        let sum = score
        for (let g = 0; g < generators.length; g++) {
          const value = soft[step * generators.length + g]!
          sum += parity(word & generators[g]!) === 0 ? value : -value
        }
        const to = word >> 1
        if (sum > next[to]!) {
          next[to] = sum
          from[step * states + to] = state
        }
      }
    }
    scores = next
  }
  // The encoder ends in state 0. The highest bit of a state is the bit that led to it.
  const bits = new Uint8Array(count)
  let state = 0
  for (let step = steps - 1; step >= 0; step--) {
    if (step < count) bits[step] = state >> (memoryBits - 1)
    state = from[step * states + state]!
  }
  return bits
}

function checksum({ numberBits, checkBits, polynomial, start }: MarkFormat, number: bigint): number {
  const mask = 2 ** checkBits - 1
  let value = start
  for (const bit of bitsOf(number, numberBits)) {
    const top = (value >>> (checkBits - 1)) & 1
    value = (value << 1) & mask
    if ((top ^ bit) === 1) value ^= polynomial
  }
  return value
}

function bitsOf(number: bigint, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Number((number >> BigInt(count - 1 - i)) & 1n))
}

function numberOf(bits: Uint8Array): bigint {
  return bits.reduce((number, bit) => (number << 1n) | BigInt(bit), 0n)
}

function parity(word: number): number {
  let folded = word ^ (word >> 4)
  folded ^= folded >> 2
  folded ^= folded >> 1
  return folded & 1
}
