/** Reads and writes the objects of PDF (ISO 32000-1 §7.3). What is not understood is refused: it is not passed on. */
import { notRemovable } from './source.ts'

/** A number, string, or keyword, as it stands in the file. */
export class Token {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get text(): string {
    return latin1(this.bytes)
  }
}

export class Name {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export class Reference {
  readonly number: number

  constructor(number: number) {
    this.number = number
  }
}

export type Dictionary = Map<string, PdfValue>

export class Stream {
  readonly dictionary: Dictionary
  readonly data: Uint8Array

  constructor(dictionary: Dictionary, data: Uint8Array) {
    this.dictionary = dictionary
    this.data = data
  }
}

export type PdfValue = Token | Name | Reference | Dictionary | Stream | readonly PdfValue[]

const depthMax = 60
const blanks = new Set([0, 9, 10, 12, 13, 32])
const delimiters = new Set([...'()<>[]{}/%'].map((letter) => letter.charCodeAt(0)))

export class PdfReader {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.at = at
  }

  get ended(): boolean {
    this.blank()
    return this.at >= this.#bytes.length
  }

  /** Passes over blanks and comments. */
  blank(): void {
    for (;;) {
      const byte = this.#bytes[this.at]
      if (byte === undefined) return
      if (byte === 0x25) while (this.at < this.#bytes.length && !this.#isLineEnd()) this.at++
      else if (blanks.has(byte)) this.at++
      else return
    }
  }

  #isLineEnd(): boolean {
    return this.#bytes[this.at] === 10 || this.#bytes[this.at] === 13
  }

  /** Whether these letters come next; passes over them then. */
  takes(text: string): boolean {
    this.blank()
    if (latin1(this.#bytes.subarray(this.at, this.at + text.length)) !== text) return false
    this.at += text.length
    return true
  }

  /** Letters up to a blank or delimiter. */
  word(): string {
    this.blank()
    const from = this.at
    while (this.at < this.#bytes.length && !blanks.has(this.#bytes[this.at]!) && !delimiters.has(this.#bytes[this.at]!))
      this.at++
    return latin1(this.#bytes.subarray(from, this.at))
  }

  /** One object; for a dictionary that a stream follows, the dictionary. */
  value(depth = 0): PdfValue {
    if (depth > depthMax) throw notRemovable('objects in objects, too deep')
    this.blank()
    const byte = this.#bytes[this.at]
    if (byte === 0x2f) return this.#name()
    if (byte === 0x28) return this.#string()
    if (byte === 0x5b) return this.#array(depth)
    if (byte === 0x3c) return this.#bytes[this.at + 1] === 0x3c ? this.#dictionary(depth) : this.#hexString()
    const from = this.at
    const word = this.word()
    if (!/^([+-]?[\d.]+(-\d*)?|true|false|null)$/.test(word)) throw notRemovable(`no object at byte ${from}`)
    if (/^\d+$/.test(word)) {
      const after = this.at
      if (/^\d+$/.test(this.word()) && this.word() === 'R') return new Reference(Number(word))
      this.at = after
    }
    return new Token(this.#bytes.subarray(from, this.at))
  }

  #name(): Name {
    this.at++
    const from = this.at
    while (this.at < this.#bytes.length && !blanks.has(this.#bytes[this.at]!) && !delimiters.has(this.#bytes[this.at]!))
      this.at++
    const raw = latin1(this.#bytes.subarray(from, this.at))
    return new Name(
      raw.replaceAll(/#([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    )
  }

  #string(): Token {
    const from = this.at
    for (let open = 0; this.at < this.#bytes.length; this.at++) {
      const byte = this.#bytes[this.at]
      if (byte === 0x5c) this.at++
      else if (byte === 0x28) open++
      else if (byte === 0x29 && --open === 0) return new Token(this.#bytes.subarray(from, ++this.at))
    }
    throw notRemovable('a string without an end')
  }

  #hexString(): Token {
    const end = this.#bytes.indexOf(0x3e, this.at)
    if (end < 0) throw notRemovable('a string without an end')
    const token = new Token(this.#bytes.subarray(this.at, end + 1))
    this.at = end + 1
    return token
  }

  #array(depth: number): PdfValue[] {
    this.at++
    const values: PdfValue[] = []
    while (!this.takes(']')) {
      if (this.ended) throw notRemovable('a list without an end')
      values.push(this.value(depth + 1))
    }
    return values
  }

  #dictionary(depth: number): Dictionary {
    this.at += 2
    const entries: Dictionary = new Map()
    while (!this.takes('>>')) {
      if (this.ended) throw notRemovable('a dictionary without an end')
      const key = this.value(depth + 1)
      if (!(key instanceof Name)) throw notRemovable('a dictionary whose key is no name')
      entries.set(key.text, this.value(depth + 1))
    }
    return entries
  }
}

/** An object as it is written; of a stream, its dictionary. */
export function writePdfValue(value: PdfValue): Uint8Array {
  if (value instanceof Token) return value.bytes
  if (value instanceof Name) return Buffer.from(writtenName(value.text), 'latin1')
  if (value instanceof Reference) return Buffer.from(`${value.number} 0 R`)
  if (value instanceof Stream) return writePdfValue(value.dictionary)
  const space = Buffer.from(' ')
  if (value instanceof Map) {
    const entries = [...value].flatMap(([key, entry]) => [
      Buffer.from(writtenName(key), 'latin1'),
      space,
      writePdfValue(entry),
      space,
    ])
    return Buffer.concat([Buffer.from('<< '), ...entries, Buffer.from('>>')])
  }
  return Buffer.concat([Buffer.from('[ '), ...value.flatMap((part) => [writePdfValue(part), space]), Buffer.from(']')])
}

function writtenName(text: string): string {
  const escaped = (letter: string) => `#${letter.charCodeAt(0).toString(16).padStart(2, '0')}`
  return `/${text.replaceAll(/[^\x21-\x7e]|[#()<>[\]{}/%]/g, escaped)}`
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
