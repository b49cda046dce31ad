/**
 * Results that ask for further units (W6). The output of each unit of a job with rounds is CBOR: [output, [input, …]], all byte strings. What a result may
 * ask for is bounded by rounds, by a budget for the whole job, and by the size of an output, so that no module multiplies without end. Pure.
 */
import { decode } from '@azukari/protocol/codec'
import { Problem } from '@azukari/protocol/problem'
import type { JobRow, UnitRow } from '../tables.ts'

export interface RoundResult {
  output: Uint8Array
  inputs: Uint8Array[]
}

/** @throws {Problem} `work.spawn` for what has another shape */
export function roundResultOf(bytes: Uint8Array): RoundResult {
  const result = tryDecode(bytes)
  if (!Array.isArray(result) || result.length !== 2) throw new Problem('work.spawn', 'no [output, [inputs…]]')
  const [output, inputs] = result as unknown[]
  if (!(output instanceof Uint8Array) || !Array.isArray(inputs) || !inputs.every((one) => one instanceof Uint8Array))
    throw new Problem('work.spawn', 'output and inputs are byte strings')
  return { output, inputs }
}

export type Spawn = { inputs: Uint8Array[]; problem?: undefined } | { problem: 'work.spawn' }

/** What a valid result may add to its job: all that it asks for, or nothing. */
export function judgeSpawn(
  { rounds, spawn_left }: Pick<JobRow, 'rounds' | 'spawn_left'>,
  { round }: Pick<UnitRow, 'round'>,
  bytes: Uint8Array,
): Spawn {
  try {
    const { inputs } = roundResultOf(bytes)
    if (inputs.length === 0) return { inputs }
    if (round >= rounds || inputs.length > spawn_left) return { problem: 'work.spawn' }
    return { inputs }
  } catch (error) {
    if (error instanceof Problem) return { problem: 'work.spawn' }
    throw error
  }
}

function tryDecode(bytes: Uint8Array): unknown {
  try {
    return decode(bytes)
  } catch (cause) {
    throw new Problem('work.spawn', 'no CBOR', { cause })
  }
}
