/** A printer that puts each page into a folder as a PNG or PDF: a photo frame's folder, a lab's hot folder, a spool that something else prints. */
import {
  type Printer,
  type PrinterAttributes,
  type PrintProgress,
  type PrintRequest,
  partProblem,
} from '@azukari/device/drivers'
import type { Files } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { encodePdf, papers } from './pdf.ts'
import { encodePng } from './png.ts'

export interface FolderPrinterOptions {
  files: Files
  directory: string
  model?: string
  /** `png` has the very pixels; `pdf` has the page as it would lie on paper. */
  format?: 'png' | 'pdf'
}

const copiesMax = 99
const usualPaper = 'iso_a4_210x297mm'

export class FolderPrinter implements Printer {
  readonly model: string
  readonly #files: Files
  readonly #directory: string
  readonly #format: 'png' | 'pdf'
  #busy = false
  #closed = false

  constructor(options: FolderPrinterOptions) {
    this.#files = options.files
    this.#directory = options.directory
    this.#format = options.format ?? 'png'
    this.model = options.model ?? 'folder printer'
  }

  async attributes(signal: AbortSignal): Promise<PrinterAttributes> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('printer', 'absent', 'closed')
    const ready = (await this.#files.stat(this.#directory))?.directory === true
    return {
      ready,
      ...(ready ? {} : { reason: 'absent' as const }),
      media: this.#format === 'pdf' ? Object.keys(papers) : [usualPaper],
      maxWidth: 20_000,
      maxHeight: 20_000,
    }
  }

  async print(
    { page, title, copies, media }: PrintRequest,
    signal: AbortSignal,
    progress: (progress: PrintProgress) => void = () => {},
  ): Promise<void> {
    signal.throwIfAborted()
    if (this.#busy) throw partProblem('printer', 'busy')
    this.#busy = true
    try {
      const attributes = await this.attributes(signal)
      if (!attributes.ready) throw partProblem('printer', 'absent', 'the folder is not there')
      if (media !== undefined && !attributes.media.includes(media))
        throw partProblem('printer', 'unsupported', `no ${media}`)
      if (!Number.isInteger(copies) || copies < 1 || copies > copiesMax)
        throw partProblem('printer', 'unsupported', `${copies} copies`)
      if (page.width < 1 || page.height < 1 || page.rgba.length !== page.width * page.height * 4)
        throw partProblem('printer', 'unsupported', 'the page has not the pixels it says')
      progress({ stage: 'sent', copies: 0 })
      const sheet = this.#format === 'pdf' ? encodePdf(page, title, media ?? usualPaper) : encodePng(page)
      for (let copy = 0; copy < copies; copy++) {
        signal.throwIfAborted()
        progress({ stage: 'printing', copies: copy })
        await this.#put(title, sheet, copy)
        progress({ stage: 'printed', copies: copy + 1 })
      }
    } finally {
      this.#busy = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  /** Under a hidden name first: whoever watches the folder sees whole pages only. */
  async #put(title: string, sheet: Uint8Array, copy: number): Promise<void> {
    const base =
      title
        .replaceAll(/[^A-Za-z0-9._-]+/g, '_')
        .replace(/^\.+/, '')
        .slice(0, 80) || 'page'
    try {
      let name = `${base}.${this.#format}`
      for (let again = 2; (await this.#files.stat(`${this.#directory}/${name}`)) !== undefined; again++)
        name = `${base}-${again}.${this.#format}`
      const partial = `${this.#directory}/.${name}`
      const handle = await this.#files.open(partial, 'create')
      try {
        await handle.truncate(0)
        await handle.write(0, sheet)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await this.#files.rename(partial, `${this.#directory}/${name}`)
      await this.#files.syncDirectory(this.#directory)
    } catch (cause) {
      // A full disk is this printer's empty tray.
      const kind = isProblem(cause, 'storage.full')
        ? 'out-of-media'
        : isProblem(cause, 'object.unknown')
          ? 'absent'
          : 'failed'
      throw partProblem('printer', kind, 'the page could not be stored', { cause, data: { copies: copy } })
    }
  }
}
