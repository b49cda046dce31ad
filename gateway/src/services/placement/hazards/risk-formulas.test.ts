/** The formulas of docs/risk.md against events whose outcome is known (S5, S9). */
import t from 'tap'
import { distanceKm } from '../../../geography.ts'
import { loss, riskOf } from '../risk/risk.ts'
import { inRing, toRingKm } from './area.ts'
import { cycloneTerms, lossAtWind } from './cyclone.ts'
import { standingTerms, termsOf } from './effect.ts'
import type { Hazard, Quake, Track } from './hazard.ts'
import { insuranceRate } from './insurance-rates.ts'
import { normalCdf } from './normal.ts'
import type { Place } from './place.ts'
import { aftershocks, intensityAt, lossAtIntensity, quakeTerms } from './quake.ts'
import { standardRules as rules } from './rules.ts'
import { countedTellings, sameEvent, type Telling } from './same-event.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const place = (region: string, latitude: number, longitude: number, ground = {}): Place => ({
  server: 's',
  region,
  latitude,
  longitude,
  ground,
})
const sendai = place('JP-04', 38.268, 140.869)
const tokyo = place('JP-13', 35.689, 139.692)
const osaka = place('JP-27', 34.686, 135.52)
const sapporo = place('JP-01', 43.062, 141.354)
const kumamoto = place('JP-43', 32.803, 130.708)
const kobe = place('JP-28', 34.691, 135.183)
const fukuoka = place('JP-40', 33.59, 130.402)

const quake = (latitude: number, longitude: number, depthKm: number, magnitude: number): Quake => ({
  kind: 'quake',
  at: { latitude, longitude },
  depthKm,
  magnitude,
})
const tohoku = quake(38.103, 142.861, 24, 9)
const kumamoto16 = quake(32.755, 130.763, 12, 7.3)
const kobe95 = quake(34.598, 135.035, 16, 7.3)
const hazard = (shape: Hazard['shape'], more: Partial<Hazard> = {}): Hazard => ({
  id: 'x:1',
  peril: 'earthquake',
  title: 'test',
  certainty: 1,
  issuedMs: 0,
  fromMs: 0,
  untilMs: 30 * dayMs,
  shape,
  ...more,
})

t.test('S5: predicted intensities against those that the agency published', (t) => {
  // JMA seismic intensity database; classes at their middle, instrumental values where published. 1995: 6 of the old scale.
  const events: [what: string, quake: Quake, at: Place, observed: number][] = [
    ['2011 Sendai 6 upper to 6 lower', tohoku, sendai, 6.1],
    ['2011 Tokyo (Otemachi) 5 upper', tohoku, tokyo, 5.1],
    ['2011 Osaka 3', tohoku, osaka, 3],
    ['2011 Sapporo 3', tohoku, sapporo, 3.3],
    ['2016 Kumamoto 6 upper', kumamoto16, kumamoto, 6.1],
    ['2016 Fukuoka 4', kumamoto16, fukuoka, 4],
    ['2016 Osaka 2', kumamoto16, osaka, 2],
    ['1995 Kobe 6 (6.4)', kobe95, kobe, 6.4],
    ['1995 Osaka 4', kobe95, osaka, 4.3],
    ['1995 Tokyo 1', kobe95, tokyo, 1],
  ]
  let squares = 0
  for (const [what, event, at, observed] of events) {
    const predicted = intensityAt(at, event, rules.quake.amplification)
    squares += (predicted - observed) ** 2
    t.ok(Math.abs(predicted - observed) <= 1.2, `${what}: ${predicted.toFixed(2)} against ${observed}`)
  }
  const rms = Math.sqrt(squares / events.length)
  t.ok(rms < 0.75, `root mean square error ${rms.toFixed(2)} of intensity`)
  t.comment(`root mean square error ${rms.toFixed(2)}`)
  t.end()
})

t.test('S5: intensity falls with distance and depth, and rises with magnitude and soft ground', (t) => {
  const near = intensityAt(kobe, kobe95, 1)
  t.ok(near > intensityAt(osaka, kobe95, 1))
  t.ok(intensityAt(osaka, { ...kobe95, depthKm: 300 }, 1) < intensityAt(osaka, kobe95, 1))
  t.ok(intensityAt(osaka, { ...kobe95, magnitude: 8 }, 1) > intensityAt(osaka, kobe95, 1))
  t.ok(intensityAt(osaka, kobe95, 2) > intensityAt(osaka, kobe95, 1))
  t.ok(
    lossAtIntensity(4, rules.quake) < 1e-6 &&
      lossAtIntensity(6.8, rules.quake) > 0.49 &&
      lossAtIntensity(7, rules.quake) > 0.6,
  )
  t.ok(Math.abs(normalCdf(0) - 0.5) < 1e-6 && Math.abs(normalCdf(-1.959964) - 0.025) < 1e-6)
  t.end()
})

t.test('S9: aftershocks as Reasenberg & Jones count them, decaying', (t) => {
  // Their example of 1989: generic California, a magnitude smaller by one within a week: a = −1.67, b = 0.91.
  const week = aftershocks(7, 6, 0.01, 7, rules.quake)
  t.ok(week > 0.4 && week < 1.2, `${week.toFixed(2)} of at least M6 in the week after M7`)
  t.ok(aftershocks(7, 6, 20, 27, rules.quake) < week / 5)
  const now = riskOf(quakeTerms(hazard(kumamoto16), kumamoto16, kumamoto, hourMs, rules)).value
  const later = riskOf(quakeTerms(hazard(kumamoto16), kumamoto16, kumamoto, 10 * dayMs, rules)).value
  t.ok(now > 0.05 && later < now / 10, `${now.toFixed(3)} after an hour, ${later.toFixed(4)} after ten days`)
  t.same(
    quakeTerms(hazard(kumamoto16), kumamoto16, osaka, hourMs, rules).filter((term) => loss(term) > 1e-3),
    [],
    'far away: nothing',
  )
  t.same(termsOf(hazard(kumamoto16), kumamoto, 31 * dayMs, rules), [], 'over')
  // The foreshock of 14 April (M6.5) warned of what came 28 hours later.
  const foreshock = quake(32.742, 130.808, 11, 6.5)
  const warned = riskOf(quakeTerms(hazard(foreshock), foreshock, kumamoto, 3 * hourMs, rules)).value
  t.ok(warned > 5 * insuranceRate('JP-43', 'i')!, `Kumamoto after the foreshock: ${warned.toFixed(4)} against 0.0007`)
  t.end()
})

t.test('S9: what was measured counts where it is worse than predicted, within a degree', (t) => {
  const felt = { ...kumamoto16, felt: [{ region: 'JP-40', intensity: 5.75 }] }
  const plain = riskOf(quakeTerms(hazard(kumamoto16), kumamoto16, fukuoka, hourMs, rules)).value
  t.ok(riskOf(quakeTerms(hazard(felt), felt, fukuoka, hourMs, rules)).value > plain)
  const weak = { ...kumamoto16, felt: [{ region: 'JP-43', intensity: 1 }] }
  t.same(
    riskOf(quakeTerms(hazard(weak), weak, kumamoto, hourMs, rules)).value,
    riskOf(quakeTerms(hazard(kumamoto16), kumamoto16, kumamoto, hourMs, rules)).value,
    'never less',
  )
  t.end()
})

const t0 = Date.parse('2019-10-11T00:00Z')
const hagibis: Track = {
  kind: 'track',
  name: 'Hagibis',
  points: [
    { atMs: t0, latitude: 28.9, longitude: 137, radiusKm: 0, windMs: 45, stormKm: 370 },
    { atMs: t0 + dayMs, latitude: 33.1, longitude: 137.9, radiusKm: 110, windMs: 45, stormKm: 330 },
    { atMs: t0 + 45 * hourMs, latitude: 38.8, longitude: 143.4, radiusKm: 160, windMs: 35, stormKm: 260 },
  ],
}
const storm = hazard(hagibis, { peril: 'storm', issuedMs: t0, fromMs: t0, untilMs: t0 + 3 * dayMs })

t.test('S9: a cyclone: who is on its way, when it arrives, and that it passes', (t) => {
  const inzai = place('JP-12', 35.83, 140.15)
  const [term] = cycloneTerms(storm, hagibis, inzai, t0, rules)
  t.ok(term!.probability > 0.5, `Chiba: ${term!.probability.toFixed(2)}`)
  // Winds of 25 m/s reached Chiba on the afternoon of 12 October 2019, Japanese time.
  const arrives = new Date(term!.arrivesMs!).toISOString()
  t.ok(arrives > '2019-10-11T18' && arrives < '2019-10-12T09', arrives)
  t.same(cycloneTerms(storm, hagibis, fukuoka, t0, rules), [], 'Fukuoka was outside')
  t.same(cycloneTerms(storm, hagibis, sapporo, t0, rules), [], 'so was Sapporo')
  t.same(cycloneTerms(storm, hagibis, inzai, t0 + 60 * hourMs, rules), [], 'past')
  t.ok(Math.abs(lossAtWind(74.7, rules.cyclone) - 0.5) < 1e-9 && lossAtWind(25, rules.cyclone) === 0)
  t.end()
})

t.test('S9: an uncertain forecast spreads the risk, and a nearer one concentrates it', (t) => {
  const at = (radiusKm: number): Track => ({
    ...hagibis,
    points: hagibis.points.map((point, i) => ({ ...point, stormKm: 100, radiusKm: i === 0 ? 0 : radiusKm })),
  })
  const on = place('JP-22', 34.5, 138.8)
  const sure = cycloneTerms(storm, at(20), on, t0, rules)[0]!
  const vague = cycloneTerms(storm, at(400), on, t0, rules)[0]!
  t.ok(sure.probability > vague.probability, `${sure.probability} > ${vague.probability}`)
  t.ok(cycloneTerms(storm, at(400), osaka, t0, rules).length > cycloneTerms(storm, at(20), osaka, t0, rules).length - 1)
  const dateLine: Track = {
    ...hagibis,
    points: [
      { atMs: t0, latitude: -17, longitude: 179, radiusKm: 0, windMs: 50 },
      { atMs: t0 + dayMs, latitude: -18, longitude: -178, radiusKm: 50, windMs: 50 },
    ],
  }
  t.equal(cycloneTerms(storm, dateLine, place('FJ', -17.6, -179.5), t0, rules).length, 1, 'across the date line')
  t.end()
})

t.test('S9: a tsunami by what is known of the coast', (t) => {
  const wave = hazard(
    { kind: 'coasts', coasts: [{ name: '宮城県', regions: ['JP-04'], heightM: 10, arrivesMs: 900_000 }] },
    { peril: 'tsunami' },
  )
  const terms = (at: Place) => termsOf(wave, at, 0, rules)
  t.ok(loss(terms(sendai)[0]!) > 0.9, 'nothing known: on the shore')
  t.equal(terms(sendai)[0]!.arrivesMs, 900_000)
  t.same(terms(place('JP-04', 38.268, 140.869, { elevationM: 40 })), [], 'high above')
  t.same(terms(place('JP-04', 38.268, 140.869, { coastKm: 12 })), [], 'far inland')
  t.ok(loss(terms(place('JP-04', 38.27, 141, { elevationM: 6 }))[0]!) < loss(terms(sendai)[0]!))
  t.same(terms(tokyo), [], 'another coast')
  t.same(
    termsOf(
      hazard({ kind: 'coasts', coasts: [{ name: '長野県', regions: ['JP-20'], heightM: 10 }] }),
      place('JP-20', 36.65, 138.18),
      0,
      rules,
    ),
    [],
    'no coast',
  )
  t.end()
})

t.test('S14: alerts by area, with a fringe', (t) => {
  const ring = [
    { latitude: 49.5, longitude: 8 },
    { latitude: 51, longitude: 8 },
    { latitude: 51, longitude: 9.5 },
    { latitude: 49.5, longitude: 9.5 },
  ]
  const frankfurt = place('DE-HE', 50.11, 8.68)
  const cologne = place('DE-NW', 50.94, 6.96)
  t.ok(inRing(frankfurt, ring) && !inRing(cologne, ring))
  t.ok(Math.abs(toRingKm(cologne, ring) - distanceKm(cologne, { latitude: 50.94, longitude: 8 })) < 1)
  const flood = hazard(
    { kind: 'area', severity: 'severe', rings: [ring] },
    { peril: 'flood', certainty: 0.7, fromMs: 5_000 },
  )
  t.match(termsOf(flood, frankfurt, 0, rules), [
    { peril: 'flood', probability: 0.7, vulnerability: 0.05, arrivesMs: 5_000 },
  ])
  t.ok(termsOf(flood, cologne, 0, rules)[0]!.probability < 0.05)
  t.same(termsOf(flood, tokyo, 0, rules), [])
  const fiji = [
    { latitude: -16, longitude: 177 },
    { latitude: -16, longitude: -179 },
    { latitude: -19, longitude: -179 },
    { latitude: -19, longitude: 177 },
  ]
  t.ok(
    inRing(place('FJ', -17.6, 179.9), fiji) && inRing(place('FJ', -17.6, -179.5), fiji) && !inRing(tokyo, fiji),
    'a ring across the date line',
  )
  t.end()
})

t.test('S5: standing estimates of one peril do not add up, and none lowers another', (t) => {
  const given = [
    { peril: 'earthquake' as const, probability: 0.0001, vulnerability: 1, source: 'operator' },
    { peril: 'fire' as const, probability: 0.001, vulnerability: 0.05, source: 'operator' },
  ]
  const [fire, quakeTerm] = standingTerms(given, tokyo, [], rules)
  t.match([fire!.peril, quakeTerm!.source], ['fire', /insurance.*イ/])
  t.equal(
    standingTerms([{ ...given[0]!, probability: 0.5 }], tokyo, [], rules).length,
    1,
    'the operator’s own, when it is the greater',
  )
  const cell = hazard({
    kind: 'exceedance',
    ring: [
      { latitude: 35, longitude: 139 },
      { latitude: 36, longitude: 139 },
      { latitude: 36, longitude: 140 },
      { latitude: 35, longitude: 140 },
    ],
    rates: [
      { intensity: 4.5, perYear: 0.15 },
      { intensity: 5, perYear: 0.08 },
      { intensity: 5.5, perYear: 0.021 },
      { intensity: 6, perYear: 0.0028 },
    ],
  })
  const withCell = standingTerms([], tokyo, [cell], rules)
  t.equal(withCell.length, 1)
  t.ok(riskOf(withCell).value >= riskOf(standingTerms([], tokyo, [], rules)).value)
  t.same(standingTerms([], place('DE-HE', 50, 8), [cell], rules), [])
  t.end()
})

t.test('S14: agencies that contradict each other: one event, the worst telling', (t) => {
  const usgs = hazard({ ...kumamoto16, magnitude: 7 }, { id: 'usgs:1', fromMs: 20_000 })
  const jma = hazard(kumamoto16, { id: 'jma:1' })
  t.ok(sameEvent(usgs, jma))
  t.notOk(sameEvent(jma, hazard(kumamoto16, { id: 'jma:2', fromMs: dayMs })))
  t.notOk(sameEvent(jma, hazard(kobe95, { id: 'jma:3' })))
  const strong = quakeTerms(jma, kumamoto16, kumamoto, hourMs, rules)
  const weak = quakeTerms(usgs, { ...kumamoto16, magnitude: 6 }, kumamoto, hourMs, rules)
  const strongTelling = { hazard: jma, terms: strong }
  const weakTelling = { hazard: usgs, terms: weak }
  t.same(countedTellings([weakTelling, strongTelling]), [strongTelling])
  t.same(countedTellings([strongTelling, weakTelling, { hazard: usgs, terms: [] }]), [strongTelling])
  // Three in a row, the middle one near both: the two at the ends are two events, whatever lies between them.
  const inRow = (i: number): Telling => ({
    hazard: hazard({ ...kumamoto16, at: { latitude: 32.75 + 1.5 * i, longitude: 130.76 } }, { id: `row:${i}` }),
    terms: strong,
  })
  const first = inRow(0)
  const middle = inRow(1)
  const last = inRow(2)
  t.ok(sameEvent(first.hazard, middle.hazard) && !sameEvent(first.hazard, last.hazard))
  t.same(countedTellings([first, middle, last]), [first, last])
  t.same(countedTellings([first, last, { ...middle, terms: weak }]), [first, last], 'in any order')
  t.same(countedTellings([{ ...first, terms: weak }, { ...last, terms: weak }, middle]).length, 1, 'the worst choice')
  const many = Array.from({ length: 400 }, (_, i) => ({ hazard: { ...jma, id: `m${i}`, event: 'one' }, terms: weak }))
  t.equal(countedTellings([...many, strongTelling])[0]!.terms.length, weak.length)
  t.equal(countedTellings(many).length, 1, 'one message, hundreds of parts')
  const shifted: Track = {
    ...hagibis,
    points: hagibis.points.map((point) => ({ ...point, latitude: point.latitude + 1 })),
  }
  t.ok(sameEvent(storm, { ...storm, id: 'gdacs:TC1', shape: shifted }))
  t.notOk(
    sameEvent(storm, {
      ...storm,
      id: 'gdacs:TC2',
      shape: { ...hagibis, points: hagibis.points.map((point) => ({ ...point, longitude: point.longitude - 20 })) },
    }),
  )
  t.end()
})
