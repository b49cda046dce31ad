/**
 * Replays a history of hazards against placement with its real stores, sealing and mover on simulated time, and writes
 * down what moved when and what arrived where. Quiet stretches, in which no hazard counts, are left out.
 */
import { termsOf } from '@azukari/gateway/services/placement/hazards/effect'
import { checkHazard, type Hazard } from '@azukari/gateway/services/placement/hazards/hazard'
import { standardRules } from '@azukari/gateway/services/placement/hazards/rules'
import { sameEvent } from '@azukari/gateway/services/placement/hazards/same-event'
import { loss } from '@azukari/gateway/services/placement/risk/risk'
import { hex } from '@azukari/protocol/bytes'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { PlacementFixture } from '../../testkit/placement/fixture.ts'
import type { History, Told } from './history.ts'
import type { Arrival, DrillMove, DrillObject } from './outcome.ts'
import { type DrillPlace, drillHomes, drillPlaces } from './places.ts'

export interface ReplayOptions {
  history: History
  members: number
  objectsPerMember: number
  seed: number
  /** Simulated seconds per second; 0: as fast as the machine can. */
  speed: number
  /** The machine's clock, by which the speed is held. */
  pace: Clock
  places?: readonly DrillPlace[]
  tell?: (line: string) => void
}

export interface Replayed {
  startMs: number
  endMs: number
  /** Simulated time that was really gone through, ms. */
  simulatedMs: number
  places: readonly DrillPlace[]
  objects: DrillObject[]
  moves: DrillMove[]
  arrivals: Arrival[]
  hazards: Hazard[]
  /** Fewest replicas on different servers that any object had at any look. */
  fewestReplicas: number
  /** Moves that were still waiting at the end. */
  waiting: number
}

const minuteMs = 60_000
const hourMs = 3_600_000
/** Before the first telling, for members to save what is at stake. */
const beforeMs = 6 * hourMs
/** So long after the last hazard's end things are looked at. */
const afterMs = 12 * hourMs
/** What comes within this is looked at every minute. */
const nearMs = 2 * hourMs
/** After so long without a stir, and as long before the next, time is left out. */
const quietMs = 6 * hourMs
/** Losses below this are no arrival. */
const leastLoss = 0.001
/** Of one object; small, since it is the number that matters. */
const objectBytes = 4_000

interface Threat {
  hazard: Hazard
  warnedMs: number
  /** By the last word on it. */
  expectedMs: number
  arrival?: Arrival
}

/** @returns what happened; the site is stopped */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  const places = options.places ?? drillPlaces
  const { history, seed } = options
  const fixture = await PlacementFixture.make({
    seed,
    places,
    liveRisks: true,
    placement: { mover: { decideMs: 6 * hourMs } },
    startMs: history.told[0]!.atMs - beforeMs,
  })
  for (const { id, ground } of places) if (ground) await fixture.placement.risks.setGround(id, ground)
  return new Replay(options, fixture, places).run()
}

class Replay {
  readonly #o: ReplayOptions
  readonly #fixture: PlacementFixture
  readonly #places: readonly DrillPlace[]
  readonly #index = new Map<string, number>()
  readonly #objects: DrillObject[] = []
  /** Where every replica lies, by object and slot. */
  readonly #lies: [string, string][] = []
  readonly #moves: DrillMove[] = []
  readonly #threats = new Map<string, Threat>()
  /** The first telling of every event. */
  readonly #events: Hazard[] = []
  readonly #hazards = new Map<string, Hazard>()
  readonly #arrivals: Arrival[] = []
  #made = 0
  #fewest = 2
  #simulatedMs = 0

  constructor(options: ReplayOptions, fixture: PlacementFixture, places: readonly DrillPlace[]) {
    this.#o = options
    this.#fixture = fixture
    this.#places = places
  }

  async run(): Promise<Replayed> {
    const { history, members, tell = () => undefined } = this.#o
    const { clock } = this.#fixture
    const startMs = clock.now()
    await this.#save()
    tell(`${this.#objects.length} objects of ${members} members are kept on ${this.#places.length} servers`)
    for (const [i, told] of history.told.entries()) {
      await this.#until(told.atMs)
      await this.#take(told)
      const next = history.told[i + 1]
      if ((next?.atMs ?? told.atMs) - told.atMs > hourMs || !next)
        tell(
          `${stamp(told.atMs)}  ${i + 1} of ${history.told.length} tellings, ${this.#moves.length} moves, ${this.#arrivals.length} arrivals`,
        )
    }
    const ends = this.#fixture.placement.risks.hazards().map(({ hazard }) => hazard.untilMs)
    await this.#until(Math.max(clock.now(), ...ends) + afterMs)
    const waiting = (await this.#fixture.medium.sql.get<{ n: number }>('SELECT count(*) AS n FROM moves'))!.n
    const endMs = clock.now()
    await this.#fixture.stop()
    return {
      startMs,
      endMs,
      simulatedMs: this.#simulatedMs,
      places: this.#places,
      objects: this.#objects,
      moves: this.#moves,
      arrivals: this.#arrivals,
      hazards: [...this.#hazards.values()],
      fewestReplicas: this.#fewest,
      waiting,
    }
  }

  /** What is at stake: members of all levels, from everywhere, each with some objects. */
  async #save(): Promise<void> {
    const fixture = this.#fixture
    const owners = new Map<string, { level: number; bytes: number }>()
    for (let i = 0; i < this.#o.members; i++) {
      const member = await fixture.addMember(i % 4, drillHomes[Math.floor(i / 4) % drillHomes.length]!)
      for (let n = 0; n < this.#o.objectsPerMember; n++) {
        const object = await fixture.offer(member, fixture.random.bytes(objectBytes))
        owners.set(hex(object), { level: member.level, bytes: objectBytes })
      }
    }
    const open = async () =>
      (await fixture.medium.sql.get<{ n: number }>("SELECT count(*) AS n FROM saves WHERE state <> 'kept'"))!.n
    await fixture.run(beforeMs / 2, async () => (await open()) === 0)
    await fixture.rest(beforeMs / 4)
    for (const [object, { level, bytes }] of owners) {
      const [one, two] = await this.#standing(object)
      this.#index.set(object, this.#objects.length)
      this.#objects.push({ level, bytes, start: [one!.server, two!.server] })
      this.#lies.push([one!.server, two!.server])
    }
    this.#made = this.#movesMade()
  }

  async #standing(object: string): Promise<{ server: string }[]> {
    return this.#fixture.medium.sql.all('SELECT server FROM replicas WHERE object = ? ORDER BY slot', fromHex(object))
  }

  /** Lets time pass until then, looking on as often as it matters; what is quiet is left out. */
  async #until(untilMs: number): Promise<void> {
    const { clock } = this.#fixture
    let calmMs = 0
    while (clock.now() < untilMs) {
      const stir = await this.#stir()
      const stepMs = Math.min(stir === 'now' ? minuteMs : 10 * minuteMs, untilMs - clock.now())
      calmMs = stir === 'none' ? calmMs + stepMs : 0
      if (calmMs > quietMs && untilMs - clock.now() > 2 * quietMs) {
        await this.#leap(untilMs - quietMs)
        calmMs = 0
        continue
      }
      await this.#run(stepMs)
    }
  }

  async #run(ms: number): Promise<void> {
    const { speed, pace } = this.#o
    const began = pace.monotonicMs()
    await this.#fixture.run(ms)
    this.#simulatedMs += ms
    await this.#look()
    const leftMs = speed > 0 ? ms / speed - (pace.monotonicMs() - began) : 0
    if (leftMs > 1) await pace.sleep(leftMs)
  }

  /** The site is shut down for a stretch in which nothing happens. */
  async #leap(toMs: number): Promise<void> {
    await this.#fixture.stop()
    await this.#fixture.clock.runUntil(toMs)
    await this.#fixture.boot()
    this.#made = -1
  }

  /** Whether something moves or arrives right now, is on its way, or nothing is. */
  async #stir(): Promise<'now' | 'soon' | 'none'> {
    const { mover, risks } = this.#fixture.placement
    if (
      mover.running > 0 ||
      (await this.#fixture.medium.sql.get('SELECT 1 FROM moves WHERE problem IS NULL AND waits = 0 LIMIT 1'))
    )
      return 'now'
    const nowMs = this.#fixture.clock.now()
    const live = new Set(risks.hazards().map(({ hazard }) => hazard.id))
    let stir: 'soon' | 'none' = 'none'
    for (const { hazard, expectedMs, arrival } of this.#threats.values()) {
      if (!live.has(hazard.id) || arrival) continue
      if (expectedMs < nowMs + nearMs) return 'now'
      stir = 'soon'
    }
    return stir
  }

  async #take({ feed, hazard, cancelled }: Told): Promise<void> {
    const nowMs = this.#fixture.clock.now()
    const bulletin = {
      hazards: [] as Hazard[],
      cancelled: [] as { id: string; atMs: number }[],
      held: [],
      problems: [],
      passed: 0,
    }
    if (cancelled) bulletin.cancelled.push({ id: cancelled, atMs: nowMs })
    try {
      if (hazard) bulletin.hazards.push(checkHazard({ ...hazard }, nowMs))
    } catch (error) {
      // A bulletin about what is long over, or dated beyond its time, is refused here as on a site.
      if (!isProblem(error)) throw error
    }
    await this.#fixture.placement.risks.take(feed, bulletin)
    for (const one of bulletin.hazards) {
      this.#hazards.set(one.id, withPast(one, this.#hazards.get(one.id)))
      if (!this.#events.some((event) => sameEvent(event, one))) this.#events.push(one)
    }
    await this.#look()
  }

  /** Writes down what arrived and what moved since the last look. */
  async #look(): Promise<void> {
    this.#threatened()
    const made = this.#movesMade()
    if (made === this.#made) return
    this.#made = made
    await this.#fixture.tellCards()
    const rows = await this.#fixture.medium.sql.all<{
      object: Uint8Array
      slot: 1 | 2
      server: string
      reason: string
    }>(
      "SELECT object, slot, server, reason FROM replicas WHERE object IN (SELECT object FROM saves WHERE media = 'image/jpeg')",
    )
    const nowMs = this.#fixture.clock.now()
    const places = new Map<number, Set<string>>()
    for (const { object, slot, server, reason } of rows) {
      const index = this.#index.get(hex(object))
      if (index === undefined) continue
      places.set(index, (places.get(index) ?? new Set()).add(server))
      const lay = this.#lies[index]![slot - 1]!
      if (lay === server) continue
      this.#lies[index]![slot - 1] = server
      this.#moves.push({
        atMs: nowMs,
        object: index,
        slot,
        from: lay,
        to: server,
        bytes: this.#objects[index]!.bytes,
        level: this.#objects[index]!.level,
        ...causeIn(reason),
      })
    }
    for (const servers of places.values()) this.#fewest = Math.min(this.#fewest, servers.size)
  }

  /** Threats as they stand now, by the same formulas as the risks; those that have arrived. */
  #threatened(): void {
    const nowMs = this.#fixture.clock.now()
    for (const { hazard } of this.#fixture.placement.risks.hazards())
      for (const place of this.#places) {
        const key = `${hazard.id} ${place.id}`
        const known = this.#threats.get(key)
        // An earthquake is there before it is heard of: it counts as it was.
        const isQuake = hazard.shape.kind === 'quake'
        if (isQuake && known) continue
        const at = isQuake ? hazard.fromMs : nowMs
        const term = termsOf(hazard, placeOf(place), at, standardRules)
          .filter(({ facts }) => facts?.['term'] !== 'aftershocks')
          .find((one) => loss(one) >= leastLoss)
        if (!term) continue
        const threat: Threat = known ?? { hazard, warnedMs: nowMs, expectedMs: nowMs }
        threat.expectedMs = term.arrivesMs ?? nowMs
        this.#threats.set(key, threat)
        if (threat.arrival) {
          threat.arrival.loss = Math.max(threat.arrival.loss, loss(term))
          continue
        }
        if (!isQuake && (term.arrivesMs ?? nowMs) > nowMs) continue
        const event = this.#events.find((one) => sameEvent(one, hazard))?.id ?? hazard.id
        const told = this.#arrivals.find((one) => one.event === event && one.server === place.id)
        if (told) {
          // Another agency's word on the same: it counts once, by the worse of both.
          told.loss = Math.max(told.loss, loss(term))
          threat.arrival = told
          continue
        }
        const { id, title, peril } = hazard
        threat.arrival = {
          event,
          hazard: id,
          title,
          peril,
          server: place.id,
          warnedMs: threat.warnedMs,
          atMs: isQuake ? hazard.fromMs : nowMs,
          loss: loss(term),
        }
        this.#arrivals.push(threat.arrival)
      }
  }

  #movesMade(): number {
    const { moved, resealed } = this.#fixture.placement.mover.counts
    return moved + resealed
  }
}

function causeIn(reason: string): { cause: string; hazard?: string; arrivesMs?: number } {
  const { cause = 'new', from } = JSON.parse(reason) as {
    cause?: string
    from?: { hazard?: string; arrivesMs?: number }
  }
  return {
    cause,
    ...(from?.hazard === undefined ? {} : { hazard: from.hazard }),
    ...(from?.arrivesMs === undefined ? {} : { arrivesMs: from.arrivesMs }),
  }
}

/** A cyclone's last telling, behind the way that it came by those before. */
function withPast(hazard: Hazard, before: Hazard | undefined): Hazard {
  if (hazard.shape.kind !== 'track' || before?.shape.kind !== 'track') return hazard
  const [first] = hazard.shape.points
  const past = before.shape.points.filter(({ atMs }) => atMs < first!.atMs)
  return { ...hazard, fromMs: before.fromMs, shape: { ...hazard.shape, points: [...past, ...hazard.shape.points] } }
}

function placeOf({ id, region, latitude, longitude, ground = {} }: DrillPlace) {
  return { server: id, region, latitude, longitude, ground }
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
