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
import type { SerialPort } from 'serialport'
import { EscposAnswers } from './escpos-answers.ts'
import { dither, type OneBit } from './one-bit.ts'
import { printCopies } from './print-copies.ts'
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
const askAgainMs = 250
/** Lines sent in one command: little enough for any printer's buffer. */
const bandLines = 128
const sendBytes = 512
const pageMaxLines = 8_000
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
  #heard = new EscposAnswers()
  #news = Promise.withResolvers<void>()
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

  /** Whether its line is there; what the printer says is in its attributes. */
  get isReady(): boolean {
    return this.#line.isOpen
  }

  async attributes(signal: AbortSignal): Promise<PrinterAttributes> {
    const reason = await this.#reason(signal)
    const { dots = 576 } = this.#o
    return { ready: !reason, ...(reason ? { reason } : {}), media: [media], maxWidth: dots, maxHeight: pageMaxLines }
  }

  async print(
    request: PrintRequest,
    signal: AbortSignal,
    progress: (progress: PrintProgress) => void = () => {},
  ): Promise<void> {
    signal.throwIfAborted()
    if (this.#busy) throw partProblem('printer', 'busy')
    this.#busy = true
    try {
      await printCopies(request, copiesMax, signal, progress, () => {
        const { page, media: wanted } = request
        if (wanted !== undefined && wanted !== media) throw partProblem('printer', 'unsupported', `no ${wanted}`)
        const picture = dither(page, this.#o.dots ?? 576)
        if (picture.height > pageMaxLines) throw partProblem('printer', 'unsupported', `${picture.height} lines`)
        return (tell) => this.#one(picture, signal, tell)
      })
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
    while (!this.#heard.printed.includes(id)) {
      if (clock.monotonicMs() > endMs) throw partProblem('printer', 'timeout', `not printed within ${pageMs} ms`)
      // A printer that ran out of paper half way says nothing until it is asked.
      const reason = await this.#reason(signal)
      if (reason) throw partProblem('printer', reason)
      await this.#hear(answerMs / 4, signal)
    }
  }

  /** What keeps it from printing; undefined when nothing does. @throws {Problem} `printer.offline` */
  async #reason(signal: AbortSignal): Promise<PartErrorKind | undefined> {
    const [paper, state, cause] = await this.#statuses(signal)
    if ((paper & 0x60) === 0x60 || cause & 0x20) return 'out-of-media'
    if ((state & 0x08) === 0) return undefined
    return cause & 0x04 ? 'jam' : 'failed'
  }

  /** Paper, state, and cause of being off line. Answers do not say to what: so all three are asked for, and counted. */
  async #statuses(signal: AbortSignal): Promise<[paper: number, state: number, cause: number]> {
    const { clock } = this.#o
    const ask = [...commands.status(4), ...commands.status(1), ...commands.status(2)]
    const { statuses } = this.#heard
    statuses.length = 0
    const endMs = clock.monotonicMs() + answerMs
    // Asked again when the answers are late: those to the last question count, when as many came as were asked for.
    for (let asked = 3; clock.monotonicMs() < endMs; asked += 3) {
      await this.#send(ask, signal)
      const againMs = clock.monotonicMs() + askAgainMs
      while (clock.monotonicMs() < againMs) {
        if (statuses.length >= asked) return statuses.slice(-3) as [number, number, number]
        await this.#hear(askAgainMs, signal)
      }
    }
    throw partProblem('printer', 'timeout', 'it does not answer')
  }

  /** Little by little: what does not fit into the system's own buffer keeps the line from being read. */
  async #send(bytes: readonly number[] | Uint8Array, signal: AbortSignal): Promise<void> {
    const all = Buffer.from(bytes)
    for (let at = 0; at < all.length; at += sendBytes) await this.#sendPart(all.subarray(at, at + sendBytes), signal)
  }

  async #sendPart(bytes: Buffer, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('printer', 'absent', 'closed')
    const port = this.#line.require('printer')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    using _limit = this.#o.clock.timer(this.#o.pageMs ?? 30_000, () =>
      reject(partProblem('printer', 'timeout', 'it takes no more bytes')),
    )
    const lost = () => reject(partProblem('printer', 'removed', 'the line is gone'))
    port.once('close', lost)
    port.write(bytes, (error) => (error ? lost() : port.drain((also) => (also ? lost() : resolve()))))
    try {
      await promise
    } finally {
      port.off('close', lost)
    }
  }

  #listen(port: SerialPort): void {
    this.#heard = new EscposAnswers()
    port.on('data', (bytes: Buffer) => {
      this.#heard.take(bytes)
      this.#wake()
    })
  }

  async #hear(limitMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve } = this.#news
    using _limit = this.#o.clock.timer(limitMs, resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    signal.throwIfAborted()
  }

  #wake(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}

/** Four digits, as process ids are. */
function digits(id: number): number[] {
  return [...String(id).padStart(4, '0')].map((digit) => digit.charCodeAt(0))
}
