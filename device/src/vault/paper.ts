/**
 * The vault on paper: lines that a person can type back, each with its number and its own check, so that a slip is found on
 * the line where it is. The keys on it are sealed under password B, without the card: paper alone opens nothing, and a
 * lost card does not lose the keys.
 */
import { createHash } from 'node:crypto'
import { base32, parseBase32 } from '@azukari/protocol/base32'
import { Problem } from '@azukari/protocol/problem'

const bytesPerLine = 20
const checkLength = 4
const maxLines = 200

/** `03 abcd efgh … 4k2m`: number, 32 letters in groups, check. */
export function toPaper(bytes: Uint8Array): string[] {
  const count = Math.ceil(bytes.length / bytesPerLine)
  return Array.from({ length: count }, (_, i) => {
    const text = base32(bytes.subarray(i * bytesPerLine, (i + 1) * bytesPerLine))
    const grouped = text.replace(/(.{4})(?=.)/g, '$1 ')
    return `${String(i + 1).padStart(2, '0')}/${String(count).padStart(2, '0')} ${grouped} ${check(i, count, text)}`
  })
}

/** @throws {Problem} `vault.paper` naming the line; lines may come in any order, once each */
export function fromPaper(lines: readonly string[]): Uint8Array {
  const parts = new Map<number, Uint8Array>()
  let total: number | undefined
  for (const [at, line] of lines.filter((line) => line.trim()).entries()) {
    const match = /^\s*(\d{2,3})\/(\d{2,3})\s+([a-z2-7\s]+)$/.exec(line.toLowerCase())
    const letters = match?.[3]?.replaceAll(/\s+/g, '')
    const text = letters?.slice(0, -checkLength)
    const bytes = text ? parseBase32(text) : undefined
    const [number, count] = [Number(match?.[1]), Number(match?.[2])]
    if (!bytes || letters!.slice(-checkLength) !== check(number - 1, count, text!) || count > maxLines)
      throw new Problem('vault.paper', `line ${match ? number : at + 1}`)
    total ??= count
    if (count !== total || parts.has(number))
      throw new Problem('vault.paper', `line ${number} is of another copy, or there twice`)
    parts.set(number, bytes)
  }
  if (!total) throw new Problem('vault.paper', 'there are no lines')
  const ordered = Array.from({ length: total }, (_, i) => {
    const part = parts.get(i + 1)
    if (!part) throw new Problem('vault.paper', `line ${i + 1} is missing`)
    return part
  })
  return new Uint8Array(Buffer.concat(ordered))
}

function check(index: number, count: number, text: string): string {
  return base32(createHash('sha256').update(`azukari/paper/1/${index}/${count}/${text}`).digest().subarray(0, 5)).slice(
    0,
    checkLength,
  )
}
