/**
 * A file that is to lose its place (D8), and what is left of it. Large files are never taken into memory whole: what is
 * left is written as pieces, in order, some of them read from the file only when they are wanted.
 */
import { Problem } from '@azukari/protocol/problem'

/** Bytes that can be read anywhere. */
export interface Source {
  sizeBytes: number
  /** Up to `length` bytes from `at`; shorter only at the end. */
  read(at: number, length: number): Promise<Uint8Array>
}

/** What was left out besides places, and a person should hear of. */
export type LeftOut = 'provenance' | 'tracks'

export interface Placeless {
  pieces: AsyncIterable<Uint8Array>
  leftOut: ReadonlySet<LeftOut>
}

export const pieceBytes = 65_536
/** A file that is taken into memory whole to be rebuilt. Photos have at most a third of it. */
const wholeMaxBytes = 192 * 1024 * 1024

/** What cannot be made safe is not kept, and the person is told. @param why for the log */
export function notRemovable(why: string, cause?: unknown): Problem {
  return new Problem('place.not-removable', why, { cause })
}

/** @throws {Problem} `place.not-removable` when it is too large, `memory.absent` when it ends early */
export async function readWhole(source: Source, maxBytes = wholeMaxBytes): Promise<Uint8Array> {
  if (source.sizeBytes > maxBytes) throw notRemovable(`${source.sizeBytes} bytes are too many to be rebuilt`)
  const whole = new Uint8Array(source.sizeBytes)
  for await (const [at, piece] of readFrom(source, 0, source.sizeBytes)) whole.set(piece, at)
  return whole
}

/** Pieces of a range, each with where it stands in the range. @throws {Problem} `memory.absent` when it ends early */
export async function* readFrom(source: Source, from: number, to: number): AsyncGenerator<[number, Uint8Array]> {
  for (let at = from; at < to; ) {
    const piece = await source.read(at, Math.min(pieceBytes, to - at))
    if (piece.length === 0) throw new Problem('memory.absent', 'the file ended early')
    yield [at - from, piece]
    at += piece.length
  }
}

/** @throws {Problem} `memory.absent` when it ends early */
export async function readExactly(source: Source, from: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for await (const [at, piece] of readFrom(source, from, from + length)) bytes.set(piece, at)
  return bytes
}

export async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

/** All of a source as it is. */
export async function* allPieces(source: Source): AsyncGenerator<Uint8Array> {
  for await (const [, piece] of readFrom(source, 0, source.sizeBytes)) yield piece
}

export function sourceOf(bytes: Uint8Array): Source {
  return { sizeBytes: bytes.length, read: async (at, length) => bytes.subarray(at, at + length) }
}

export function fourCc(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0)
}
