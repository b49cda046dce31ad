/** Chance from the operating system. */
import { randomBytes } from 'node:crypto'
import type { Random } from '../ports.ts'

export const systemRandom: Random = {
  bytes: (n) => new Uint8Array(randomBytes(n)),
  float: () => Math.random(),
}
