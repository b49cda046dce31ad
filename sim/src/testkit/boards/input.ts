/** A simulated scanner or PC link: files that tests or a person put in come out one after the other (S14). */
import { type InputFile, type LocalInput, partProblem } from '@azukari/device/drivers'
import { Problem } from '@azukari/protocol/problem'
import { Faults } from './fault.ts'

/** Files that may wait; a person who puts in more is told. */
const waitingMax = 256

interface Waiting {
  name: string
  mediaType: string
  bytes: Uint8Array
}

export class SimulatedInput implements LocalInput {
  readonly model: string
  readonly faults = new Faults('input')
  readonly #waiting: Waiting[] = []
  #wake: (() => void) | undefined
  #closed = false

  constructor(options: { model?: string } = {}) {
    this.model = options.model ?? 'Azukari Simulated Scanner'
  }

  /** Files not yet taken over. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** @throws {Problem} `part.busy` when too many wait */
  put(name: string, mediaType: string, bytes: Uint8Array): void {
    if (this.#waiting.length >= waitingMax) throw partProblem('input', 'busy', `${waitingMax} files wait`)
    this.#waiting.push({ name, mediaType, bytes })
    this.#wake?.()
  }

  async *files(signal: AbortSignal): AsyncGenerator<InputFile> {
    const given = new Set<Waiting>()
    while (!signal.aborted && !this.#closed) {
      this.faults.check()
      const next = this.#waiting.find((file) => !given.has(file))
      if (!next) {
        await this.#change(signal)
        continue
      }
      given.add(next)
      yield this.#open(next)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake?.()
  }

  #open(file: Waiting): InputFile {
    return {
      name: file.name,
      mediaType: file.mediaType,
      sizeBytes: file.bytes.length,
      read: async (at, length) => {
        if (!this.#waiting.includes(file)) throw new Problem('object.unknown', file.name)
        return file.bytes.slice(at, at + length)
      },
      done: async () => {
        const at = this.#waiting.indexOf(file)
        if (at !== -1) this.#waiting.splice(at, 1)
      },
    }
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#wake = undefined
  }
}
