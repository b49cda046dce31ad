import { systemClock } from '@azukari/protocol/adapters/clock'
import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { readHistory } from './history.ts'
import { type Arrival, type DrillMove, type DrillObject, outcomeOf, positions } from './outcome.ts'
import { page } from './page.ts'
import { picture } from './picture.ts'
import { replay } from './replay.ts'
import { drillText, reportOf } from './report.ts'

const example = new URL('./example', import.meta.url).pathname
const hourMs = 3_600_000

t.test('S14: a history is every telling of every document, in the order in which it was heard', async (t) => {
  const history = readHistory(example)
  t.equal(history.documents, 9)
  t.same(history.unread, [])
  t.same(
    history.told.map(({ feed }) => feed),
    ['track', 'track', 'track', 'track', 'track', 'track', 'jma', 'usgs', 'jma'],
  )
  t.same(history.told.at(-1)!.cancelled, 'jma:tsunami:20260920121000', 'lifted')
  t.throws(() => readHistory(`${example}/README.md`), { code: 'config.invalid', message: /README.md/ })
  t.throws(() => readHistory(`${example}/none`), { code: 'config.invalid' })
})

t.test('S9: the example’s typhoon and tsunami: data leaves before they arrive, and nothing else moves', async (t) => {
  // From the day before the typhoon reaches Shikoku: what is told earlier only takes time.
  const whole = readHistory(example)
  const history = { ...whole, told: whole.told.slice(3) }
  const replayed = await replay({
    history,
    members: 4,
    objectsPerMember: 12,
    seed: 5,
    speed: 0,
    pace: systemClock,
  })
  const report = reportOf('example', 4, history, replayed)
  const { outcome, moves } = report
  t.equal(report.fewestReplicas, 2, 'no object was ever in fewer than two places')
  t.equal(report.waiting, 0, 'no move is left over')
  t.equal(outcome.unfounded, 0)
  t.ok(moves.length > 0 && moves.every(({ cause }) => cause === 'risk' || cause === 'back'))
  // Far from the typhoon's way, the earthquake and the coasts that were warned.
  for (const server of ['stockholm', 'frankfurt', 'singapore', 'hillsboro', 'seoul', 'ishikari', 'taipei'])
    t.notOk(
      moves.some(({ from }) => from === server),
      `nothing left ${server}`,
    )
  const struck = outcome.arrivals.filter(({ server, peril }) => server === 'kochi' && peril !== 'earthquake')
  t.same(
    struck.map(({ peril }) => peril),
    ['storm', 'tsunami'],
  )
  for (const one of struck) {
    t.ok(one.leadMs >= 25 * 60_000, 'there was time')
    t.equal(one.replicasWith, 0, `Kochi was empty when ${one.title} came`)
  }
  t.ok(outcome.without.worst.replicas > 0)
  t.ok(outcome.without.replicas > 5 * outcome.with.replicas, 'what was expected to be lost fell to less than a fifth')
  t.ok(outcome.without.worst.replicas >= outcome.with.worst.replicas)
  // The figures of the servers are those of the moves.
  const end = positions(
    replayed.objects.map(({ start }) => start),
    moves,
    report.endMs,
  )
  for (const { id, end: held } of report.servers) t.equal(end.flat().filter((server) => server === id).length, held, id)

  const html = page(report)
  t.match(html, '<svg id="map"')
  t.notMatch(html, /\{\{\w+\}\}/, 'every place of the page is filled')
  t.notMatch(html, /(src|href)=/, 'it needs nothing beside itself')
  t.same(JSON.parse(/id="report">(.*?)<\/script>/s.exec(html)![1]!), JSON.parse(JSON.stringify(report)))
  t.match(picture(report), /^<svg[\s\S]*<\/svg>\n$/)
  t.match(drillText(report), 'fewest copies of any object at any look: 2')
})

const object = (level: number, one: string, two: string): DrillObject => ({ level, bytes: 100, start: [one, two] })
const storm = (server: string, atMs: number, loss: number): Arrival => ({
  event: 'storm',
  hazard: 'storm',
  title: 'Storm',
  peril: 'storm',
  server,
  warnedMs: 0,
  atMs,
  loss,
})
const move = (at: Pick<DrillMove, 'object' | 'from' | 'to' | 'atMs'>): DrillMove => ({
  slot: 1,
  bytes: 100,
  level: 1,
  cause: 'risk',
  hazard: 'storm',
  ...at,
})

t.test('S9: losses are counted where replicas lay when the hazard came', async (t) => {
  const objects = [object(1, 'a', 'c'), object(1, 'a', 'b'), object(2, 'c', 'd')]
  const moves = [
    move({ object: 0, from: 'a', to: 'd', atMs: hourMs }),
    move({ object: 1, from: 'a', to: 'c', atMs: 3 * hourMs }),
  ]
  const outcome = outcomeOf(objects, moves, [storm('a', 2 * hourMs, 0.5), storm('b', 2 * hourMs, 0.5)])
  t.same(outcome.without, { replicas: 1.5, bytes: 150, objects: 0.25, worst: { replicas: 3, single: 1, objects: 1 } })
  t.same(outcome.with, { replicas: 1, bytes: 100, objects: 0.25, worst: { replicas: 2, single: 0, objects: 1 } })
  t.match(outcome.arrivals[0], { server: 'a', replicasWithout: 2, replicasWith: 1, left: 1, lastSafeMs: hourMs })
  t.match(
    outcome.levels.find(({ level }) => level === 1),
    { objects: 2, moved: 2, expectedWithout: 1.5, expectedWith: 1 },
  )
  t.match(
    outcome.levels.find(({ level }) => level === 2),
    { objects: 1, moved: 0, expectedWithout: 0 },
  )
})

t.test('S9: moves out of the way before the arrival never cost more than staying', () => {
  const servers = ['a', 'b', 'c', 'd']
  const pair = fc.shuffledSubarray(servers, { minLength: 2, maxLength: 2 })
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 12 }), fc.double({ min: 0, max: 1, noNaN: true }), (pairs, loss) => {
      const objects = pairs.map(([one, two]) => object(1, one!, two!))
      // Whatever lies in slot 1 on `a` leaves for a place that nothing reaches.
      const moves = objects.flatMap(({ start: [one] }, i) =>
        one === 'a' ? [move({ object: i, from: 'a', to: 'e', atMs: hourMs })] : [],
      )
      const { without, with: kept } = outcomeOf(objects, moves, [
        storm('a', 2 * hourMs, loss),
        storm('b', 2 * hourMs, loss),
      ])
      return (
        kept.replicas <= without.replicas &&
        kept.objects <= without.objects &&
        kept.worst.objects <= without.worst.objects
      )
    }),
  )
  return Promise.resolve()
})
