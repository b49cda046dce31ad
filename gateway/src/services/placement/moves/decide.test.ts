import t from 'tap'
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
