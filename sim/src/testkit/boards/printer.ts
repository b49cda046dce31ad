/** A simulated printer: each page comes out as a PNG; it runs out of paper, jams, is slow, and lies when told to. */

import { encodePng } from '@azukari/boards/png'
import {
  type Printer,
  type PrinterAttributes,
  type PrintProgress,
  type PrintRequest,
  partProblem,
  type Raster,
} from '@azukari/device/drivers'
import type { Clock } from '@azukari/protocol/ports'
import { PNG } from 'pngjs'
import { Faults } from './fault.ts'

export interface SimulatedPrinterOptions {
  clock: Clock
  model?: string
  /** Where pages go, by name; without it they are only kept in `pages`. */
  out?: (name: string, png: Uint8Array) => Promise<void>
  /** Sheets in the tray; endless by default. */
  sheets?: number
  /** Time per copy; at once by default. */
  delayMs?: number
  /** Says that it printed and puts nothing out. */
  lies?: boolean
}

/** Pages that are kept for tests to look at. */
const keptPages = 64

export class SimulatedPrinter implements Printer {
  readonly model: string
  readonly faults = new Faults('printer')
  /** The latest pages that came out. */
  readonly pages: { title: string; page: Raster }[] = []
  sheets: number
  delayMs: number
  lies: boolean
  readonly #options: SimulatedPrinterOptions
  #busy = false
  #closed = false
  #printed = 0

  constructor(options: SimulatedPrinterOptions) {
    this.#options = options
    this.model = options.model ?? 'Azukari Simulated Printer'
    this.sheets = options.sheets ?? Number.POSITIVE_INFINITY
    this.delayMs = options.delayMs ?? 0
    this.lies = options.lies ?? false
  }

  async attributes(signal: AbortSignal): Promise<PrinterAttributes> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('printer', 'absent', 'closed')
    const reason = this.faults.current ?? (this.sheets <= 0 ? ('out-of-media' as const) : undefined)
    return {
      ready: !reason,
      ...(reason ? { reason } : {}),
      media: ['iso_a4_210x297mm', 'jpn_hagaki_100x148mm'],
      maxWidth: 9000,
      maxHeight: 9000,
    }
  }

  async print(
    request: PrintRequest,
    signal: AbortSignal,
    progress: (progress: PrintProgress) => void = () => {},
  ): Promise<void> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('printer', 'absent', 'closed')
    if (this.#busy) throw partProblem('printer', 'busy')
    const { page, copies, media } = request
    if (media !== undefined && !(await this.attributes(signal)).media.includes(media))
      throw partProblem('printer', 'unsupported', `no ${media}`)
    if (copies < 1 || copies > 99 || !Number.isInteger(copies))
      throw partProblem('printer', 'unsupported', `${copies} copies`)
    if (page.rgba.length !== page.width * page.height * 4)
      throw partProblem('printer', 'unsupported', 'the page has not the pixels it says')
    this.#busy = true
    try {
      progress({ stage: 'sent', copies: 0 })
      for (let copy = 0; copy < copies; copy++) await this.#sheet(request, copy, signal, progress)
    } finally {
      this.#busy = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  async #sheet(
    { page, title }: PrintRequest,
    copy: number,
    signal: AbortSignal,
    progress: (progress: PrintProgress) => void,
  ): Promise<void> {
    signal.throwIfAborted()
    progress({ stage: 'printing', copies: copy })
    if (this.delayMs) await this.#options.clock.sleep(this.delayMs, signal)
    this.faults.check()
    if (this.sheets <= 0) throw partProblem('printer', 'out-of-media', 'simulated', { data: { copies: copy } })
    this.sheets--
    if (!this.lies) {
      const name = `${String(++this.#printed).padStart(4, '0')}-${title.replaceAll(/[^A-Za-z0-9._-]+/g, '_').slice(0, 60)}.png`
      await this.#options.out?.(name, encodePng(page))
      this.pages.push({ title, page })
      if (this.pages.length > keptPages) this.pages.shift()
    }
    progress({ stage: 'printed', copies: copy + 1 })
  }
}

/** @throws {Error} when it is no PNG; only for tests and pages of our own */
export function decodePng(bytes: Uint8Array): Raster {
  const { width, height, data } = PNG.sync.read(Buffer.from(bytes))
  return { width, height, rgba: new Uint8Array(data) }
}
