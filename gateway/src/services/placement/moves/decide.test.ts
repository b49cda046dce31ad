import t from 'tap'
import type { RiskTerm } from '../risk/risk.ts'
import type { Candidate } from '../saves/choose.ts'
import { type Bucket, type ClassFacts, decide, defaultDecideRules } from './decide.ts'

const nowMs = Date.UTC(2026, 0, 2)
const low: ClassFacts = { id: 1, level: 1, home: 'JP-13', asking: 'JP-13', abroad: true }
const high: ClassFacts = { ...low, id: 2, level: 3 }

function candidate(server: string, risk: number, longitude: number, usedBytes: number): Candidate {
  return {
    server,
    region: `JP-${server}`,
    domain: server,
    latitude: 40,
    longitude,
    risk: { value: risk, terms: [] },
    capacityBytes: 1000,
    usedBytes,
    demerits: 0,
  }
}

function bucket(of: ClassFacts, one: string, two: string, strays: string[]): Bucket {
  return {
    class: of.id,
    place: 0,
    span: 256,
    one,
    two,
    bytes: 100,
    since: 0,
    strays,
    leaves: [],
    before: undefined,
    cause: 'risk',
    urgency: 0,
  }
}

/** A safe place, and two that are good enough to stay in. */
const places = (usedInSafe: number) => [
  candidate('safe', 0.01, 0, usedInSafe),
  candidate('a', 0.012, 60, 0),
  candidate('b', 0.012, 120, 0),
]

t.test(
  'S16: strays of a lower level make room where a higher one belongs, once what they may fill is full',
  async (t) => {
    const ofLow = bucket(low, 'a', 'b', ['safe'])
    const ofHigh = bucket(high, 'safe', 'b', [])
    const changes = (usedInSafe: number, ...buckets: Bucket[]) =>
      decide(places(usedInSafe), [low, high], buckets, defaultDecideRules, nowMs).changes
    t.match(changes(980, ofLow, ofHigh), [
      { bucket: { class: low.id }, one: 'a', two: 'b', leaves: ['safe'], cause: 'rank' },
    ])
    t.same(changes(100, ofLow, ofHigh), [], 'while there is room, nobody is bothered')
    t.same(changes(980, ofLow), [], 'nor when nobody of a higher level wants to be there')
    t.same(changes(980, bucket(high, 'a', 'b', ['safe'])), [], 'nor is the highest level')
  },
)

t.test(
  'S9: where one safe place is left for two copies in danger, one goes there, away from the greater danger',
  async (t) => {
    const storm: RiskTerm = {
      peril: 'storm',
      probability: 0,
      vulnerability: 0.5,
      source: 'track',
      hazard: 'storm-1',
      arrivesMs: nowMs + 3_600_000,
    }
    const stormy = (server: string, risk: number, longitude: number): Candidate => ({
      ...candidate(server, risk, longitude, 0),
      risk: { value: risk, terms: [{ ...storm, probability: risk * 2 }] },
    })
    const all = [stormy('kochi', 0.35, 133), stormy('naha', 0.1, 120), candidate('ishikari', 0.0001, 141, 0)]
    const decided = (of: Bucket, candidates: Candidate[] = all) =>
      decide(candidates, [low], [of], defaultDecideRules, nowMs)

    const first = decided(bucket(low, 'kochi', 'naha', []))
    t.match(first.changes, [{ one: 'ishikari', two: 'naha', leaves: ['kochi'], cause: 'risk' }])
    t.match(first.stuck, [{ server: 'naha', cause: 'risk' }], 'and the other one is told as in danger')
    t.match(decided(bucket(low, 'naha', 'kochi', [])).changes, [{ one: 'naha', two: 'ishikari' }])

    const lost = all.map((place) => (place.server === 'naha' ? { ...place, closed: 'lost' as const } : place))
    t.match(decided(bucket(low, 'kochi', 'naha', []), lost).changes, [
      { one: 'kochi', two: 'ishikari', leaves: ['naha'] },
    ])
    const none = decided(bucket(low, 'kochi', 'naha', []), all.slice(0, 2))
    t.same(none.changes, [], 'without a safe place both stay: never fewer than two')
    t.match(none.stuck, [{ server: 'kochi' }])
  },
)
