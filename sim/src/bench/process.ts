/** Processes under measurement: started, asked and ended by id; what the kernel says of them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { leanEnvironment } from '@azukari/protocol/adapters/lean-memory'
import { InternalError } from '@azukari/protocol/problem'

export class Measured {
  readonly #child: ChildProcess
  readonly #lines: Record<string, unknown>[] = []
  readonly #waiting: { fact: string; resolve(line: Record<string, unknown>): void; reject(error: Error): void }[] = []
  readonly startedMs = performance.now()
  #errors = ''

  /** @param args of node: flags, script, arguments */
  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    const { NODE_OPTIONS: _, ...inherited } = process.env
    this.#child = spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...leanEnvironment, ...inherited, ...environment },
    })
    let rest = ''
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line.startsWith('{')) this.#take(JSON.parse(line))
    })
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000)
    })
    this.#child.once('exit', (code) => {
      for (const { fact, reject } of this.#waiting.splice(0))
        reject(new InternalError(`ended with ${code} before it said ${fact}: ${this.#errors}`))
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  get errors(): string {
    return this.#errors
  }

  /** The next line of its standard output that says this fact. */
  said(fact: string): Promise<Record<string, unknown>> {
    const at = this.#lines.findIndex((line) => fact in line)
    if (at >= 0) return Promise.resolve(this.#lines.splice(at, 1)[0]!)
    if (this.#child.exitCode !== null)
      return Promise.reject(new InternalError(`has ended before it said ${fact}: ${this.#errors}`))
    return new Promise((resolve, reject) => this.#waiting.push({ fact, resolve, reject }))
  }

  ask(line: unknown): void {
    this.#child.stdin!.write(`${JSON.stringify(line)}\n`)
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await exited
    clearTimeout(timer)
  }

  #take(line: Record<string, unknown>): void {
    const at = this.#waiting.findIndex(({ fact }) => fact in line)
    if (at >= 0) this.#waiting.splice(at, 1)[0]!.resolve(line)
    else this.#lines.push(line)
  }
}

/** Resident memory now, and the most it was, in MB (10⁶ bytes). */
export function memoryOf(pid: number): { nowMb: number; mostMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const of = (name: string) => (Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024) / 1e6
  return { nowMb: of('VmRSS'), mostMb: of('VmHWM') }
}

/** Bytes that a process caused to be written to a disk. */
export function diskBytesOf(pid: number): number {
  return Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0)
}

/** CPU seconds a process has used, user and system. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
