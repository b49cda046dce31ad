/**
 * Whose copy it is (R6): the suspect is correlated with the signs of every issued sale. A sale that has nothing to do with it has signs
 * that are chance to it, so that its score exceeds z with a chance of at most exp(−z²/2), whatever the picture is
 * (Hoeffding 1963). The threshold keeps the chance that anybody at all is accused wrongly below one in a million.
 */
import { binOf, keyedLayer, keyedSignCount, tileSize } from '@azukari/protocol/marks/carriers'
import { decodeNumber, encodeNumber, saleFormat } from '@azukari/protocol/marks/error-correction'
import type { MarkPicture } from '@azukari/protocol/marks/plane'
import { type Geometry, whiten } from '@azukari/protocol/marks/synchronise'
import { Problem } from '@azukari/protocol/problem'
import { type Aligned, alignments } from './align.ts'
import { type Grid, gridOf, saleKey, saleSigns } from './sale-key.ts'

/** Chance that one tracing accuses anybody who has nothing to do with it. */
export const falseAccusationMax = 1e-6
/** Never less, however few sales there are. */
const scoreMin = 7

export interface Score {
  sale: bigint
  /** In standard deviations of what chance gives. */
  score: number
  /** Whether the id can also be read from the picture with the sale's key, checksum and all. */
  isRead: boolean
}

export interface Tracing {
  /** Sales at or above the threshold, the highest first: more than one when copies were mixed. */
  accused: Score[]
  /** The highest that is not accused. */
  next?: Score
  threshold: number
  /** How the pictures were laid upon each other. */
  by: Aligned['by'][]
}

export interface Suspicion {
  original: MarkPicture
  suspect: MarkPicture
  /** What the public mark of the suspect says, if it can be read. */
  geometry?: Geometry | undefined
  master: Uint8Array
  work: bigint
  sales: readonly bigint[]
}

/** Score from which on a sale is accused, with so many sales and ways to lay the pictures. */
export function thresholdFor(sales: number, ways: number): number {
  return Math.max(scoreMin, Math.sqrt(2 * Math.log((sales * ways) / falseAccusationMax)))
}

/** @throws {Problem} `mark.no-match` when the suspect cannot be laid upon the original */
export function trace({ original, suspect, geometry, master, work, sales }: Suspicion): Tracing {
  const laid = alignments(original, suspect, geometry)
  if (laid.length === 0) throw new Problem('mark.no-match')
  const grid = gridOf(original)
  const observed = laid.map((aligned) => observe(aligned, grid))
  const threshold = thresholdFor(sales.length, observed.length)
  const scores = sales.map((sale) => {
    const signs = saleSigns(saleKey(master, work, sale), sale, grid)
    return best(observed.map((values) => scoreOf(values, signs, sale)))
  })
  scores.sort((a, b) => b.score - a.score)
  const accused = scores.filter(({ score }) => score >= threshold)
  const [next] = scores.slice(accused.length)
  const by = laid.map((aligned) => aligned.by)
  return next ? { accused, next, threshold, by } : { accused, threshold, by }
}

function best(scores: readonly Score[]): Score {
  return scores.reduce((a, b) => (b.score > a.score ? b : a))
}

/** The keyed frequencies of every tile, row after row, by how much of the tile is there. */
export function observe({ residual, covered }: Aligned, { columns, rows }: Grid): Float32Array {
  const { width, height, values } = residual
  const observed = new Float32Array(columns * rows * keyedSignCount)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const tile = new Float64Array(tileSize * tileSize)
      let there = 0
      for (let y = 0; y < Math.min(tileSize, height - row * tileSize); y++)
        for (let x = 0; x < Math.min(tileSize, width - column * tileSize); x++) {
          const from = (row * tileSize + y) * width + column * tileSize + x
          tile[y * tileSize + x] = values[from]!
          there += covered[from]!
        }
      if (there < (tileSize * tileSize) / 16) continue
      const { re, im } = whiten(tile)
      const weight = there / (tileSize * tileSize)
      const start = (row * columns + column) * keyedSignCount
      for (let i = 0; i < keyedLayer.carriers.length; i++) {
        const bin = binOf(keyedLayer.carriers[i]!.u, keyedLayer.carriers[i]!.v)
        observed[start + 2 * i] = weight * re[bin]!
        observed[start + 2 * i + 1] = weight * im[bin]!
      }
    }
  return observed
}

function scoreOf(observed: Float32Array, signs: Int8Array, sale: bigint): Score {
  let sum = 0
  let squares = 0
  for (let i = 0; i < observed.length; i++) {
    sum += observed[i]! * signs[i]!
    squares += observed[i]! * observed[i]!
  }
  const score = squares > 0 ? sum / Math.sqrt(squares) : 0
  return { sale, score, isRead: score > scoreMin && readsAs(observed, signs, sale) }
}

/** Whether the id's own bits come out when its key's stream is taken away. */
function readsAs(observed: Float32Array, signs: Int8Array, sale: bigint): boolean {
  const coded = encodeNumber(saleFormat, sale)
  const soft = new Float64Array(coded.length)
  for (let i = 0; i < observed.length; i++) {
    const bit = (i % keyedSignCount) % coded.length
    // The stream alone: what the signs are without the id's bits.
    soft[bit] = soft[bit]! + observed[i]! * signs[i]! * coded[bit]!
  }
  return decodeNumber(saleFormat, soft) === sale
}
