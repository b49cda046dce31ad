/** The PN532 as something that is asked and answers: one command at a time over a serial line, each with a limit. */
import { partProblem } from '@azukari/device/drivers'
import type { Clock, Log } from '@azukari/protocol/ports'
import type { SerialPort } from 'serialport'
import { encodeFrame, FrameParser, type Heard } from './pn532-frames.ts'
import { SerialLine } from './serial-port.ts'

export interface Pn532ChipOptions {
  path: string
  baudRate: number
  clock: Clock
  log: Log
  againMs?: number
  /** Each opening of the line, after which the chip must be set up. */
  opened(): void
  lost(): void
}

/** Wakes a chip that sleeps; ignored by one that does not (§7.2.11). */
const wakeUp = [0x55, 0x55, 0, 0, 0]
const acknowledgeMs = 1_000
/** Bytes get lost, and readers fall asleep: a nudge that means nothing. */
const nudgeMs = 200

export class Pn532Chip {
  readonly #o: Pn532ChipOptions
  readonly #line: SerialLine
  #heard: Heard[] = []
  #parser = new FrameParser()
  #news = Promise.withResolvers<void>()
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(options: Pn532ChipOptions) {
    this.#o = options
    const { path, baudRate, clock, log, againMs } = options
    this.#line = new SerialLine(
      { path, baudRate, clock, log, ...(againMs ? { againMs } : {}) },
      {
        opened: (port) => this.#opened(port),
        lost: () => {
          this.#wake()
          options.lost()
        },
      },
    )
  }

  /**
   * Asks; commands wait for each other. A command is never sent twice, so that a card does nothing twice.
   * @returns the answer without its code
   * @throws {Problem} the reader's `timeout`, `failed`; `card.absent` when the line is gone
   */
  async ask(code: number, data: Iterable<number>, limitMs: number, signal?: AbortSignal): Promise<Uint8Array> {
    const turn = this.#turn.then(() => this.#ask(code, Uint8Array.from([code, ...data]), limitMs, signal))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Opens the line anew. */
  reset(why: string): void {
    this.#line.reset(why)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#line.close()
    this.#wake()
  }

  async #ask(code: number, command: Uint8Array, limitMs: number, signal?: AbortSignal): Promise<Uint8Array> {
    const { clock } = this.#o
    signal?.throwIfAborted()
    // The chip speaks only when it is asked: whatever is left was not for this command.
    this.#heard = []
    this.#parser.forget()
    this.#write([...wakeUp, ...encodeFrame(command)])
    await this.#until((one) => one === 'acknowledged', clock.monotonicMs() + acknowledgeMs)
    const answer = await this.#until(
      (one) => one instanceof Uint8Array && (one[0] === code + 1 || one.length === 1),
      clock.monotonicMs() + limitMs,
    )
    // A frame of one byte is the chip's word for an error of syntax (§6.2.1.5).
    if (!(answer instanceof Uint8Array) || answer[0] !== code + 1)
      throw partProblem('reader', 'failed', `command ${code.toString(16)} is not understood`)
    return answer.subarray(1)
  }

  async #until(isIt: (one: Heard) => boolean, endMs: number): Promise<Heard> {
    const { clock } = this.#o
    for (;;) {
      const at = this.#heard.findIndex(isIt)
      if (at >= 0) return this.#heard.splice(0, at + 1).at(-1)!
      this.#line.require('reader')
      if (this.#isClosed) throw partProblem('reader', 'failed', 'closed')
      if (clock.monotonicMs() > endMs) throw partProblem('reader', 'timeout', 'the chip does not answer')
      const { promise } = this.#news
      using _nudge = clock.timer(nudgeMs, () => this.#wake())
      const [heard, waiting] = [this.#heard.length, this.#parser.waiting]
      await promise
      if (this.#heard.length !== heard) continue
      // No frame takes that long: the rest of this one is lost, and may have hidden what came behind it.
      if (waiting > 0 && this.#parser.waiting === waiting) this.#heard.push(...this.#parser.giveUp())
      else this.#write([0])
    }
  }

  #write(bytes: number[]): void {
    if (this.#isClosed) throw partProblem('reader', 'failed', 'closed')
    this.#line.require('reader').write(Buffer.from(bytes))
  }

  #opened(port: SerialPort): void {
    const parser = new FrameParser()
    this.#parser = parser
    port.on('data', (bytes: Buffer) => {
      // More than a few frames that nobody asked for are garbage.
      this.#heard = [...this.#heard, ...parser.take(bytes)].slice(-8)
      this.#wake()
    })
    this.#o.opened()
  }

  #wake(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}
