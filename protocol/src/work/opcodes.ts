/**
 * The instructions that a unit may use (WebAssembly core specification 1.0 §5.4 and, of the proposals merged since, sign
 * extension, saturating conversion, multiple values and bulk memory): what each takes, gives and carries. Control and
 * calls are read by `function-body.ts`.
 */

export type Immediate = 'none' | 'local' | 'global' | 'memory' | 'zero' | 'i32' | 'i64' | 'f32' | 'f64'

export interface Instruction {
  readonly pops: number
  readonly pushes: 0 | 1
  readonly immediate: Immediate
  /**
   * `result`: arithmetic whose result may be a NaN of any bits; `blind`: what it makes of a NaN does not depend on the
   * NaN's bits; `bits`: all others.
   */
  readonly nan: 'f32' | 'f64' | 'blind' | 'bits'
}

const table: (Instruction | undefined)[] = []

function row(from: number, to: number, pops: number, pushes: 0 | 1, immediate: Immediate = 'none'): void {
  for (let opcode = from; opcode <= to; opcode++) table[opcode] = { pops, pushes, immediate, nan: 'bits' }
}

function nan(kind: Instruction['nan'], ...opcodes: number[]): void {
  for (const opcode of opcodes) table[opcode] = { ...table[opcode]!, nan: kind }
}

row(0x01, 0x01, 0, 0) // nop
row(0x1a, 0x1a, 1, 0) // drop
row(0x1b, 0x1b, 3, 1) // select
row(0x20, 0x20, 0, 1, 'local') // local.get
row(0x21, 0x21, 1, 0, 'local') // local.set
row(0x22, 0x22, 1, 1, 'local') // local.tee
row(0x23, 0x23, 0, 1, 'global') // global.get
row(0x24, 0x24, 1, 0, 'global') // global.set
row(0x28, 0x35, 1, 1, 'memory') // loads
row(0x36, 0x3e, 2, 0, 'memory') // stores
row(0x3f, 0x3f, 0, 1, 'zero') // memory.size
row(0x40, 0x40, 1, 1, 'zero') // memory.grow
row(0x41, 0x41, 0, 1, 'i32')
row(0x42, 0x42, 0, 1, 'i64')
row(0x43, 0x43, 0, 1, 'f32')
row(0x44, 0x44, 0, 1, 'f64')
row(0x45, 0x45, 1, 1) // i32.eqz
row(0x46, 0x4f, 2, 1)
row(0x50, 0x50, 1, 1) // i64.eqz
row(0x51, 0x66, 2, 1) // comparisons of i64, f32, f64
row(0x67, 0x69, 1, 1)
row(0x6a, 0x78, 2, 1)
row(0x79, 0x7b, 1, 1)
row(0x7c, 0x8a, 2, 1)
row(0x8b, 0x91, 1, 1) // f32 abs to sqrt
row(0x92, 0x98, 2, 1) // f32 add to copysign
row(0x99, 0x9f, 1, 1) // f64 abs to sqrt
row(0xa0, 0xa6, 2, 1) // f64 add to copysign
row(0xa7, 0xbf, 1, 1) // conversions
row(0xc0, 0xc4, 1, 1) // sign extension

// ceil, floor, trunc, nearest, sqrt, add, sub, mul, div, min, max; and f32.demote_f64, f64.promote_f32
nan('f32', 0x8d, 0x8e, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0xb6)
nan('f64', 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xbb)
// comparisons of floats, conversions to integers, drop
nan('blind', 0x1a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f, 0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66)
nan('blind', 0xa8, 0xa9, 0xaa, 0xab, 0xae, 0xaf, 0xb0, 0xb1)

export const saturating: Instruction = { pops: 1, pushes: 1, immediate: 'none', nan: 'blind' }

/** Undefined for control, calls and whatever a unit may not use. */
export function plainInstruction(opcode: number): Instruction | undefined {
  return table[opcode]
}

/** By value type: how to test a value against itself, and a constant that is the canonical NaN. */
export const nanOf = {
  f32: { type: 0x7d, equals: 0x5b, constant: [0x43, 0x00, 0x00, 0xc0, 0x7f] },
  f64: { type: 0x7c, equals: 0x61, constant: [0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f] },
} as const
