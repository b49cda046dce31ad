/** What a drill tells: the JSON report, and the same in words. */
import type { Hazard } from '@azukari/gateway/services/placement/hazards/hazard'
import type { History } from './history.ts'
import { type DrillMove, type Outcome, outcomeOf } from './outcome.ts'
import type { Replayed } from './replay.ts'

export interface DrillReport {
  feed: string
  startMs: number
  endMs: number
  /** Days that were gone through; what was quiet was left out. */
  simulatedDays: number
  members: number
  objects: number
  history: { documents: number; tellings: number; passed: number; unread: History['unread'] }
  servers: {
    id: string
    name: string
    region: string
    latitude: number
    longitude: number
    start: number
    end: number
  }[]
  hazards: DrillHazard[]
  outcome: Outcome
  moves: DrillMove[]
  fewestReplicas: number
  waiting: number
}

/** What is drawn of a hazard. */
export interface DrillHazard {
  id: string
  title: string
  peril: string
  fromMs: number
  untilMs: number
  at?: { latitude: number; longitude: number; magnitude: number }
  track?: { latitude: number; longitude: number; atMs: number; windMs: number; radiusKm: number }[]
}

export function reportOf(feed: string, members: number, history: History, replayed: Replayed): DrillReport {
  const { startMs, endMs, simulatedMs, objects, moves, arrivals, hazards, places } = replayed
  const counts = (pairs: readonly (readonly [string, string])[]) => {
    const n = new Map<string, number>()
    for (const pair of pairs) for (const server of pair) n.set(server, (n.get(server) ?? 0) + 1)
    return n
  }
  const start = counts(objects.map((object) => object.start))
  const end = new Map(start)
  for (const { from, to } of moves) {
    end.set(from, (end.get(from) ?? 0) - 1)
    end.set(to, (end.get(to) ?? 0) + 1)
  }
  const { documents, told, passed, unread } = history
  return {
    feed,
    startMs,
    endMs,
    simulatedDays: Math.round(simulatedMs / 8_640_000) / 10,
    members,
    objects: objects.length,
    history: { documents, tellings: told.length, passed, unread },
    servers: places.map(({ id, name, region, latitude, longitude }) => ({
      id,
      name,
      region,
      latitude,
      longitude,
      start: start.get(id) ?? 0,
      end: end.get(id) ?? 0,
    })),
    hazards: hazards.map(drawn),
    outcome: outcomeOf(objects, moves, arrivals),
    moves,
    fewestReplicas: replayed.fewestReplicas,
    waiting: replayed.waiting,
  }
}

function drawn({ id, title, peril, fromMs, untilMs, shape }: Hazard): DrillHazard {
  return {
    id,
    title,
    peril,
    fromMs,
    untilMs,
    ...(shape.kind === 'quake' ? { at: { ...shape.at, magnitude: shape.magnitude } } : {}),
    ...(shape.kind === 'track'
      ? {
          track: shape.points.map(({ latitude, longitude, atMs, windMs, radiusKm }) => ({
            latitude,
            longitude,
            atMs,
            windMs,
            radiusKm,
          })),
        }
      : {}),
  }
}

export function drillText(report: DrillReport): string {
  const { outcome, history, objects, members, servers, moves } = report
  const { without, with: kept } = outcome
  const n = (value: number) => Number(value.toFixed(2))
  const lines = [
    `${day(report.startMs)} to ${day(report.endMs)}, ${report.simulatedDays} days gone through; ${history.documents} documents, ${history.tellings} tellings, ${history.unread.length} unread`,
    `${objects} objects of ${members} members on ${servers.length} servers; ${moves.length} moves, ${outcome.moves.bytes} bytes, ${outcome.falseAlarms} of them for what did no harm there, ${outcome.unfounded} without a hazard`,
    '',
    'What reached a server',
    ...outcome.arrivals.map(
      (one) =>
        `  ${stamp(one.atMs)}  ${one.server.padEnd(11)} ${one.peril.padEnd(10)} loss ${percent(one.loss).padStart(6)}, warned ${span(one.leadMs)} before; ` +
        `there without moves ${one.replicasWithout}, with ${one.replicasWith}` +
        (one.lastSafeMs === undefined ? '' : `; the last was safe ${span(one.lastSafeMs)} before`),
    ),
    '',
    'Lost                              without moves   with moves',
    `  replicas, expected              ${String(n(without.replicas)).padStart(13)} ${String(n(kept.replicas)).padStart(12)}`,
    `  bytes, expected                 ${String(Math.round(without.bytes)).padStart(13)} ${String(Math.round(kept.bytes)).padStart(12)}`,
    `  objects in both places, expected${String(n(without.objects)).padStart(13)} ${String(n(kept.objects)).padStart(12)}`,
    `  replicas, were all in the way destroyed ${String(without.worst.replicas).padStart(5)} ${String(kept.worst.replicas).padStart(12)}`,
    `  objects in both places, likewise ${String(without.worst.objects).padStart(12)} ${String(kept.worst.objects).padStart(12)}`,
    '',
    'Level  objects  moves  lost without  with  safe before',
    ...outcome.levels.map(
      (row) =>
        `  ${row.level}  ${String(row.objects).padStart(9)} ${String(row.moved).padStart(6)} ${String(n(row.expectedWithout)).padStart(13)} ${String(n(row.expectedWith)).padStart(5)}  ${row.meanSafeMs === undefined ? '—' : span(row.meanSafeMs)}`,
    ),
    '',
    `fewest copies of any object at any look: ${report.fewestReplicas}; moves still waiting: ${report.waiting}`,
  ]
  return lines.join('\n')
}

export function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`
}

export function span(ms: number): string {
  const minutes = Math.round(ms / 60_000)
  if (minutes < 120) return `${minutes} min`
  return minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`
}

export function stamp(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}

function day(ms: number): string {
  return stamp(ms).slice(0, 10)
}
