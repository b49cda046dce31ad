/**
 * Receipt printers that speak ESC/POS over a serial line (S17). Pages go out as pictures, so that any script prints; the
 * printer's own answer to a process id, sent after the last line and the cut, is what makes a page printed.
 */
import {
  type PartErrorKind,
  type Printer,
  type PrinterAttributes,
  type PrintProgress,
  type PrintRequest,
  partProblem,
} from '@azukari/device/drivers'
import type { Clock, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { SerialPort } from 'serialport'
import { dither, type OneBit } from './one-bit.ts'
import { SerialLine } from './serial-port.ts'

export interface EscposPrinterOptions {
  path: string
  clock: Clock
  log: Log
  baudRate?: number
  /** Dots across the paper: 576 on 80 mm, 384 on 58 mm. */
  dots?: number
  /** How long one page may take after its last byte was sent. */
  pageMs?: number
  againMs?: number
}

const media = 'roll'
const copiesMax = 20
const answerMs = 2_000
/** Lines sent in one command: little enough for any printer's buffer. */
const bandLines = 128
const pageMaxLines = 8_000
/** Bits that every real-time status has, and their values (DLE EOT). */
const [statusMask, statusBits] = [0x93, 0x12]
const processHead = [0x37, 0x22]

const commands = {
  reset: [0x1b, 0x40],
  /** DLE EOT n: real-time status. */
  status: (n: 1 | 2 | 4) => [0x10, 0x04, n],
  feedAndCut: [0x1d, 0x56, 66, 3],
  /** GS ( H, function 48: answers with the id when all before it has been printed. */
  whenPrinted: (id: number) => [0x1d, 0x28, 0x48, 6, 0, 48, 48, ...digits(id)],
  /** GS v 0: a band of picture. */
  band: (stride: number, lines: number) => [0x1d, 0x76, 0x30, 0, stride & 255, stride >> 8, lines & 255, lines >> 8],
}

export class EscposPrinter implements Printer {
  readonly model = 'ESC/POS'
  readonly #o: EscposPrinterOptions
  readonly #line: SerialLine
  #received: number[] = []
  #heard = Promise.withResolvers<void>()
  #pages = 0
  #busy = false
  #closed = false

  constructor(options: EscposPrinterOptions) {
    this.#o = options
    const { path, baudRate = 115_200, clock, log, againMs } = options
    this.#line = new SerialLine(
      { path, baudRate, clock, log, ...(againMs ? { againMs } : {}) },
      { opened: (port) => this.#listen(port), lost: () => this.#wake() },
    )
  }

  async attributes(signal: AbortSignal): Promise<PrinterAttributes> {
    const reason = await this.#reason(signal)
    const { dots = 576 } = this.#o
    return { ready: !reason, ...(reason ? { reason } : {}), media: [media], maxWidth: dots, maxHeight: pageMaxLines }
  }

  async print(
    { page, copies, media: wanted }: PrintRequest,
    signal: AbortSignal,
    progress: (progress: PrintProgress) => void = () => {},
  ): Promise<void> {
    signal.throwIfAborted()
    if (this.#busy) throw partProblem('printer', 'busy')
    this.#busy = true
    let out = 0
    try {
      if (!Number.isInteger(copies) || copies < 1 || copies > copiesMax)
        throw partProblem('printer', 'unsupported', `${copies} copies`)
      if (page.rgba.length !== page.width * page.height * 4)
        throw partProblem('printer', 'unsupported', 'the page has not the pixels it says')
      if (wanted !== undefined && wanted !== media) throw partProblem('printer', 'unsupported', `no ${wanted}`)
      const picture = dither(page, this.#o.dots ?? 576)
      if (picture.height > pageMaxLines) throw partProblem('printer', 'unsupported', `${picture.height} lines`)
      for (; out < copies; out++) {
        await this.#one(picture, signal, (stage) => progress({ stage, copies: out }))
        progress({ stage: 'printed', copies: out + 1 })
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      throw new Problem(error.code, error.detail, { cause: error, data: { ...error.data, copies: out } })
    } finally {
      this.#busy = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#line.close()
    this.#wake()
  }

  async #one(picture: OneBit, signal: AbortSignal, tell: (stage: 'sent' | 'printing') => void): Promise<void> {
    const reason = await this.#reason(signal)
    if (reason) throw partProblem('printer', reason)
    await this.#send(commands.reset, signal)
    const { stride, height, bits } = picture
    tell('printing')
    for (let line = 0; line < height; line += bandLines) {
      const lines = Math.min(bandLines, height - line)
      await this.#send(commands.band(stride, lines), signal)
      await this.#send(bits.subarray(line * stride, (line + lines) * stride), signal)
    }
    const id = ++this.#pages % 10_000
    await this.#send([...commands.feedAndCut, ...commands.whenPrinted(id)], signal)
    tell('sent')
    await this.#printed(id, signal)
  }

  /** Waits for the printer's word that the page is out. */
  async #printed(id: number, signal: AbortSignal): Promise<void> {
    const { clock, pageMs = 30_000 } = this.#o
    const endMs = clock.monotonicMs() + pageMs
    const answer = [...processHead, ...digits(id), 0]
    while (!this.#took(answer)) {
      if (clock.monotonicMs() > endMs) throw partProblem('printer', 'timeout', `not printed within ${pageMs} ms`)
      // A printer that ran out of paper half way says nothing until it is asked.
      const reason = await this.#reason(signal)
      if (reason) throw partProblem('printer', reason)
      await this.#hear(answerMs / 4, signal)
    }
  }

  /** What keeps it from printing; undefined when nothing does. @throws {Problem} `printer.offline` */
  async #reason(signal: AbortSignal): Promise<PartErrorKind | undefined> {
    const paper = await this.#status(4, signal)
    if ((paper & 0x60) === 0x60) return 'out-of-media'
    const state = await this.#status(1, signal)
    if ((state & 0x08) === 0) return undefined
    const cause = await this.#status(2, signal)
    if (cause & 0x20) return 'out-of-media'
    if (cause & 0x04) return 'jam'
    return 'failed'
  }

  async #status(n: 1 | 2 | 4, signal: AbortSignal): Promise<number> {
    const { clock } = this.#o
    const isStatus = (byte: number) => (byte & statusMask) === statusBits
    this.#received = this.#received.filter((byte) => !isStatus(byte))
    await this.#send(commands.status(n), signal)
    const endMs = clock.monotonicMs() + answerMs
    for (;;) {
      const at = this.#received.findIndex((byte, i) => isStatus(byte) && !this.#isProcessId(i))
      if (at >= 0) return this.#received.splice(at, 1)[0]!
      if (clock.monotonicMs() > endMs) throw partProblem('printer', 'timeout', 'it does not answer')
      await this.#hear(100, signal)
    }
  }

  /** Whether a byte lies within the answer to a process id, whose digits are no statuses. */
  #isProcessId(at: number): boolean {
    const head = this.#received.lastIndexOf(processHead[0]!, at)
    return head >= 0 && at - head < processHead.length + 5
  }

  /** Takes an answer out of what was received. */
  #took(answer: readonly number[]): boolean {
    const at = this.#received.findIndex((_, i) => answer.every((byte, j) => this.#received[i + j] === byte))
    if (at < 0) return false
    this.#received.splice(0, at + answer.length)
    return true
  }

  async #send(bytes: readonly number[] | Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('printer', 'absent', 'closed')
    const port = this.#line.require('printer')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    using _limit = this.#o.clock.timer(this.#o.pageMs ?? 30_000, () =>
      reject(partProblem('printer', 'timeout', 'it takes no more bytes')),
    )
    const lost = () => reject(partProblem('printer', 'removed', 'the line is gone'))
    port.once('close', lost)
    port.write(Buffer.from(bytes), (error) => (error ? lost() : port.drain((also) => (also ? lost() : resolve()))))
    try {
      await promise
    } finally {
      port.off('close', lost)
    }
  }

  #listen(port: SerialPort): void {
    this.#received = []
    port.on('data', (bytes: Buffer) => {
      // Garbage on the line is bounded, and what is old in it is worth nothing.
      this.#received = [...this.#received, ...bytes].slice(-256)
      this.#wake()
    })
  }

  async #hear(limitMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve } = this.#heard
    using _limit = this.#o.clock.timer(limitMs, resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    signal.throwIfAborted()
  }

  #wake(): void {
    this.#heard.resolve()
    this.#heard = Promise.withResolvers()
  }
}

/** Four digits, as process ids are. */
function digits(id: number): number[] {
  return [...String(id).padStart(4, '0')].map((digit) => digit.charCodeAt(0))
}
