import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { distanceKm, regions } from '../../../geography.ts'
import { jointLoss, riskOf } from '../risk/risk.ts'
import { type Candidate, choose, defaultRules } from './choose.ts'

function server(name: string, region: string, probability: number, more: Partial<Candidate> = {}): Candidate {
  const { latitude, longitude } = regions.get(region)!
  return {
    server: name,
    region,
    latitude,
    longitude,
    domain: name,
    risk: riskOf([{ peril: 'earthquake', probability, vulnerability: 1, source: 'test' }]),
    capacityBytes: 1e12,
    usedBytes: 0,
    demerits: 0,
    ...more,
  }
}
const wish = { object: new Uint8Array(16), level: 3, home: 'JP-13', asking: 'JP-13', sealedBytes: 1000 }
const site = [
  server('tokyo', 'JP-13', 0.02),
  server('sapporo', 'JP-01', 0.004),
  server('fukuoka', 'JP-40', 0.003),
  server('osaka', 'JP-27', 0.01),
  server('singapore', 'SG', 0.001),
]

t.test('S5: the first place is the safest, the second the safest that is elsewhere', (t) => {
  const [first, second] = choose(site, wish)
  t.equal(first.candidate.server, 'singapore')
  t.equal(second.candidate.server, 'fukuoka')
  t.ok(second.reason.apartKm! > 300)
  t.end()
})

t.test('S5: never in the home region or the asking region for the second, never fewer than two', (t) => {
  const two = [server('a', 'JP-01', 0.001), server('b', 'JP-13', 0.001)]
  t.throws(() => choose(two, { ...wish, home: 'JP-13', asking: 'JP-01' }), { code: 'placement.no-server' })
  const [first, second] = choose(two, { ...wish, home: 'JP-13', asking: 'JP-13' })
  t.same(
    [first.candidate.server, second.candidate.server],
    ['b', 'a'],
    'the safest first place leaves room for a second',
  )
  t.throws(
    () =>
      choose([server('a', 'JP-13', 0.001), server('b', 'JP-14', 0.001)], { ...wish, home: 'US-CA', asking: 'US-CA' }),
    { code: 'placement.no-server' },
    'too near',
  )
  t.end()
})

t.test('S5: risks within the band are equal, and then capacity decides', (t) => {
  const near = [
    server('small', 'JP-01', 0.0101, { capacityBytes: 1e12 }),
    server('large', 'JP-47', 0.01, { capacityBytes: 9e12 }),
    server('far', 'SG', 0.5),
  ]
  const count = { small: 0, large: 0 } as Record<string, number>
  for (let i = 0; i < 2000; i++) {
    const object = new Uint8Array(16)
    new DataView(object.buffer).setUint32(0, i)
    const [first] = choose(near, { ...wish, object })
    count[first.candidate.server]!++
  }
  t.ok(Math.abs(count['large']! / 2000 - 0.9) < 0.04, `${count['large']} of 2000 to the larger`)
  t.end()
})

t.test('S5: another region is not far enough when it begins next door to the home', (t) => {
  const near = [server('saitama', 'JP-11', 0.001), server('sapporo', 'JP-01', 0.002), server('fukuoka', 'JP-40', 0.5)]
  t.ok(distanceKm(near[0]!, regions.get('JP-13')!) < 30)
  const [first, second] = choose(near, { ...wish, home: 'JP-13', asking: 'SG' })
  t.same(
    [first, second].map(({ candidate }) => candidate.server),
    ['saitama', 'sapporo'],
    'the first may lie at home',
  )
  const rest = near.filter(({ server }) => server !== 'sapporo')
  t.match(
    choose(rest, { ...wish, home: 'JP-13', asking: 'SG' }).map(({ candidate }) => candidate.server),
    ['saitama', 'fukuoka'],
  )
  const only = [server('fukuoka', 'JP-40', 0.001), server('saitama', 'JP-11', 0.002)]
  t.same(choose(only, { ...wish, home: 'JP-13', asking: 'SG' })[1].candidate.server, 'fukuoka', 'never second')
  t.same(
    choose(only, { ...wish, home: 'JP-13', asking: 'SG' }, { ...defaultRules, homeKm: [0, 0, 0, 0] })[1].candidate
      .server,
    'saitama',
    'unless the site wants it so',
  )
  t.end()
})

t.test('S5: how far apart replicas lie may depend on the level', (t) => {
  const apartKm = [300, 300, 300, 2_000]
  const places = [server('sapporo', 'JP-01', 0.001), server('fukuoka', 'JP-40', 0.002), server('singapore', 'SG', 0.5)]
  const seconds = [2, 3].map(
    (level) => choose(places, { ...wish, level, asking: 'FI-18' }, { ...defaultRules, apartKm })[1].candidate.server,
  )
  t.same(seconds, ['fukuoka', 'singapore'])
  t.end()
})

t.test('S16: a lower level cannot fill up a server', (t) => {
  const filled = site.map((candidate) => ({ ...candidate, usedBytes: candidate.capacityBytes * 0.6 }))
  t.throws(() => choose(filled, { ...wish, level: 1 }), { code: 'placement.no-server' })
  t.equal(choose(filled, { ...wish, level: 3 })[0].candidate.server, 'singapore')
  t.end()
})

t.test('S12: a server with demerits comes last', (t) => {
  const blamed = site.map((candidate) => (candidate.server === 'singapore' ? { ...candidate, demerits: 1 } : candidate))
  t.equal(choose(blamed, wish)[0].candidate.server, 'fukuoka')
  t.end()
})

t.test('S5: whatever the servers are, a choice keeps every rule', (t) => {
  const codes = [...regions.keys()]
  const arbitrary = fc.array(
    fc.record({
      region: fc.constantFrom(...codes),
      p: fc.double({ min: 0, max: 1, noNaN: true }),
      used: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { maxLength: 30 },
  )
  fc.assert(
    fc.property(
      arbitrary,
      fc.constantFrom(...codes),
      fc.constantFrom(...codes),
      fc.integer({ min: 0, max: 3 }),
      (rows, home, asking, level) => {
        const candidates = rows.map((row, i) => server(`s${i}`, row.region, row.p, { usedBytes: row.used * 1e12 }))
        try {
          const [{ candidate: a }, { candidate: b }] = choose(candidates, { ...wish, home, asking, level })
          const share = defaultRules.share[level]!
          return (
            a.server !== b.server &&
            b.region !== home &&
            b.region !== asking &&
            a.region !== b.region &&
            distanceKm(a, b) >= defaultRules.apartKm[3]! &&
            a.usedBytes <= share * 1e12 &&
            b.usedBytes <= share * 1e12
          )
        } catch (error) {
          return (error as { code?: string }).code === 'placement.no-server'
        }
      },
    ),
  )
  t.end()
})

t.test('S5: joint loss falls with distance and never below independence', (t) => {
  const risk = riskOf([{ peril: 'earthquake', probability: 0.02, vulnerability: 0.5, source: 'test' }])
  t.ok(jointLoss(risk, risk, 10) > jointLoss(risk, risk, 500))
  t.ok(Math.abs(jointLoss(risk, risk, 20_000) - risk.value ** 2) < 1e-9)
  t.equal(
    riskOf([{ peril: 'fire', probability: Number.NaN, vulnerability: 1, source: 'broken' }]).value,
    1,
    'a broken rate never lowers a risk',
  )
  t.ok(Math.abs(distanceKm(regions.get('JP-13')!, regions.get('JP-27')!) - 397) < 8)
  t.end()
})
