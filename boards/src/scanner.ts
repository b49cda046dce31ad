/** Scanners through SANE (S17): a page is scanned when somebody presses the scanner's button or asks for it. */
import { type InputFile, type LocalInput, partProblem } from '@azukari/device/drivers'
import type { Clock } from '@azukari/protocol/ports'
import { CommandError, runCommand } from './adapters/commands.ts'

export interface ScannerOptions {
  clock: Clock
  /** As `scanimage -L` names it; the default one without. */
  device?: string
  /** Dots per inch. */
  resolution?: number
  more?: readonly string[]
  limitMs?: number
}

const pageMaxBytes = 256 * 1024 * 1024
/** Pages that wait to be taken over; more are refused. */
const waitingMax = 4

export class Scanner implements LocalInput {
  readonly model = 'SANE'
  readonly #o: ScannerOptions
  readonly #waiting: InputFile[] = []
  #wake = Promise.withResolvers<void>()
  #pages = 0
  #scanning = false
  #closed = false

  constructor(options: ScannerOptions) {
    this.#o = options
  }

  /**
   * Scans one page; it then comes out of `files`.
   * @throws {Problem} `part.absent`, `part.busy`, `part.timeout`, `part.unsupported` without SANE, `part.failed`
   */
  async scan(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('input', 'absent', 'closed')
    if (this.#scanning || this.#waiting.length >= waitingMax) throw partProblem('input', 'busy')
    this.#scanning = true
    try {
      const { clock, device, resolution = 300, more = [], limitMs = 120_000 } = this.#o
      const args = [
        ...(device ? [`--device-name=${device}`] : []),
        '--format=jpeg',
        `--resolution=${resolution}`,
        ...more,
      ]
      const result = await runCommand('scanimage', args, {
        clock,
        signal,
        limitMs,
        outputMaxBytes: pageMaxBytes,
      }).catch((error) => {
        if (!(error instanceof CommandError)) throw error
        const kind = error.failure === 'missing' ? 'unsupported' : error.failure === 'timeout' ? 'timeout' : 'failed'
        throw partProblem('input', kind, error.message, { cause: error })
      })
      if (result.code !== 0 || result.output.length === 0)
        throw partProblem('input', kindOf(result.said), result.said.trim())
      this.#offer(result.output)
    } finally {
      this.#scanning = false
    }
  }

  async *files(signal: AbortSignal): AsyncGenerator<InputFile> {
    const abort = () => this.#kick()
    signal.addEventListener('abort', abort, { once: true })
    try {
      while (!signal.aborted && !this.#closed) {
        const wake = this.#wake.promise
        const [file] = this.#waiting
        if (file) yield file
        // One that was not taken over stays the next one.
        if (this.#waiting[0] === file) await wake
      }
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#kick()
  }

  #offer(bytes: Uint8Array): void {
    const name = `scan-${new Date(this.#o.clock.now()).toISOString().slice(0, 19).replaceAll(':', '')}-${++this.#pages}.jpg`
    const file: InputFile = {
      name,
      mediaType: 'image/jpeg',
      sizeBytes: bytes.length,
      read: async (at, length) => bytes.subarray(at, at + length),
      done: async () => {
        const at = this.#waiting.indexOf(file)
        if (at >= 0) this.#waiting.splice(at, 1)
        this.#kick()
      },
    }
    this.#waiting.push(file)
    this.#kick()
  }

  #kick(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }
}

function kindOf(said: string): 'absent' | 'busy' | 'failed' | 'unsupported' {
  if (/no SANE devices|invalid argument|not found|Error during device I\/O/i.test(said)) return 'absent'
  if (/unrecognized option|bad value/i.test(said)) return 'unsupported'
  return /busy/i.test(said) ? 'busy' : 'failed'
}
