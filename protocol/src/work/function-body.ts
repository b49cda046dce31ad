/**
 * Rewrites the body of one function (W4). Each straight run of instructions takes their number off the fuel before it
 * begins; at the head of a function and of a loop, where code can repeat, it ends the unit when the fuel is gone. Calls
 * take room off a stack of known size. Results of arithmetic that can be NaN become the canonical NaN, unless the next
 * instruction makes no difference between NaNs. Code that cannot be reached is left out.
 */
import { bytesPerFuelShift, frameSlots, moduleLimits } from './abi.ts'
import { type FunctionType, valueType, type WorkModule } from './module.ts'
import { type Instruction, nanOf, plainInstruction, saturating } from './opcodes.ts'
import { type ModuleReader, refused } from './reader.ts'
import { joined, positive, u32 } from './writer.ts'

/** Indices of what the instrumenter adds to the module. */
export interface Added {
  readonly fuel: number
  readonly stack: number
  /** Take the length on top of the stack off the fuel and leave it there. */
  readonly chargeBytes: number
  readonly chargePages: number
  /** The type without parameters that has these results. */
  blockType(results: readonly number[]): readonly number[]
}

interface Frame {
  readonly kind: 'block' | 'loop' | 'if' | 'else'
  /** Operands below it. */
  readonly base: number
  readonly params: number
  readonly results: number
  isTarget: boolean
}

type Piece = Uint8Array | readonly number[] | (() => readonly number[])

/** A result that may be a NaN, until it is known who takes it. */
interface Arithmetic {
  readonly type: 'f32' | 'f64'
  mustBeCanonical: boolean
}

/** The operand is no result of arithmetic. */
const other = undefined

/** @throws {Problem} `work.module-refused` */
export function rewriteBody(module: WorkModule, type: FunctionType, reader: ModuleReader, added: Added): Uint8Array {
  return new Rewriter(module, type, reader, added).rewrite()
}

class Rewriter {
  readonly #module: WorkModule
  readonly #type: FunctionType
  readonly #reader: ModuleReader
  readonly #added: Added
  readonly #frames: Frame[] = []
  readonly #operands: (Arithmetic | undefined)[] = []
  readonly #pieces: Piece[] = []
  /** Instructions of the straight run that is being read. */
  #run = { cost: 0 }
  #locals = 0
  #height = 0
  #hasCalls = false
  #isDead = false
  /** Blocks opened in dead code. */
  #deadDepth = 0

  constructor(module: WorkModule, type: FunctionType, reader: ModuleReader, added: Added) {
    this.#module = module
    this.#type = type
    this.#reader = reader
    this.#added = added
  }

  rewrite(): Uint8Array {
    const groups = this.#readLocals()
    this.#open('block', 0, this.#type.results.length)
    this.#begin(true)
    while (this.#frames.length > 0) this.#instruction()
    this.#reader.finish('a function')
    const scratch = [
      [1, 0x7e],
      [1, nanOf.f32.type],
      [1, nanOf.f64.type],
    ]
    const body = this.#pieces.map((piece) => (typeof piece === 'function' ? piece() : piece))
    const code = joined([u32(groups.length + scratch.length), ...groups, ...scratch, ...this.#framed(body), [0x0b]])
    return joined([u32(code.length), code])
  }

  /** A function that calls none needs no room of its own: the engine's stack has it to spare. */
  #framed(body: (Uint8Array | readonly number[])[]): (Uint8Array | readonly number[])[] {
    if (!this.#hasCalls) return body
    const { stack } = this.#added
    const slots = frameSlots + this.#type.params.length + this.#locals + this.#height
    const move = (operation: number) => [0x23, ...u32(stack), 0x41, ...positive(slots), operation, 0x24, ...u32(stack)]
    const [sub, add] = [0x6b, 0x6a]
    const check = [0x23, ...u32(stack), 0x41, 0x00, 0x48, 0x04, 0x40, 0x00, 0x0b]
    // Whatever leaves the function leaves this block, and gives the room back behind it.
    return [move(sub), check, [0x02, ...this.#added.blockType(this.#type.results)], ...body, [0x0b], move(add)]
  }

  #readLocals(): number[][] {
    let declared = 0
    const groups = Array.from({ length: this.#reader.count('groups of locals', moduleLimits.locals) }, () => {
      const count = this.#reader.u32()
      declared += count
      return [...u32(count), valueType(this.#reader)]
    })
    this.#locals = this.#type.params.length + declared
    if (this.#locals > moduleLimits.locals)
      throw refused(`a function has ${this.#locals} locals; at most ${moduleLimits.locals}`, this.#reader.at)
    return groups
  }

  #instruction(): void {
    const from = this.#reader.at
    const opcode = this.#reader.byte()
    if (this.#control(opcode, from)) return
    const known = opcode === 0xfc ? this.#bulk(from) : plainInstruction(opcode)
    if (!known) throw refused(`instruction 0x${opcode.toString(16)} is not allowed`, from)
    this.#immediate(known)
    if (this.#isDead) return
    if (opcode === 0x40) this.#pieces.push([0x10, ...u32(this.#added.chargePages)])
    this.#emit(from)
    for (let i = 0; i < known.pops; i++) this.#pop(known.nan !== 'bits')
    if (known.pushes === 0) return
    if (known.nan !== 'f32' && known.nan !== 'f64') return this.#push(other)
    const result: Arithmetic = { type: known.nan, mustBeCanonical: false }
    this.#pieces.push(() => (result.mustBeCanonical ? this.#canonical(result.type) : []))
    this.#push(result)
  }

  /** Whether it was control or a call. */
  #control(opcode: number, from: number): boolean {
    switch (opcode) {
      case 0x02:
      case 0x03:
      case 0x04:
        this.#block(opcode, from)
        return true
      case 0x05:
        this.#else(from)
        return true
      case 0x0b:
        this.#end()
        return true
      case 0x00:
        if (this.#isDead) return true
        this.#emit(from)
        this.#isDead = true
        return true
      case 0x0c:
      case 0x0d:
      case 0x0e:
        this.#branch(opcode, from)
        return true
      case 0x0f:
        this.#return()
        return true
      case 0x10:
      case 0x11:
        this.#call(opcode, from)
        return true
      default:
        return false
    }
  }

  #block(opcode: number, from: number): void {
    const { params, results } = this.#blockType()
    if (this.#isDead) {
      this.#deadDepth++
      if (this.#deadDepth + this.#frames.length > moduleLimits.nesting) throw refused('it is nested too deep', from)
      return
    }
    this.#emit(from)
    if (opcode === 0x04) this.#pop(false)
    this.#settle()
    for (let i = 0; i < params; i++) this.#pop(false)
    this.#open(opcode === 0x02 ? 'block' : opcode === 0x03 ? 'loop' : 'if', params, results)
    if (opcode !== 0x02) this.#begin(opcode === 0x03)
  }

  #open(kind: Frame['kind'], params: number, results: number): void {
    if (this.#frames.length >= moduleLimits.nesting) throw refused('it is nested too deep', this.#reader.at)
    this.#frames.push({ kind, base: this.#operands.length, params, results, isTarget: false })
    for (let i = 0; i < params; i++) this.#push(other)
  }

  #else(from: number): void {
    if (this.#deadDepth > 0) return
    const frame = this.#frames.at(-1)!
    if (frame.kind !== 'if') throw refused('an “else” has no “if”', from)
    this.#leave(frame)
    this.#pieces.push([0x05])
    this.#frames[this.#frames.length - 1] = { ...frame, kind: 'else' }
    for (let i = 0; i < frame.params; i++) this.#push(other)
    this.#begin(false)
  }

  #end(): void {
    if (this.#deadDepth > 0) {
      this.#deadDepth--
      return
    }
    const frame = this.#frames.at(-1)!
    const wasDead = this.#isDead
    this.#leave(frame)
    this.#frames.pop()
    // The function's own end stands behind what gives its room back.
    if (this.#frames.length === 0) return
    this.#pieces.push([0x0b])
    for (let i = 0; i < frame.results; i++) this.#push(other)
    const isMeeting = frame.kind === 'if' || frame.kind === 'else' || frame.isTarget || wasDead
    if (isMeeting) this.#begin(false)
  }

  /** At the end of a block or of one side of an `if`. */
  #leave(frame: Frame): void {
    if (!this.#isDead) {
      this.#settle()
      if (this.#operands.length !== frame.base + frame.results)
        throw refused('a block leaves more or fewer values than it says', this.#reader.at)
    }
    this.#operands.length = frame.base
    this.#isDead = false
  }

  #branch(opcode: number, from: number): void {
    if (opcode === 0x0e) {
      const count = this.#reader.count('branch targets', moduleLimits.branchTargets)
      for (let i = 0; i <= count; i++) this.#target(from)
    } else this.#target(from)
    if (this.#isDead) return
    this.#emit(from)
    if (opcode !== 0x0c) this.#pop(false)
    this.#settle()
    if (opcode === 0x0d) this.#begin(false)
    else this.#isDead = true
  }

  #target(from: number): void {
    const depth = this.#reader.u32()
    if (depth >= this.#frames.length + this.#deadDepth) throw refused(`there is no block ${depth} to leave`, from)
    if (!this.#isDead) this.#frames[this.#frames.length - 1 - depth]!.isTarget = true
  }

  #return(): void {
    if (this.#isDead) return
    this.#settle()
    this.#run.cost++
    const depth = this.#frames.length - 1
    this.#pieces.push(() => (this.#hasCalls ? [0x0c, ...u32(depth)] : [0x0f]))
    this.#isDead = true
  }

  #call(opcode: number, from: number): void {
    const index = this.#reader.u32()
    const typeIndex = opcode === 0x10 ? this.#module.functions[index] : index
    const type = typeIndex === undefined ? undefined : this.#module.types[typeIndex]
    if (!type) throw refused(`it calls what there is not (${index})`, from)
    if (opcode === 0x11 && (this.#reader.u32() !== 0 || this.#module.tables === 0))
      throw refused('it calls by a table that there is not', from)
    if (this.#isDead) return
    this.#hasCalls = true
    this.#emit(from)
    if (opcode === 0x11) this.#pop(false)
    for (const _ of type.params) this.#pop(false)
    for (const _ of type.results) this.#push(other)
  }

  /** The second byte of 0xfc: saturating conversions and bulk memory. */
  #bulk(from: number): Instruction | undefined {
    const opcode = this.#reader.u32()
    if (opcode <= 7) return saturating
    if (opcode === 8 || opcode === 12) {
      this.#reader.u32()
      this.#zero()
    } else if (opcode === 9 || opcode === 13) this.#reader.u32()
    else if (opcode === 10 || opcode === 14) {
      this.#zero()
      this.#zero()
    } else if (opcode === 11) this.#zero()
    else throw refused(`instruction 0xfc ${opcode} is not allowed`, from)
    if (opcode === 9 || opcode === 13) return { pops: 0, pushes: 0, immediate: 'none', nan: 'bits' }
    if (!this.#isDead) this.#pieces.push([0x10, ...u32(this.#added.chargeBytes)])
    return { pops: 3, pushes: 0, immediate: 'none', nan: 'bits' }
  }

  #zero(): void {
    if (this.#reader.u32() !== 0) throw refused('it names a second memory or table', this.#reader.at)
  }

  #immediate({ immediate }: Instruction): void {
    const reader = this.#reader
    switch (immediate) {
      case 'none':
        return
      case 'local':
        if (reader.u32() >= this.#locals) throw refused('it names a local that there is not', reader.at)
        return
      case 'global':
        if (reader.u32() >= this.#module.globals) throw refused('it names a global that there is not', reader.at)
        return
      case 'memory':
        // Bit 6 of the alignment would name a second memory.
        if (reader.u32() > 3) throw refused('an access has a wrong alignment', reader.at)
        reader.u32()
        return
      case 'zero':
        this.#zero()
        return
      case 'i32':
        return reader.skipSigned(32)
      case 'i64':
        return reader.skipSigned(64)
      case 'f32':
        return reader.skip(4)
      case 'f64':
        return reader.skip(8)
    }
  }

  #blockType(): { params: number; results: number } {
    const reader = this.#reader
    const first = reader.bytes[reader.at]
    if (first === 0x40) {
      reader.byte()
      return { params: 0, results: 0 }
    }
    if (first !== undefined && first > 0x40 && first < 0x80) {
      valueType(reader)
      return { params: 0, results: 1 }
    }
    const type = this.#module.types[reader.u32()]
    // A type's number is signed there.
    if (!type || (reader.bytes[reader.at - 1]! & 0x40) !== 0)
      throw refused('a block has a type that there is not', reader.at)
    return { params: type.params.length, results: type.results.length }
  }

  /** Copies the instruction that was read, and counts it. */
  #emit(from: number): void {
    this.#run.cost++
    this.#pieces.push(this.#reader.bytes.subarray(from, this.#reader.at))
  }

  /** Begins a straight run of instructions. */
  #begin(mayRepeat: boolean): void {
    const run = { cost: 0 }
    this.#run = run
    const fuel = u32(this.#added.fuel)
    this.#pieces.push(() => {
      if (run.cost === 0) return []
      const taken = [0x23, ...fuel, 0x42, ...positive(run.cost), 0x7d]
      if (!mayRepeat) return [...taken, 0x24, ...fuel]
      const left = u32(this.#locals)
      return [...taken, 0x22, ...left, 0x24, ...fuel, 0x20, ...left, 0x42, 0x00, 0x53, 0x04, 0x40, 0x00, 0x0b]
    })
  }

  #push(operand: Arithmetic | undefined): void {
    this.#operands.push(operand)
    this.#height = Math.max(this.#height, this.#operands.length)
  }

  /** @param isBlind what takes the operand makes no difference between NaNs */
  #pop(isBlind: boolean): void {
    if (this.#operands.length <= (this.#frames.at(-1)?.base ?? 0))
      throw refused('an instruction has too few values', this.#reader.at)
    const operand = this.#operands.pop()
    if (operand && !isBlind) operand.mustBeCanonical = true
  }

  /** What lies on the stack when blocks are entered or left may go to anyone. */
  #settle(): void {
    for (const operand of this.#operands) if (operand) operand.mustBeCanonical = true
    this.#operands.fill(other)
  }

  #canonical(type: 'f32' | 'f64'): readonly number[] {
    const { equals, constant } = nanOf[type]
    const local = u32(this.#locals + (type === 'f32' ? 1 : 2))
    return [0x22, ...local, ...constant, 0x20, ...local, 0x20, ...local, equals, 0x1b]
  }
}

/** The body of a function that takes its parameter, bytes or pages, off the fuel and gives it back. */
export function chargeBody(fuel: number, per: 'byte' | { pagesMax: number }): Uint8Array {
  const get = [0x23, ...u32(fuel)]
  const set = [0x24, ...u32(fuel)]
  const given = [0x20, 0x00]
  // A page is 2^16 bytes. More pages than there may be are not given, and cost no more.
  const amount =
    per === 'byte'
      ? [...given, 0xad, 0x42, bytesPerFuelShift, 0x88]
      : [
          ...given,
          0x41,
          ...positive(per.pagesMax),
          ...given,
          0x41,
          ...positive(per.pagesMax),
          0x49,
          0x1b,
          0xad,
          0x42,
          16 - bytesPerFuelShift,
          0x86,
        ]
  const check = [...get, 0x42, 0x00, 0x53, 0x04, 0x40, 0x00, 0x0b]
  const code = joined([[0], get, amount, [0x7d], set, check, given, [0x0b]])
  return joined([u32(code.length), code])
}
