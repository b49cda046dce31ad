/** Places of a bed, and what they risk: standing rates, and hazards as a test announces them. */
import type { RiskBoard, RiskChange } from '@azukari/gateway/services/placement/risk/board'
import { type Risk, type RiskTerm, riskOf } from '@azukari/gateway/services/placement/risk/risk'
import type { SimClock } from '../world/clock.ts'

export interface FixturePlace {
  id: string
  region: string
  latitude: number
  longitude: number
  /** Probability of an earthquake per year. */
  quake: number
  capacityBytes?: number
  /** All its standing rates, in place of the earthquake's alone. */
  rates?: RiskTerm[]
}

/** Standing rates, and hazards as they are announced here. */
export class FixtureRisks implements RiskBoard {
  readonly #places: readonly FixturePlace[]
  readonly #hazards = new Map<string, RiskTerm[]>()
  readonly #listeners = new Set<(change: RiskChange) => void>()
  readonly #clock: SimClock

  constructor(places: readonly FixturePlace[], clock: SimClock) {
    this.#places = places
    this.#clock = clock
  }

  async of(server: string): Promise<Risk> {
    const place = this.#places.find(({ id }) => id === server)
    if (!place) return { value: 1, terms: [] }
    const standing: RiskTerm = {
      peril: 'earthquake',
      probability: place.quake,
      vulnerability: 0.5,
      source: 'made up',
    }
    return riskOf([standing, ...(this.#hazards.get(server) ?? [])])
  }

  onChange(listener: (change: RiskChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** A hazard is on its way to these servers; probability 0 takes it back. */
  announce(hazard: string, servers: readonly string[], probability: number, arrivesMs: number): void {
    for (const server of servers) {
      const others = (this.#hazards.get(server) ?? []).filter((term) => term.hazard !== hazard)
      const term: RiskTerm = {
        peril: 'storm',
        probability,
        vulnerability: 0.5,
        source: 'made up',
        hazard,
        arrivesMs,
        untilMs: arrivesMs + 86_400_000,
      }
      this.#hazards.set(server, probability > 0 ? [...others, term] : others)
    }
    for (const listener of this.#listeners) listener({ servers, atMs: this.#clock.now(), reason: hazard })
  }
}
