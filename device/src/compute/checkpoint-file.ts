/** A checkpoint that outlives its process, bound to the module and input that it is of (W4). */
import { createHash } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, Count, checker, Hash, Type } from '@azukari/protocol/contract'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Checkpoint } from './unit.ts'

const maxBytes = 256 * 1024 * 1024

const KeptCheckpoint = Type.Object({
  module: Hash,
  input: Hash,
  state: Bytes(0, maxBytes),
  output: Bytes(0, maxBytes),
  fuelUsed: Count,
  memoryPeakBytes: Count,
  checkpoints: Count,
})
const check = checker(KeptCheckpoint, 'checkpoint')

export function sealCheckpoint(checkpoint: Checkpoint, module: Uint8Array, input: Uint8Array): Uint8Array {
  const { state, output, fuelUsed, memoryPeakBytes, checkpoints } = checkpoint
  return encodeDeterministic({
    module: hashOf(module),
    input: hashOf(input),
    state,
    output,
    fuelUsed,
    memoryPeakBytes,
    checkpoints,
  })
}

/** @throws {Problem} `work.checkpoint-foreign` when it is of another module or input, or no checkpoint at all */
export function openCheckpoint(bytes: Uint8Array, module: Uint8Array, input: Uint8Array): Checkpoint {
  const kept = read(bytes)
  if (!hashOf(module).equals(kept.module)) throw new Problem('work.checkpoint-foreign', 'the module is another one')
  if (!hashOf(input).equals(kept.input)) throw new Problem('work.checkpoint-foreign', 'the input is another one')
  const { state, output, fuelUsed, memoryPeakBytes, checkpoints } = kept
  return { state, output, fuelUsed, memoryPeakBytes, checkpoints }
}

function read(bytes: Uint8Array) {
  try {
    return check(decode(bytes, { maxBytes }))
  } catch (cause) {
    if (!isProblem(cause)) throw cause
    throw new Problem('work.checkpoint-foreign', 'the file holds no checkpoint', { cause })
  }
}

function hashOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
