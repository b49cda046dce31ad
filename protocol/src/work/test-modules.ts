/** Modules for tests, from the text format. */
import wabt from 'wabt'

const loaded = wabt()

/** A module from its text; `raw` leaves types unchecked. */
export async function assembled(text: string, raw = false): Promise<Uint8Array> {
  const { parseWat } = await loaded
  const module = parseWat('test.wat', text, {
    bulk_memory: true,
    sign_extension: true,
    sat_float_to_int: true,
    multi_value: true,
    mutable_globals: true,
    simd: true,
    threads: true,
    exceptions: true,
    tail_call: true,
    reference_types: true,
  })
  try {
    if (!raw) module.validate()
    // A plain copy: the assembler's memory is used again.
    return new Uint8Array(module.toBinary({}).buffer)
  } finally {
    module.destroy()
  }
}

/** A module with all imports, a memory of 1 to 4 pages, and this inside. */
export function unitText(inside: string, memory = '1 4'): string {
  return `(module
    (import "azukari" "input_size" (func $input_size (result i32)))
    (import "azukari" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
    (import "azukari" "state_size" (func $state_size (result i32)))
    (import "azukari" "state_read" (func $state_read (param i32 i32 i32) (result i32)))
    (import "azukari" "output_write" (func $output_write (param i32 i32)))
    (import "azukari" "checkpoint" (func $checkpoint (param i32 i32)))
    (memory ${memory})
    ${inside})`
}
