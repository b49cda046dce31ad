/** Programs of the system that drivers work with: run to their end, with limits on time and output. */
import { spawn } from 'node:child_process'
import type { Clock } from '@azukari/protocol/ports'

export interface CommandResult {
  /** Exit code; undefined when it was ended by a signal. */
  code: number | undefined
  output: Uint8Array
  /** The end of what it said on standard error. */
  said: string
  /** It had said its last words, and was ended because it did not end. */
  overstayed: boolean
}

/** Why a command gave no result. */
export type CommandFailure = 'missing' | 'timeout' | 'too-large'

export class CommandError extends Error {
  readonly failure: CommandFailure
  /** What it had put out until then. */
  output: Uint8Array = new Uint8Array()

  constructor(name: string, failure: CommandFailure) {
    super(`${name}: ${failure}`)
    this.failure = failure
  }
}

export interface CommandOptions {
  clock: Clock
  signal: AbortSignal
  limitMs: number
  outputMaxBytes: number
  input?: Uint8Array
  /** What it says on standard error when its work is done: it then has `lingerMs` to end, and is ended without blame. */
  lastWords?: string
}

const saidMax = 2_000
/** Between asking a program to end and ending it. */
const graceMs = 1_000
/** Between a program's last words and its end. */
const lingerMs = 3_000

/**
 * Runs a program to its end; arguments go to it as they are, through no shell.
 * @throws {CommandError} when it is not installed, takes too long, or says too much; the signal's reason when aborted
 */
export async function runCommand(
  name: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const { clock, signal, limitMs, outputMaxBytes, input, lastWords } = options
  signal.throwIfAborted()
  const child = spawn(name, args, { stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>()
  const parts: Buffer[] = []
  let bytes = 0
  let said = ''
  let failure: unknown
  let overstayed = false
  let lingering: Disposable | undefined
  const end = (why?: unknown) => {
    failure ??= why
    child.kill('SIGTERM')
    clock.timer(graceMs, () => child.kill('SIGKILL'))
  }
  using _limit = clock.timer(limitMs, () => end(new CommandError(name, 'timeout')))
  const abort = () => end(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  child.once('error', (error: NodeJS.ErrnoException) =>
    reject(error.code === 'ENOENT' ? new CommandError(name, 'missing') : error),
  )
  child.stdout!.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > outputMaxBytes) end(new CommandError(name, 'too-large'))
    else parts.push(part)
  })
  child.stderr!.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-saidMax)
    if (!lastWords || lingering || !said.includes(lastWords)) return
    lingering = clock.timer(lingerMs, () => {
      overstayed = true
      end()
    })
  })
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  child.once('close', (code) => {
    const output = Uint8Array.from(Buffer.concat(parts))
    if (failure instanceof CommandError) failure.output = output
    if (failure !== undefined) reject(failure)
    else resolve({ code: code ?? undefined, output, said, overstayed })
  })
  try {
    return await promise
  } finally {
    lingering?.[Symbol.dispose]()
    signal.removeEventListener('abort', abort)
  }
}
