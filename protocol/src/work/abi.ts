/**
 * What a unit and its host call each other (docs/jobs.md): a unit exports `run` and imports nothing but these. There is
 * no clock, chance, file or network among them: the same module and input give the same output and fuel everywhere.
 */

/** The module name of every import. */
export const hostModule = 'azukari'

/** Imports that a unit may have, with the number of i32 parameters and results. */
export const hostFunctions = {
  /** () → bytes of input */
  input_size: { params: 0, results: 1 },
  /** (to, from, size) → bytes copied into memory at `to`: fewer at the input’s end */
  input_read: { params: 3, results: 1 },
  /** () → bytes of the last checkpoint; 0 at the start */
  state_size: { params: 0, results: 1 },
  /** (to, from, size) → bytes of the last checkpoint copied */
  state_read: { params: 3, results: 1 },
  /** (from, size): appends to the output */
  output_write: { params: 2, results: 0 },
  /** (from, size): keeps these bytes as the state and begins `run` anew with an empty memory; it does not return */
  checkpoint: { params: 2, results: 0 },
} as const

export type HostFunction = keyof typeof hostFunctions

/** What an instrumented module exports beside `run`. */
export const instrumentedExports = { run: 'run', memory: 'memory', fuel: 'fuel', stack: 'stack' } as const

/** A call of the host costs as much fuel as this many instructions, and one more for every 8 bytes that it moves. */
export const hostCallFuel = 64
/** Bytes that a bulk instruction, a grown memory or the host moves for one fuel, as a power of two. */
export const bytesPerFuelShift = 3

/** Room for nested calls, in slots of 8 bytes: half of what the engine's own stack holds, so that this limit comes first. */
export const stackSlots = 60_000
/** What a call takes beside its parameters, locals and operands, in slots. */
export const frameSlots = 24

export const pageBytes = 65_536

/** Limits of a module; beyond them it is refused. */
export const moduleLimits = {
  bytes: 4 * 1024 * 1024,
  types: 5_000,
  params: 100,
  results: 16,
  functions: 20_000,
  locals: 1_000,
  bodyBytes: 512 * 1024,
  nesting: 500,
  branchTargets: 10_000,
  tableElements: 65_536,
  globals: 10_000,
  exports: 1_000,
  segments: 10_000,
  memoryBytes: 1024 * 1024 * 1024,
} as const
