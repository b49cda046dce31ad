/** Pictures that both sides of a test can make from a seed, without sending them to each other. */
import { createHash } from 'node:crypto'

const leastBytes = 5_000
const maxBytes = 150_000

/**
 * Content of picture `n`: its length and content follow from the seed. It is text, so that it stays as it is also on a board
 * that knows no consent to location yet (D8).
 */
export function pictureOf(seed: number, n: number): Uint8Array {
  const head = createHash('sha256').update(`length ${seed} ${n}`).digest()
  const length = leastBytes + (head.readUInt32BE(0) % (maxBytes - leastBytes))
  const bytes = createHash('shake256', { outputLength: Math.ceil((length * 3) / 4) })
    .update(`picture ${seed} ${n}`)
    .digest()
  return new TextEncoder().encode(bytes.toString('base64').slice(0, length))
}
