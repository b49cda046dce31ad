/** What everything in one simulated run shares: time, chance, the line, the story, and what must never happen. */
import type { SimNetwork } from '../testkit/network/network.ts'
import { SeededRandom } from '../testkit/world/chance.ts'
import type { SimClock } from '../testkit/world/clock.ts'
import { type Story, Violation } from './story.ts'

/** Mistakes put in on purpose, to show that the simulation finds them. Reachable from nowhere else. */
export const plantedBugs = [
  'ack-before-commit',
  'reuse-data-key',
  'forget-retry',
  'delete-before-receipt',
  'puback-is-reply',
] as const
export type PlantedBug = (typeof plantedBugs)[number]

export class World {
  readonly seed: number
  readonly clock: SimClock
  readonly network: SimNetwork
  readonly story: Story
  readonly bug: PlantedBug | undefined
  /** What went wrong on purpose, by kind. */
  readonly faults = new Map<string, number>()
  /** The first thing that must never happen and did. */
  violation: Violation | undefined
  /** True when all faults have ended. */
  calm = false
  /** The run is over: nobody starts anything any more. */
  over = false
  readonly #checks: (() => Promise<void>)[] = []
  #checking = false

  constructor(seed: number, clock: SimClock, network: SimNetwork, story: Story, bug?: PlantedBug) {
    this.seed = seed
    this.clock = clock
    this.network = network
    this.story = story
    this.bug = bug
  }

  /** Chance of its own for each part of the world, so that one does not disturb the others. */
  chance(part: string, life = 0): SeededRandom {
    let stream = 2166136261
    for (const letter of `${part}/${life}`) stream = Math.imul(stream ^ letter.charCodeAt(0), 16777619) >>> 0
    return new SeededRandom(this.seed, stream)
  }

  count(kind: string, times = 1): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + times)
  }

  violate(invariant: string, what: string): void {
    if (this.violation) return
    this.story.say('VIOLATION', `${invariant}: ${what}`)
    this.violation = new Violation(this.seed, invariant, what, this.story.atMs, [...this.story.lines])
  }

  /** Runs a check that reads only; one after the other, so that its place in the story is always the same. */
  check(invariant: string, work: () => Promise<void>): void {
    this.#checks.push(() =>
      work().catch((error) => this.violate(invariant, error instanceof Error ? error.message : String(error))),
    )
    if (!this.#checking) void this.#runChecks()
  }

  async #runChecks(): Promise<void> {
    this.#checking = true
    for (let work = this.#checks.shift(); work; work = this.#checks.shift()) await work()
    this.#checking = false
  }
}
