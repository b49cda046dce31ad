/** Reads a WebAssembly binary byte by byte and refuses, with a place, whatever is not there or not allowed. */
import { Problem } from '../problem.ts'

/** The module may not run here. @param at offset in the module, bytes */
export function refused(why: string, at?: number): Problem {
  return new Problem('work.module-refused', at === undefined ? why : `${why} (at byte ${at})`)
}

export class ModuleReader {
  readonly bytes: Uint8Array
  readonly end: number
  at: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get done(): boolean {
    return this.at >= this.end
  }

  byte(): number {
    if (this.at >= this.end) throw refused('it is cut off', this.at)
    return this.bytes[this.at++]!
  }

  skip(length: number): void {
    if (length > this.end - this.at) throw refused('it is cut off', this.at)
    this.at += length
  }

  take(length: number): Uint8Array {
    const from = this.at
    this.skip(length)
    return this.bytes.subarray(from, this.at)
  }

  /** An unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte()
      if (shift === 28 && byte > 0x0f) break
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw refused('a number is too long', this.at)
  }

  /** Skips a signed LEB128 of `bits`; the engine checks its value. */
  skipSigned(bits: 32 | 33 | 64): void {
    const maxBytes = Math.ceil(bits / 7)
    for (let length = 0; length < maxBytes; length++) if (this.byte() < 0x80) return
    throw refused('a number is too long', this.at)
  }

  /** A count of things that take a byte each at least. */
  count(what: string, max: number): number {
    const count = this.u32()
    if (count > max) throw refused(`${count} ${what}; at most ${max}`, this.at)
    if (count > this.end - this.at) throw refused('it is cut off', this.at)
    return count
  }

  name(): string {
    const bytes = this.take(this.u32())
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    } catch {
      throw refused('a name is not UTF-8', this.at)
    }
  }

  /** A part of this module that lies ahead, by itself; this reader goes on behind it. */
  part(length: number): ModuleReader {
    const from = this.at
    this.skip(length)
    return new ModuleReader(this.bytes, from, this.at)
  }

  finish(what: string): void {
    if (!this.done) throw refused(`${what} is longer than what it holds`, this.at)
  }
}
