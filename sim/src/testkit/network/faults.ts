/** What a line does wrong. */

export interface LineFaults {
  /** Probability that a message vanishes, comes twice, or is overtaken. */
  drop: number
  duplicate: number
  reorder: number
  /** One way, ms. */
  delayMs: readonly [low: number, high: number]
}

export const calmLine: LineFaults = { drop: 0, duplicate: 0, reorder: 0, delayMs: [2, 8] }
