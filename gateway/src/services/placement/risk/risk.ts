/**
 * The risk of a place: the probability that a data server there is lost within a year, told term by term
 * (ARCHITECTURE §7). Standing rates and live hazards give terms of the same form; `docs/risk.md` has the formulas.
 *
 *   risk = 1 − Π (1 − p · vulnerability)
 */
export type Peril = 'earthquake' | 'tsunami' | 'flood' | 'storm' | 'volcano' | 'fire' | 'outage'

/** One cause of loss. `source` says where the number is from, so that every number shown can be explained. */
export interface RiskTerm {
  peril: Peril
  /** Probability per year that the event reaches the place, 0 … 1. */
  probability: number
  /** Probability that the event, when it comes, destroys the data there, 0 … 1. */
  vulnerability: number
  source: string
  /** The live hazard that it comes from; absent for a standing rate. */
  hazard?: string
  /** When the hazard is expected to reach the place, ms since the epoch; absent when it is there or cannot be said. */
  arrivesMs?: number
  /** From when on the term no longer counts. */
  untilMs?: number
  /** Quantities behind the two probabilities (magnitude, distance, wind …), for the explanation. */
  facts?: Readonly<Record<string, number | string>>
}

export interface Risk {
  /** 0 … 1 per year. */
  value: number
  terms: readonly RiskTerm[]
}

/** Combines independent causes. */
export function riskOf(terms: readonly RiskTerm[]): Risk {
  let survives = 1
  for (const { probability, vulnerability } of terms) survives *= 1 - clamp(probability) * clamp(vulnerability)
  return { value: 1 - survives, terms }
}

/** How far one event of a peril reaches: beyond about three times this, two places are lost independently. */
const reachKm: Record<Peril, number> = {
  earthquake: 150,
  tsunami: 400,
  flood: 60,
  storm: 300,
  volcano: 80,
  fire: 10,
  outage: 200,
}

/**
 * The probability per year that both places are lost: independently, and by one event that reaches both. For each
 * peril the smaller of the two losses is shared in proportion e^(−distance ÷ reach).
 */
export function jointLoss(a: Risk, b: Risk, apartKm: number): number {
  let neither = 1 - a.value * b.value
  for (const term of a.terms) {
    const other = b.terms.find((candidate) => candidate.peril === term.peril)
    if (!other) continue
    const shared = Math.min(loss(term), loss(other)) * Math.exp(-apartKm / reachKm[term.peril])
    neither *= 1 - shared
  }
  return 1 - neither
}

/** What one term takes: the probability that the event comes and destroys the data. */
export function loss(term: RiskTerm): number {
  return clamp(term.probability) * clamp(term.vulnerability)
}

function clamp(probability: number): number {
  // Not a number counts as certain loss: a broken rate must never make a place look safe.
  return probability >= 0 ? Math.min(1, probability) : 1
}
