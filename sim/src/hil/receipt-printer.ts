/**
 * The far end of an ESC/POS printer's line: takes bytes, keeps what would stand on the paper as a picture, and answers as
 * such printers do. Paper can be taken away, the cover opened; it can hang and it can lie.
 */
import type { Raster } from '@azukari/device/drivers'
import type { SerialPort } from 'serialport'

export class ReceiptPrinter {
  readonly #line: SerialPort
  /** Receipts that were cut off, oldest first. */
  readonly pages: Raster[] = []
  hasPaper = true
  isCoverOpen = false
  /** Answers nothing. */
  isMute = false
  /** Never says that a page is out. */
  isForgetful = false
  #pending: number[] = []
  #rows: Uint8Array[] = []
  #width = 0

  constructor(line: SerialPort) {
    this.#line = line
    line.on('data', (bytes: Buffer) => {
      for (const byte of bytes) this.#pending.push(byte)
      while (this.#take()) {}
    })
  }

  garbage(bytes: Uint8Array): void {
    this.#line.write(Buffer.from(bytes))
  }

  #say(...bytes: number[]): void {
    if (!this.isMute) this.#line.write(Buffer.from(bytes))
  }

  /** Takes one command; false when there is none whole. */
  #take(): boolean {
    const bytes = this.#pending
    if (bytes.length < 2) return false
    const length = this.#length(bytes)
    if (length === undefined || bytes.length < length) return false
    this.#do(bytes.splice(0, length))
    return true
  }

  #length(bytes: readonly number[]): number | undefined {
    const [one, two, three] = bytes
    if (one === 0x10 && two === 0x04) return 3
    if (one === 0x1b && two === 0x40) return 2
    if (one === 0x1d && two === 0x56) return 4
    if (one === 0x1d && two === 0x28) return bytes.length < 5 ? undefined : 5 + bytes[3]! + (bytes[4]! << 8)
    if (one === 0x1d && two === 0x76 && three !== undefined)
      return bytes.length < 8 ? undefined : 8 + (bytes[4]! | (bytes[5]! << 8)) * (bytes[6]! | (bytes[7]! << 8))
    // Bytes that are no command would be printed as letters: they are counted as nothing here.
    return 1
  }

  #do(bytes: number[]): void {
    const [one, two, three] = bytes
    if (one === 0x10) this.#status(three!)
    else if (one === 0x1b) this.#rows = []
    else if (one === 0x1d && two === 0x76) this.#band(bytes)
    else if (one === 0x1d && two === 0x56) this.#cut()
    else if (one === 0x1d && two === 0x28 && this.hasPaper && !this.isForgetful)
      this.#say(0x37, 0x22, ...bytes.slice(7, 11), 0)
  }

  #status(n: number): void {
    const isOffline = !this.hasPaper || this.isCoverOpen
    if (n === 1) this.#say(0x12 | (isOffline ? 0x08 : 0))
    else if (n === 2) this.#say(0x12 | (this.isCoverOpen ? 0x04 : 0) | (this.hasPaper ? 0 : 0x20))
    else if (n === 4) this.#say(0x12 | (this.hasPaper ? 0 : 0x60))
  }

  #band(bytes: number[]): void {
    if (!this.hasPaper) return
    const stride = bytes[4]! | (bytes[5]! << 8)
    this.#width = stride * 8
    for (let at = 8; at < bytes.length; at += stride) this.#rows.push(Uint8Array.from(bytes.slice(at, at + stride)))
  }

  #cut(): void {
    if (this.#rows.length === 0) return
    const [width, height] = [this.#width, this.#rows.length]
    const rgba = new Uint8Array(width * height * 4).fill(255)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        if (this.#rows[y]![x >> 3]! & (0x80 >> (x & 7))) rgba.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3)
    this.pages.push({ width, height, rgba })
    this.#rows = []
  }
}
