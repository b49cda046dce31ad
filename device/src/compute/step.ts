/**
 * Runs a unit from one checkpoint to the next, or to its end (W4, docs/jobs.md). Each step has an instance of its own that
 * knows the input and the last state alone, so a unit that was stopped and one that was not do exactly the same. It
 * imports no values: the compute child may read nothing but this folder.
 */

/** What is used of it; Node has no types for it without those of browsers. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: object }
  RuntimeError: new () => Error
}

/** Where a unit stands: what it has used and what its next step begins with. */
export interface Standing {
  readonly fuelUsed: number
  readonly outputBytes: number
  readonly state: Uint8Array
}

export interface StepLimits {
  /** Of the whole unit. */
  readonly fuel: number
  readonly outputMaxBytes: number
  readonly stateMaxBytes: number
}

export type FaultCode = 'work.module-refused' | 'work.fuel' | 'work.stack' | 'work.output' | 'work.trap'

interface Used {
  readonly fuelUsed: number
  /** Its memory at the end of the step, where it is largest. */
  readonly memoryBytes: number
}

export type StepEnd = Used &
  (
    | { readonly kind: 'done'; readonly output: Uint8Array }
    | { readonly kind: 'checkpoint'; readonly output: Uint8Array; readonly state: Uint8Array }
    | { readonly kind: 'fault'; readonly code: FaultCode; readonly detail: string }
  )

/** As `protocol/src/work/abi.ts` says; `step.test.ts` holds them together. */
export const hostCallFuel = 64
export const bytesPerFuelShift = 3

interface Exports {
  run(): void
  memory: { buffer: ArrayBuffer }
  fuel: { value: bigint }
  stack: { value: number }
}

/** Ends the run of an instance from within a call of the host. */
class Ended extends Error {
  readonly code: FaultCode | 'checkpoint'

  constructor(code: FaultCode | 'checkpoint', detail = '') {
    super(detail)
    this.code = code
  }
}

/** Compiles an instrumented module; a string says what the engine has against it. */
export function compile(module: Uint8Array): object | string {
  try {
    return new WebAssembly.Module(module)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** @param compiled of an instrumented module */
export function runStep(compiled: object, input: Uint8Array, standing: Standing, limits: StepLimits): StepEnd {
  const host = new Host(input, standing, limits)
  let running: Exports
  try {
    const azukari = host.functions()
    running = new WebAssembly.Instance(compiled, { azukari }).exports as Exports
  } catch (error) {
    // Data or elements that lie outside, or no memory left in this process.
    const detail = error instanceof Error ? error.message : String(error)
    return { kind: 'fault', code: 'work.trap', detail, fuelUsed: standing.fuelUsed, memoryBytes: 0 }
  }
  host.running = running
  running.fuel.value = BigInt(limits.fuel - standing.fuelUsed)
  const thrown = caught(() => running.run())
  const left = Number(running.fuel.value)
  const used: Used = { fuelUsed: limits.fuel - Math.max(0, left), memoryBytes: running.memory.buffer.byteLength }
  if (left < 0) return { ...used, kind: 'fault', code: 'work.fuel', detail: `${limits.fuel} were not enough` }
  if (thrown === undefined) return { ...used, kind: 'done', output: host.output() }
  if (thrown instanceof Ended) {
    const { code, message } = thrown
    if (code !== 'checkpoint') return { ...used, kind: 'fault', code, detail: message }
    return { ...used, kind: 'checkpoint', output: host.output(), state: host.state }
  }
  // The engine's own stack ends behind ours, unless it has less than it is started with.
  const isTooDeep = running.stack.value < 0 || thrown instanceof RangeError
  if (isTooDeep) return { ...used, kind: 'fault', code: 'work.stack', detail: 'calls within calls' }
  if (!(thrown instanceof WebAssembly.RuntimeError)) throw thrown
  return { ...used, kind: 'fault', code: 'work.trap', detail: thrown.message }
}

function caught(run: () => void): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}

/** What a unit may call. */
class Host {
  running: Exports | undefined
  state: Uint8Array
  readonly #input: Uint8Array
  readonly #limits: StepLimits
  readonly #written: Uint8Array[] = []
  #outputBytes: number

  constructor(input: Uint8Array, standing: Standing, limits: StepLimits) {
    this.#input = input
    this.state = standing.state
    this.#limits = limits
    this.#outputBytes = standing.outputBytes
  }

  functions(): Record<string, (...values: number[]) => number | undefined> {
    return {
      input_size: () => this.#size(this.#input),
      input_read: (to, from, size) => this.#read(this.#input, to!, from!, size!),
      state_size: () => this.#size(this.state),
      state_read: (to, from, size) => this.#read(this.state, to!, from!, size!),
      output_write: (from, size) => this.#write(from!, size!),
      checkpoint: (from, size) => this.#checkpoint(from!, size!),
    }
  }

  output(): Uint8Array {
    const whole = new Uint8Array(this.#written.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const part of this.#written) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }

  #size({ length }: Uint8Array): number {
    this.#charge(0)
    return length
  }

  #read(source: Uint8Array, to: number, from: number, size: number): number {
    const part = source.subarray(
      Math.min(from >>> 0, source.length),
      Math.min((from >>> 0) + (size >>> 0), source.length),
    )
    this.#charge(part.length)
    this.#memory(to, part.length).set(part)
    return part.length
  }

  #write(from: number, size: number): undefined {
    this.#charge(size >>> 0)
    this.#outputBytes += size >>> 0
    if (this.#outputBytes > this.#limits.outputMaxBytes)
      throw new Ended('work.output', `more than ${this.#limits.outputMaxBytes} bytes of output`)
    // Many small pieces would cost more than their bytes: join them.
    if (this.#written.length >= 1_000) this.#written.splice(0, this.#written.length, this.output())
    this.#written.push(this.#memory(from, size).slice())
  }

  #checkpoint(from: number, size: number): never {
    this.#charge(size >>> 0)
    if (size >>> 0 > this.#limits.stateMaxBytes)
      throw new Ended('work.output', `more than ${this.#limits.stateMaxBytes} bytes of state`)
    this.state = this.#memory(from, size).slice()
    throw new Ended('checkpoint')
  }

  #memory(from: number, size: number): Uint8Array {
    const { buffer } = this.running!.memory
    if ((from >>> 0) + (size >>> 0) > buffer.byteLength)
      throw new Ended('work.trap', 'a call named bytes outside its memory')
    return new Uint8Array(buffer, from >>> 0, size >>> 0)
  }

  #charge(bytes: number): void {
    const { fuel } = this.running!
    fuel.value -= BigInt(hostCallFuel + (bytes >>> bytesPerFuelShift))
    if (fuel.value < 0n) throw new Ended('work.fuel')
  }
}
