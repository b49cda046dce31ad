/**
 * What a drill comes to: pure, from where replicas lay at the start, what moved when, and when which hazard reached which
 * server. "Without" is the same site had nothing moved after the start.
 */

/** A replica changed its place. */
export interface DrillMove {
  atMs: number
  object: number
  slot: 1 | 2
  from: string
  to: string
  bytes: number
  level: number
  /** Why, as placement recorded it. */
  cause: string
  /** The hazard on the server that it left, when there was one, and when that was expected there. */
  hazard?: string
  arrivesMs?: number
}

/** A hazard reached a server. */
export interface Arrival {
  /** One for all tellings and agencies of an event. */
  event: string
  hazard: string
  title: string
  peril: string
  server: string
  /** When the site first heard that this server was threatened. */
  warnedMs: number
  atMs: number
  /** Probability that the data there was destroyed by it, 0 … 1: by the last word on it. */
  loss: number
}

export interface DrillObject {
  level: number
  bytes: number
  /** Servers of slot 1 and 2 at the start. */
  start: readonly [string, string]
}

export interface Losses {
  /** Expected number of replicas and bytes destroyed: sum of probability × what lay there. */
  replicas: number
  bytes: number
  /** Expected number of objects of which both replicas are destroyed by one event. */
  objects: number
  /** Were every server that an event reaches destroyed by it: replicas gone, objects left with one, objects gone. */
  worst: { replicas: number; single: number; objects: number }
}

export interface ArrivalOutcome extends Arrival {
  leadMs: number
  /** Replicas there, had nothing moved; there when it arrived; and moved away for it between warning and arrival. */
  replicasWithout: number
  replicasWith: number
  bytesWithout: number
  bytesWith: number
  left: number
  /** How long before the arrival the last of those was safe elsewhere, ms. */
  lastSafeMs?: number
}

export interface LevelOutcome {
  level: number
  objects: number
  moved: number
  bytesMoved: number
  expectedWithout: number
  expectedWith: number
  /** Mean time between a replica's leaving and the arrival that it left for, ms. */
  meanSafeMs?: number
}

export interface Outcome {
  without: Losses
  with: Losses
  arrivals: ArrivalOutcome[]
  levels: LevelOutcome[]
  moves: { all: number; bytes: number; byCause: Record<string, number> }
  /** Moves away from a risk although no hazard was known for the server that was left: must be 0. */
  unfounded: number
  /** Moves that hazards set off which then never came: the price of caution. */
  falseAlarms: number
}

/** From which probability of loss on a server counts as being in the way. */
const inTheWay = 0.01

export function outcomeOf(
  objects: readonly DrillObject[],
  moves: readonly DrillMove[],
  arrivals: readonly Arrival[],
): Outcome {
  const sorted = [...moves].sort((a, b) => a.atMs - b.atMs)
  const start = objects.map(({ start }) => [...start] as [string, string])
  const levels = [3, 2, 1, 0].map((level) => ({ level, expectedWithout: 0, expectedWith: 0 }))
  const without = none()
  const kept = none()
  const outcomes: ArrivalOutcome[] = []
  for (const [, group] of byEvent(arrivals)) {
    // Each server when the event reaches it; an object that moved from one struck server to another is struck there.
    for (const arrival of group) {
      const lying = { at: positions(start, sorted, arrival.atMs), before: start }
      outcomes.push(arrivalOutcome(arrival, objects, lying, sorted))
    }
    tally(without, objects, group, () => start, levels, 'expectedWithout')
    tally(kept, objects, group, (atMs) => positions(start, sorted, atMs), levels, 'expectedWith')
  }
  const fled = sorted.filter(({ hazard }) => hazard !== undefined)
  return {
    without,
    with: kept,
    arrivals: outcomes.sort((a, b) => a.atMs - b.atMs || b.loss - a.loss),
    levels: levels.map((row) => levelOutcome(row, objects, sorted, outcomes)),
    moves: { all: moves.length, bytes: moves.reduce((sum, { bytes }) => sum + bytes, 0), byCause: causes(moves) },
    unfounded: moves.filter(({ cause, hazard }) => cause === 'risk' && hazard === undefined).length,
    falseAlarms: fled.filter(({ hazard, from }) => !arrivals.some((a) => a.hazard === hazard && a.server === from))
      .length,
  }
}

const none = (): Losses => ({
  replicas: 0,
  bytes: 0,
  objects: 0,
  worst: { replicas: 0, single: 0, objects: 0 },
})

/** Where every replica lay at a time. */
export function positions(
  start: readonly (readonly [string, string])[],
  sorted: readonly DrillMove[],
  atMs: number,
): [string, string][] {
  const at = start.map((pair) => [...pair] as [string, string])
  for (const move of sorted) {
    if (move.atMs > atMs) break
    at[move.object]![move.slot - 1] = move.to
  }
  return at
}

function byEvent(arrivals: readonly Arrival[]): Map<string, Arrival[]> {
  const groups = new Map<string, Arrival[]>()
  for (const arrival of arrivals) groups.set(arrival.event, [...(groups.get(arrival.event) ?? []), arrival])
  return groups
}

function tally(
  losses: Losses,
  objects: readonly DrillObject[],
  group: readonly Arrival[],
  lying: (atMs: number) => readonly (readonly [string, string])[],
  levels: { level: number; expectedWithout: number; expectedWith: number }[],
  column: 'expectedWithout' | 'expectedWith',
): void {
  const struck = group.map((arrival) => ({ arrival, at: lying(arrival.atMs) }))
  for (const [i, { level, bytes }] of objects.entries()) {
    const survives: [number, number] = [1, 1]
    const gone = [false, false]
    for (const { arrival, at } of struck)
      for (const slot of [0, 1] as const) {
        if (at[i]![slot] !== arrival.server) continue
        survives[slot] *= 1 - arrival.loss
        if (arrival.loss >= inTheWay) gone[slot] = true
      }
    const expected = 2 - survives[0] - survives[1]
    losses.replicas += expected
    losses.bytes += expected * bytes
    losses.objects += (1 - survives[0]) * (1 - survives[1])
    const n = Number(gone[0]) + Number(gone[1])
    losses.worst.replicas += n
    if (n === 1) losses.worst.single++
    if (n === 2) losses.worst.objects++
    const row = levels.find((one) => one.level === level)
    if (row) row[column] += expected
  }
}

function arrivalOutcome(
  arrival: Arrival,
  objects: readonly DrillObject[],
  { at, before }: Record<'at' | 'before', readonly (readonly [string, string])[]>,
  sorted: readonly DrillMove[],
): ArrivalOutcome {
  const { server, warnedMs, atMs } = arrival
  const there = (pairs: readonly (readonly [string, string])[]) => {
    let replicas = 0
    let bytes = 0
    for (const [i, pair] of pairs.entries())
      for (const one of pair)
        if (one === server) {
          replicas++
          bytes += objects[i]!.bytes
        }
    return { replicas, bytes }
  }
  const left = sorted.filter((move) => move.from === server && move.atMs >= warnedMs && move.atMs <= atMs)
  const last = left.at(-1)
  return {
    ...arrival,
    leadMs: Math.max(0, atMs - warnedMs),
    replicasWithout: there(before).replicas,
    bytesWithout: there(before).bytes,
    replicasWith: there(at).replicas,
    bytesWith: there(at).bytes,
    left: left.length,
    ...(last ? { lastSafeMs: atMs - last.atMs } : {}),
  }
}

function levelOutcome(
  row: { level: number; expectedWithout: number; expectedWith: number },
  objects: readonly DrillObject[],
  sorted: readonly DrillMove[],
  arrivals: readonly ArrivalOutcome[],
): LevelOutcome {
  const mine = sorted.filter(({ level }) => level === row.level)
  const safe: number[] = []
  for (const { from, hazard, atMs } of mine) {
    const arrival = arrivals.find((one) => one.server === from && one.hazard === hazard && one.atMs >= atMs)
    if (arrival) safe.push(arrival.atMs - atMs)
  }
  return {
    ...row,
    objects: objects.filter(({ level }) => level === row.level).length,
    moved: mine.length,
    bytesMoved: mine.reduce((sum, { bytes }) => sum + bytes, 0),
    ...(safe.length > 0 ? { meanSafeMs: safe.reduce((a, b) => a + b, 0) / safe.length } : {}),
  }
}

function causes(moves: readonly DrillMove[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { cause } of moves) counts[cause] = (counts[cause] ?? 0) + 1
  return counts
}
