/** What is to be done with a queued move when its turn comes. Pure: what was true when it was queued may not be any more. */
import { type Candidate, type ChooseRules, choose, isApart, isSecond } from '../saves/choose.ts'
import type { ReplicaRow } from '../store.ts'
import type { ClassFacts } from './decide.ts'
import type { MakingTable, MovesTable } from './tables.ts'

export interface TurnFacts {
  move: MovesTable
  /** Both replicas as they stand. */
  own: ReplicaRow
  other: ReplicaRow
  class: ClassFacts
  /** Where the bucket belongs, and which servers its objects are to leave. */
  one: string
  two: string
  leaves: readonly string[]
  /** What is being made in the slot already. */
  making: MakingTable | undefined
  candidates: readonly Candidate[]
  /** Servers that failed as targets of this move. */
  avoid: ReadonlySet<string>
  rules: ChooseRules
}

export type Turn =
  | { do: 'nothing' }
  /** Something else must happen first. */
  | { do: 'wait' }
  /** Nowhere to go: `placement.no-server`. */
  | { do: 'stay' }
  | { do: 'copy' | 'reseal'; to: string; otherwise: 'reseal' | undefined }

/** Causes by which the replica itself is no good, wherever it lies. */
const remade: ReadonlySet<string> = new Set(['damaged', 'tampering', 'unexplained', 'rollback'])
/** Nothing is read from a server in such a state. */
const unread: ReadonlySet<Candidate['closed']> = new Set(['lost', 'away', 'contained'])

export function turnOf(facts: TurnFacts): Turn {
  const { move, own, other, making, leaves, candidates } = facts
  // In the journal already: nothing can stop it any more.
  if (making && making.journal !== null) return { do: making.kind, to: making.server, otherwise: undefined }
  const bad = remade.has(move.cause)
  if (!bad && !leaves.includes(own.server)) return { do: 'nothing' }
  const source = candidates.find((candidate) => candidate.server === own.server)
  const target = targetOf(facts, bad)
  if (target === 'wait') return { do: 'wait' }
  if (!target) return { do: 'stay' }
  const copies = !bad && source !== undefined && !unread.has(source.closed)
  if (!copies && other.server === target && own.server !== target) return { do: 'stay' }
  return { do: copies ? 'copy' : 'reseal', to: target, otherwise: copies ? 'reseal' : undefined }
}

function targetOf(facts: TurnFacts, bad: boolean): string | 'wait' | undefined {
  const { own, other, move, making, candidates, leaves, avoid } = facts
  const byId = new Map(candidates.map((candidate) => [candidate.server, candidate]))
  const stands = byId.get(other.server)
  const takes = (server: string) => {
    const candidate = byId.get(server)
    const has = making?.server === server || server === own.server
    return candidate && !candidate.closed && !avoid.has(server) && (has || fits(candidate, own.sealed))
      ? candidate
      : undefined
  }
  // What was begun goes on where it was begun, as long as it may.
  if (making && takes(making.server) && (bad || making.server === assigned(facts)) && making.server !== other.server)
    return making.server
  if (move.cause === 'damaged' && takes(own.server) && !leaves.includes(own.server)) return own.server
  // Where it is assigned; when the other slot lies there, in the other slot's place.
  for (const server of [assigned(facts), facts.one, facts.two]) {
    const place = takes(server)
    if (!place || server === own.server) continue
    if (!stands || stands.closed === 'lost' || stands.closed === 'contained' || fitsBeside(place, stands, facts)) {
      if (server !== other.server) return server
    } else if (leaves.includes(other.server) && stands.closed === undefined) return 'wait'
  }
  const place = elsewhere(facts, byId, stands, bad)
  if (place || !bad || !takes(own.server) || leaves.includes(own.server)) return place
  // A good replica in a doubtful place is better than a bad one.
  return own.server
}

/** Another place than the one assigned, which cannot be had now. */
function elsewhere(
  { own, other, class: of, candidates, avoid, rules }: TurnFacts,
  byId: ReadonlyMap<string, Candidate>,
  stands: Candidate | undefined,
  bad: boolean,
): string | undefined {
  const left = candidates.filter((candidate) => candidate.server !== own.server && !avoid.has(candidate.server))
  const wish = { object: own.object, ...of, sealedBytes: own.sealed }
  try {
    const [one, two] = choose(left, wish, rules, stands ? (own.slot === 1 ? { 2: stands } : { 1: stands }) : {})
    const to = own.slot === 1 ? one.candidate : two.candidate
    const from = byId.get(own.server)
    // Never to a worse place: only what must leave goes to one of a higher risk.
    if (!bad && from && !from.closed && to.risk.value >= from.risk.value) return undefined
    return to.server === other.server ? undefined : to.server
  } catch {
    return undefined
  }
}

function assigned({ own, one, two }: TurnFacts): string {
  return own.slot === 1 ? one : two
}

function fitsBeside(place: Candidate, other: Candidate, { own, class: of, rules }: TurnFacts): boolean {
  return own.slot === 1 ? isApart(place, other, of, rules) : isSecond(place, other, of, rules)
}

function fits(candidate: Candidate, bytes: number): boolean {
  return candidate.usedBytes + bytes <= candidate.capacityBytes
}
