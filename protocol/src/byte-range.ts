/** The one range of bytes that a reader asks for over HTTP (RFC 9110 §14). */
import { Problem } from './problem.ts'

/**
 * @returns from, and up to but not with; undefined for several ranges or another unit: then all of it is answered
 * @throws {Problem} `url.range` for what the file does not have
 */
export function byteRange(header: string, sizeBytes: number): [number, number] | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim()) ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
  const from = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first)
  const to = first === '' || last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1)
  if (from >= to) throw new Problem('url.range', `it has ${sizeBytes} bytes`, { data: { sizeBytes } })
  return [from, to]
}
