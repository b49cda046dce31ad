/**
 * Supervises the compute child (W4, ARCHITECTURE §10): a process of the lowest priority without environment, files or
 * network of its own use, killed at its limit of time or memory, stopped and continued by signals.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { dirname } from 'node:path'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { instrument } from '@azukari/protocol/work/instrument'
import { type Frame, FrameReader, frameOf, type ReplyHead } from '../frames.ts'
import type { Checkpoint, Unit, UnitResult, UnitRun } from '../unit.ts'

/** Resident memory of Node and compiled code beside what the unit may have. */
const engineMaxBytes = 256 * 1024 * 1024
/** How often its memory is looked at. */
const watchMs = 200

export interface ComputeOptions {
  readonly clock: Clock
  /** Told of each checkpoint, oldest first. */
  readonly onCheckpoint?: (checkpoint: Checkpoint) => void
  /** Resident memory of the process at which it is killed; else what the unit may have and what Node needs. */
  readonly residentMaxBytes?: number
}

/** Starts a unit in a process of its own. @throws {Problem} `work.module-refused`, `work.memory` before any process starts */
export function startUnit(unit: Unit, options: ComputeOptions): UnitRun {
  const { module, memoryMaxBytes } = instrument(unit.module)
  if (memoryMaxBytes > unit.limits.memoryMaxBytes)
    throw new Problem(
      'work.memory',
      `its memory may grow to ${memoryMaxBytes} bytes; ${unit.limits.memoryMaxBytes} are allowed`,
    )
  return new SupervisedRun(unit, module, memoryMaxBytes, options)
}

class SupervisedRun implements UnitRun {
  readonly result: Promise<UnitResult>
  readonly #child: ChildProcess
  readonly #unit: Unit
  readonly #options: ComputeOptions
  readonly #settle: PromiseWithResolvers<UnitResult>
  readonly #watch: NodeJS.Timeout
  readonly #residentMaxBytes: number
  #standing: Checkpoint
  /** Why it ends, as soon as that is known. */
  #outcome: UnitResult | Problem | undefined
  #usedMs = 0
  #runningSinceMs: number | undefined
  #wallTimer: Disposable | undefined

  constructor(unit: Unit, module: Uint8Array, memoryMaxBytes: number, options: ComputeOptions) {
    this.#unit = unit
    this.#options = options
    this.#standing = unit.from
    this.#settle = Promise.withResolvers<UnitResult>()
    this.result = this.#settle.promise
    const { limits, input, from } = unit
    this.#residentMaxBytes =
      options.residentMaxBytes ??
      memoryMaxBytes + 3 * (input.length + limits.outputMaxBytes + limits.stateMaxBytes) + engineMaxBytes
    this.#child = spawnChild()
    this.#watch = setInterval(() => this.#look(), watchMs)
    this.#child.once('error', (error) => this.#close(error.message))
    this.#child.once('close', (code, signal) => this.#close(signal ?? `exit ${code}`))
    const reader = new FrameReader<ReplyHead>(limits.outputMaxBytes + limits.stateMaxBytes)
    this.#child.stdout!.on('data', (chunk: Uint8Array) => this.#receive(reader, chunk))
    // A child that ended does not read its unit to the end; that it ended is told by `close`.
    this.#child.stdin!.on('error', () => undefined)
    const { fuel, outputMaxBytes, stateMaxBytes } = limits
    const head = { fuel, outputMaxBytes, stateMaxBytes, fuelUsed: from.fuelUsed, outputBytes: from.output.length }
    for (const piece of frameOf(head, [module, input, from.state])) this.#child.stdin!.write(piece)
    this.#child.stdin!.end()
    this.resume()
  }

  pause(): void {
    if (this.#runningSinceMs === undefined || this.#outcome) return
    this.#child.kill('SIGSTOP')
    this.#usedMs = this.#wallMs()
    this.#runningSinceMs = undefined
    this.#wallTimer?.[Symbol.dispose]()
  }

  resume(): void {
    if (this.#runningSinceMs !== undefined || this.#outcome) return
    const { clock } = this.#options
    const { wallMs } = this.#unit.limits
    this.#runningSinceMs = clock.monotonicMs()
    this.#wallTimer = clock.timer(Math.max(0, wallMs - this.#usedMs), () =>
      this.#end(new Problem('work.time', `${wallMs} ms`, this.#data())),
    )
    this.#child.kill('SIGCONT')
  }

  stop(): void {
    this.#end(new Problem('work.stopped', undefined, this.#data()))
  }

  #receive(reader: FrameReader<ReplyHead>, chunk: Uint8Array): void {
    if (this.#outcome) return
    try {
      for (const frame of reader.take(chunk)) this.#take(frame)
    } catch (error) {
      this.#end(new Problem('work.trap', `the child spoke nonsense: ${String(error)}`, this.#data()))
    }
  }

  #take({ head, blobs: [output, state] }: Frame<ReplyHead>): void {
    const { fuelUsed, memoryBytes } = head
    const memoryPeakBytes = Math.max(this.#standing.memoryPeakBytes, memoryBytes)
    if (head.kind === 'fault') {
      const { checkpoints } = this.#standing
      this.#end(new Problem(head.code, head.detail, { data: { fuelUsed, memoryPeakBytes, checkpoints } }))
      return
    }
    const whole = Buffer.concat([this.#standing.output, output!])
    const { checkpoints } = this.#standing
    if (head.kind === 'done') {
      this.#end({ output: whole, fuelUsed, memoryPeakBytes, checkpoints, wallMs: this.#wallMs() })
      return
    }
    this.#standing = { state: state!, output: whole, fuelUsed, memoryPeakBytes, checkpoints: checkpoints + 1 }
    this.#options.onCheckpoint?.(this.#standing)
  }

  /** Kills the child when it has more memory than it may; where the system does not tell, the module’s maximum holds alone. */
  #look(): void {
    const bytes = residentBytes(this.#child.pid)
    if (bytes === undefined || bytes <= this.#residentMaxBytes) return
    this.#end(
      new Problem('work.memory', `its process had ${bytes} bytes, more than ${this.#residentMaxBytes}`, this.#data()),
    )
  }

  #end(outcome: UnitResult | Problem): void {
    if (this.#outcome) return
    this.#outcome = outcome
    this.#child.kill('SIGKILL')
  }

  /** Settles when the process is gone, so that no more than one works. */
  #close(why: string): void {
    clearInterval(this.#watch)
    this.#wallTimer?.[Symbol.dispose]()
    this.#outcome ??= new Problem('work.process-ended', why, this.#data())
    if (this.#outcome instanceof Problem) this.#settle.reject(this.#outcome)
    else this.#settle.resolve(this.#outcome)
  }

  #wallMs(): number {
    const sinceMs = this.#runningSinceMs
    return this.#usedMs + (sinceMs === undefined ? 0 : this.#options.clock.monotonicMs() - sinceMs)
  }

  #data(): { data: Record<string, unknown> } {
    const { fuelUsed, memoryPeakBytes, checkpoints } = this.#standing
    return { data: { fuelUsed, memoryPeakBytes, checkpoints } }
  }
}

function spawnChild(): ChildProcess {
  const program = import.meta.filename.replace(/adapters.compute-child(\.[jt]s)$/, 'child-program$1')
  const folder = dirname(program)
  const child = spawn(
    // Whatever a debugger or a test runner adds to the environment of processes that are started does not reach it either.
    '/usr/bin/env',
    // Neither files but its own, nor processes, threads or native code. A small heap: what a unit has lies outside it.
    [
      '-i',
      process.execPath,
      '--permission',
      `--allow-fs-read=${folder}`,
      '--max-old-space-size=128',
      '--no-warnings',
      program,
    ],
    { cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'ignore'] },
  )
  try {
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW)
  } catch {
    // It has ended already.
  }
  return child
}

/** Memory of a process as Linux tells it; undefined elsewhere, and when it has ended. */
function residentBytes(pid: number | undefined): number | undefined {
  try {
    // In kilobytes, whatever size the kernel's pages have.
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}
