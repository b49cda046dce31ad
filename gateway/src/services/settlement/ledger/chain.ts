/** The ledger's hash chain: what one posting says, and how it hangs on all before it (P9). */
import { hash } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { Leg, Posting } from './model.ts'

/** The chain before the first posting. */
export const chainStart = new Uint8Array(32)

/** SHA-256 over what was asked for: equal for a replay, different for any other content under the same id. */
export function contentHash({ id, reason, reference, legs }: Posting): Uint8Array {
  return hash('sha256', encodeDeterministic([id, reason, reference, legs.map(fields)]), 'buffer')
}

function fields(leg: Leg): unknown[] {
  switch (leg.kind) {
    case 'post':
      return [leg.kind, leg.debit, leg.credit, leg.amountMinor]
    case 'hold':
      return [leg.kind, leg.debit, leg.credit, leg.amountMinor, leg.hold, leg.expiresMs]
    case 'capture':
      return [leg.kind, leg.hold, leg.amountMinor]
    default:
      return [leg.kind, leg.hold]
  }
}

/** SHA-256 over the chain so far, the place, the time, the leader's epoch and the content. */
export function nextChain(
  before: Uint8Array,
  { seq, atMs, epoch, content }: { seq: number; atMs: number; epoch: number; content: Uint8Array },
): Uint8Array {
  const bytes = Buffer.allocUnsafe(32 + 24 + 32)
  bytes.set(before, 0)
  for (const [n, value] of [seq, atMs, epoch].entries()) {
    bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), 32 + 8 * n)
    bytes.writeUInt32BE(value >>> 0, 36 + 8 * n)
  }
  bytes.set(content, 56)
  return hash('sha256', bytes, 'buffer')
}
