/** Pictures that both sides of a test can make from a seed, without sending them to each other. */
import { createHash } from 'node:crypto'

const leastBytes = 5_000
const mostBytes = 150_000

/** Bytes of picture `n`: its length and content follow from the seed. */
export function pictureOf(seed: number, n: number): Uint8Array {
  const head = createHash('sha256').update(`length ${seed} ${n}`).digest()
  const length = leastBytes + (head.readUInt32BE(0) % (mostBytes - leastBytes))
  return new Uint8Array(createHash('shake256', { outputLength: length }).update(`picture ${seed} ${n}`).digest())
}
