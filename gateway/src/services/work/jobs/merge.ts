/** From the outputs of units to the job's result (W5). */
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { JobRow } from '../tables.ts'

/** `concat`: one after another. `list`: a CBOR array of byte strings. Both in the order of the units. */
export function merged(outputs: readonly Uint8Array[], merge: JobRow['merge']): Uint8Array {
  return merge === 'concat' ? Buffer.concat(outputs) : encodeDeterministic([...outputs])
}
