/** Records of fixed width, as the files of Japanese banks have them: fields as tables, read and written by one code. */
import { Problem } from '@azukari/protocol/problem'
import { decodeBankText, encodeBankText, toBankText } from './zengin-text.ts'

/** `n`: digits, filled with zeros on the left; `c`: text, filled with blanks on the right. */
export interface Field<N extends string = string> {
  readonly name: N
  readonly kind: 'n' | 'c'
  readonly width: number
}

export type Layout = readonly Field[]
export type Values = Record<string, string>

export const n = <N extends string>(name: N, width: number): Field<N> => ({ name, kind: 'n', width })
export const c = <N extends string>(name: N, width: number): Field<N> => ({ name, kind: 'c', width })

export function widthOf(layout: Layout): number {
  return layout.reduce((sum, { width }) => sum + width, 0)
}

/** One record. @throws {Problem} `bank.text`, `bank.malformed` for digits that do not fit; text is cut */
export function writeRecord(layout: Layout, values: Values): string {
  return layout
    .map(({ name, kind, width }) => {
      const value = values[name] ?? ''
      if (kind === 'c') return toBankText(value).slice(0, width).padEnd(width)
      if (!/^\d*$/.test(value) || value.length > width)
        throw new Problem('bank.malformed', `${name} is ${value.length} long`)
      return value.padStart(width, '0')
    })
    .join('')
}

/** @throws {Problem} `bank.malformed` naming the record and the field */
export function readRecord(layout: Layout, record: string, place: string): Values {
  const values: Values = {}
  let at = 0
  for (const { name, kind, width } of layout) {
    const text = record.slice(at, at + width)
    if (kind === 'n' && !/^\d+$/.test(text))
      throw new Problem('bank.malformed', `${place}, ${name} at ${at + 1}: digits`)
    values[name] = kind === 'n' ? text : text.trimEnd()
    at += width
  }
  return values
}

/** Records of a file, each followed by CR LF. */
export function writeFile(records: readonly string[]): Uint8Array {
  return encodeBankText(`${records.join('\r\n')}\r\n`)
}

const maxRecords = 200_000

/** Records of a file, with or without line ends. @throws {Problem} `bank.malformed` */
export function readFile(bytes: Uint8Array, width: number): string[] {
  // Some banks end a file with the end-of-file mark of old systems.
  const text = decodeBankText(bytes.at(-1) === 0x1a ? bytes.subarray(0, -1) : bytes)
  const lines = /[\r\n]/.test(text) ? text.split(/\r\n|\n|\r/) : (text.match(new RegExp(`[^]{1,${width}}`, 'g')) ?? [])
  if (lines.at(-1) === '') lines.pop()
  if (lines.length === 0 || lines.length > maxRecords) throw new Problem('bank.malformed', `${lines.length} records`)
  const wrong = lines.findIndex((line) => line.length !== width)
  if (wrong >= 0)
    throw new Problem('bank.malformed', `record ${wrong + 1} has ${lines[wrong]!.length} bytes, not ${width}`)
  return lines
}
