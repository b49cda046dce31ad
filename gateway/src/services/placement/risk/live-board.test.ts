/** Risks that follow the news: what a board takes over, keeps, tells and never forgets by accident (S5, S9, S14). */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { memoryDatabase } from '../../../adapters/database.ts'
import { regions } from '../../../geography.ts'
import type { ServiceStore } from '../../../service/service.ts'
import type { Transaction } from '../../../storage/database.ts'
import { migrate } from '../../../storage/migrate.ts'
import { fetchFeed } from '../adapters/fetch-feed.ts'
import type { FetchFeed } from '../hazards/feed-port.ts'
import { type Bulletin, emptyBulletin, type Hazard } from '../hazards/hazard.ts'
import { standardRules } from '../hazards/rules.ts'
import { hazardSettings } from '../hazards/settings.ts'
import { FeedWatch, type HazardSources } from '../hazards/watch.ts'
import { placementMigrations } from '../migrations.ts'
import { servers } from '../store.ts'
import type { RiskChange } from './board.ts'
import { explainRisk, explainTerm, riskBand } from './explain.ts'
import { LiveRiskBoard } from './live-board.ts'
import { riskReport } from './report.ts'

const hourMs = 3_600_000
const start = Date.parse('2024-01-01T00:00:00Z')

class HandClock implements Clock {
  ms = start
  readonly #timers = new Set<{ at: number; fire: () => void }>()
  now = () => this.ms
  monotonicMs = () => this.ms
  sleep = async () => undefined
  timer(ms: number, fire: () => void): Timer {
    const one = { at: this.ms + ms, fire }
    this.#timers.add(one)
    const cancel = () => void this.#timers.delete(one)
    return { cancel, [Symbol.dispose]: cancel }
  }
  async pass(ms: number): Promise<void> {
    this.ms += ms
    for (const one of [...this.#timers])
      if (one.at <= this.ms) {
        this.#timers.delete(one)
        one.fire()
      }
    // What was begun is done when the event loop turns.
    await new Promise(setImmediate)
  }
}

const said: string[] = []
const log: Log = {
  debug() {},
  info: (message) => void said.push(message),
  warn: (message) => void said.push(message),
  error: (message) => void said.push(message),
  child: () => log,
}

async function site(
  codes = ['JP-01', 'JP-13', 'JP-43', 'JP-40', 'SG'],
  database = memoryDatabase(),
  clock = new HandClock(),
) {
  await migrate(database, [{ set: 'placement', migrations: placementMigrations }], clock.now())
  for (const code of codes) {
    const { latitude, longitude } = regions.get(code)!
    await servers.put(database, {
      id: code.toLowerCase(),
      name: code,
      region: code,
      latitude,
      longitude,
      domain: code,
      url: 'https://x',
      key: new Uint8Array(1),
      kid: new Uint8Array(1),
      capacity: 1e9,
      rates: JSON.stringify([{ peril: 'fire', probability: 0.001, vulnerability: 0.05, source: 'test' }]),
    })
  }
  const store = {
    sql: database,
    transaction: (work: (context: { sql: Transaction }) => unknown) => database.transaction((sql) => work({ sql })),
  } as unknown as ServiceStore
  const board = new LiveRiskBoard({ store, clock, log })
  await board.refresh('start')
  const changes: RiskChange[] = []
  board.onChange((change) => changes.push(change))
  return { board, database, store, clock, changes }
}

const quake = (
  more: Partial<Hazard> = {},
  shape: Partial<Extract<Hazard['shape'], { kind: 'quake' }>> = {},
): Hazard => ({
  id: 'jma:quake:1',
  peril: 'earthquake',
  title: '熊本県熊本地方 M7.3',
  certainty: 1,
  issuedMs: start,
  fromMs: start,
  untilMs: start + 30 * 24 * hourMs,
  shape: { kind: 'quake', at: { latitude: 32.75, longitude: 130.76 }, depthKm: 12, magnitude: 7.3, ...shape },
  ...more,
})
const telling = (...hazards: Hazard[]): Bulletin => ({ ...emptyBulletin(), hazards })
const alert = (region: string[], more: Partial<Hazard> = {}): Hazard => ({
  ...quake({ id: 'cap:a', peril: 'flood', title: 'Flood', untilMs: start + 6 * hourMs, ...more }),
  shape: { kind: 'area', severity: 'severe', regions: region },
})

t.test('S5 S9: a hazard changes the risk of the servers that it reaches, and only those are told', async (t) => {
  const { board, changes } = await site()
  const before = (await board.of('jp-43')).value
  t.same(await board.take('jma', telling(quake())), {
    added: 1,
    changed: 0,
    cancelled: 0,
    ignored: 0,
    endangeredShare: 0.4,
  })
  t.ok((await board.of('jp-43')).value > 20 * before, `${before} → ${(await board.of('jp-43')).value}`)
  t.ok(
    changes[0]!.servers.includes('jp-43') &&
      !changes[0]!.servers.includes('jp-01') &&
      !changes[0]!.servers.includes('sg'),
  )
  t.match(changes[0]!.reason, /jma: 熊本/)
  t.ok((await board.of('jp-43')).terms.every((term) => term.hazard === undefined || term.untilMs !== undefined))
  t.same((await board.take('jma', telling(quake()))).ignored, 1, 'the same again')
  t.equal(changes.length, 1)
  t.same(await board.of('nowhere'), { value: 1, terms: [] }, 'an unknown server is certain loss')
  t.end()
})

t.test('S9: it decays, ends, and what happened stays to be read', async (t) => {
  const { board, clock, changes } = await site()
  await board.start()
  await board.take('jma', telling(quake()))
  const high = (await board.of('jp-43')).value
  for (let hour = 0; hour < 48; hour++) await clock.pass(hourMs)
  const later = (await board.of('jp-43')).value
  t.ok(later < high / 2, `${high} → ${later} after two days`)
  for (let day = 0; day < 30; day++) await clock.pass(24 * hourMs)
  t.ok((await board.of('jp-43')).value < 0.001)
  t.same(board.hazards(), [])
  const history = await board.history('jp-43', 1000)
  t.ok(history.length > 10 && history[0]!.value < 0.001 && history.some(({ value }) => value === high))
  t.match(
    history.find(({ value }) => value === high)!.terms.map(({ peril }) => peril),
    ['fire', 'earthquake'],
  )
  t.ok(changes.length > 10)
  board.stop()
  const count = changes.length
  await clock.pass(hourMs)
  t.equal(changes.length, count, 'stopped')
  t.end()
})

t.test('S9: hazards are still known after a restart', async (t) => {
  const first = await site()
  await first.board.take('jma', telling(quake()))
  const again = new LiveRiskBoard({ store: first.store, clock: first.clock, log })
  await again.load()
  t.equal((await again.of('jp-43')).value, (await first.board.of('jp-43')).value)
  t.end()
})

t.test('S14: an older telling changes nothing, a newer one replaces, one that knows less adds', async (t) => {
  const { board } = await site()
  await board.take('jma', telling(quake({ issuedMs: start })))
  t.equal((await board.take('jma', telling(quake({ issuedMs: start - 1000 }, { magnitude: 3 })))).ignored, 1)
  const high = (await board.of('jp-43')).value
  await board.take('jma', telling(quake({ issuedMs: start + 1000 }, { magnitude: 6 })))
  t.ok((await board.of('jp-43')).value < high, 'corrected downward by the agency itself')
  await board.take(
    'jma',
    telling(quake({ issuedMs: start + 2000 }, { magnitude: 6, felt: [{ region: 'JP-43', intensity: 6.6 }] })),
  )
  const felt = (await board.of('jp-43')).value
  await board.take('jma', telling(quake({ issuedMs: start + 3000 }, { magnitude: 6 })))
  t.ok(Math.abs((await board.of('jp-43')).value - felt) < 1e-9, 'where it shook is not forgotten')
  await board.take('jma', telling({ ...alert(['JP-43']), id: 'jma:quake:1', issuedMs: start + 4000 }))
  t.match(board.hazards()[0]!.hazard.shape, { kind: 'quake' }, 'an early alert does not replace what is better known')
  t.end()
})

t.test('S14: taken back, and not brought to life again; not by another feed', async (t) => {
  const { board } = await site()
  await board.take('jma', telling(alert(['JP-43'])))
  const cancel = (atMs: number) => ({ ...emptyBulletin(), cancelled: [{ id: 'cap:a', atMs }] })
  await board.take('evil', cancel(start + 5000))
  t.equal(board.hazards().length, 1, 'another feed cannot take it back')
  await board.take('jma', cancel(start - 5000))
  t.equal(board.hazards().length, 1, 'an older cancellation')
  t.equal((await board.take('jma', cancel(start + 1000))).cancelled, 1)
  t.equal(board.hazards().length, 0)
  t.equal((await board.take('jma', telling(alert(['JP-43'])))).ignored, 1, 'the old alert once more')
  await board.take('jma', { ...emptyBulletin(), cancelled: [{ id: 'cap:late', atMs: start + 1000 }] })
  t.equal(
    (await board.take('jma', telling(alert(['JP-43'], { id: 'cap:late' })))).ignored,
    1,
    'cancelled before it came',
  )
  t.end()
})

t.test('S14: feeds that contradict each other count once, by the worst telling', async (t) => {
  const { board } = await site()
  await board.take('jma', telling(quake()))
  const one = (await board.of('jp-43')).value
  await board.take('usgs', telling(quake({ id: 'usgs:x', fromMs: start + 20_000 }, { magnitude: 7 })))
  t.equal((await board.of('jp-43')).value, one, 'the weaker telling adds nothing')
  await board.take(
    'usgs',
    telling(quake({ id: 'usgs:x', fromMs: start + 20_000, issuedMs: start + 60_000 }, { magnitude: 7.8 })),
  )
  const worst = (await board.of('jp-43')).value
  t.ok(worst > one)
  await board.take('usgs', { ...emptyBulletin(), cancelled: [{ id: 'usgs:x', atMs: start + 120_000 }] })
  t.equal((await board.of('jp-43')).value, one, 'back to what the other says')
  t.end()
})

t.test('S14: a feed of little trust counts little; a feed that falls silent is held', async (t) => {
  const { board, clock } = await site()
  await board.take('rumour', telling(alert(['JP-43'])))
  const full = (await board.of('jp-43')).value
  await board.setFeed('rumour', { trust: 0.1, silent: false })
  t.ok((await board.of('jp-43')).value < full / 5)
  await board.setFeed('rumour', { trust: 1, silent: true })
  await clock.pass(8 * hourMs)
  await board.refresh('time')
  t.ok((await board.of('jp-43')).value > full * 0.9, 'beyond its end, since nobody said that it is over')
  await board.setFeed('rumour', { trust: 1, silent: false })
  t.ok((await board.of('jp-43')).value < full / 5, 'over, as the feed is well')
  await board.setFeed('rumour', { trust: 1, silent: true })
  await clock.pass(60 * hourMs)
  await board.refresh('time')
  t.ok((await board.of('jp-43')).value < full / 5, 'not for ever')
  t.end()
})

t.test('S14: a feed that endangers everything is reported; the order of the servers stays', async (t) => {
  const { board, store, clock } = await site()
  const order = async () => {
    const ids = ['jp-01', 'jp-13', 'jp-43', 'jp-40', 'sg']
    const risks = new Map(await mapInOrder(ids, async (id) => [id, (await board.of(id)).value] as const))
    return ids.sort((a, b) => risks.get(a)! - risks.get(b)!)
  }
  const before = await order()
  const watch = new FeedWatch({ board, store, clock, log })
  const everywhere = cap(
    ['JP', 'SG'].map((code) => `<geocode><valueName>ISO3166-2</valueName><value>${code}</value></geocode>`).join(''),
  )
  const { problems, endangeredShare } = await watch.push(everywhere)
  t.equal(endangeredShare, 1)
  t.match(problems, [{ code: 'hazard.everywhere' }])
  t.match(watch.status(), [{ name: 'operator', problem: 'hazard.everywhere' }])
  t.same(await order(), before)
  t.end()
})

function cap(area: string, id = 'A1') {
  return new TextEncoder().encode(`<?xml version="1.0"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>${id}</identifier><sender>test</sender>
<sent>2024-01-01T00:00:00Z</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info><category>Met</category><event>Flood</event><urgency>Immediate</urgency>
<severity>Extreme</severity><certainty>Observed</certainty><expires>2024-01-01T12:00:00Z</expires><area><areaDesc>x</areaDesc>${area}</area></info></alert>`)
}
const tokyo = '<circle>35.7,139.7 50</circle>'

async function watching(sources: Omit<HazardSources, 'fetchFeed' | 'files'> & { fetchFeed?: FetchFeed }) {
  const whole = await site()
  const refuse: FetchFeed = async () => {
    throw new Problem('feed.unreachable', 'no network')
  }
  const watch = new FeedWatch({ ...whole, log, sources: { files: systemFiles(), fetchFeed: refuse, ...sources } })
  await watch.load()
  return { ...whole, watch }
}
const { feeds } = hazardSettings({
  feeds: [{ name: 'test', url: 'https://example.org/feed.xml', staleAfterSeconds: 3600 }],
})

t.test('S9: a polled feed: taken once, 304 trusted, failures told and held', async (t) => {
  let answer: () => ReturnType<FetchFeed> = async () => ({ kind: 'new', bytes: cap(tokyo), etag: '"1"' })
  const asked: (string | undefined)[] = []
  const { watch, board, clock } = await watching({
    feeds,
    fetchFeed: (request) => {
      asked.push(request.etag)
      return answer()
    },
  })
  await watch.look()
  const high = (await board.of('jp-13')).value
  t.ok(high > 0.19)
  answer = async () => ({ kind: 'same' })
  await watch.look()
  t.same(asked, [undefined, '"1"'])
  t.match(watch.status(), [{ name: 'test', problem: null, hazards: 1 }])
  for (const [fault, code] of [
    [
      async () => {
        throw new Problem('feed.unreachable', 'refused')
      },
      'feed.unreachable',
    ],
    [async () => ({ kind: 'new', bytes: new TextEncoder().encode('<html>sorry</html>') }), 'feed.malformed'],
    [async () => ({ kind: 'new', bytes: new TextEncoder().encode('<!DOCTYPE x><x/>') }), 'feed.hostile'],
  ] as [() => ReturnType<FetchFeed>, string][]) {
    answer = fault
    await watch.look()
    t.match(watch.status(), [{ problem: code }])
    t.equal((await board.of('jp-13')).value, high, `${code} lowers nothing`)
  }
  answer = async () => {
    throw new Problem('feed.unreachable', 'refused')
  }
  await clock.pass(2 * hourMs)
  await watch.look()
  t.match(watch.status(), [{ problem: 'feed.stale' }])
  await clock.pass(12 * hourMs)
  await watch.look()
  t.equal(board.hazards().length, 1, 'held beyond its end')
  answer = async () => ({ kind: 'new', bytes: cap(tokyo) })
  await watch.look()
  t.same(board.hazards(), [], 'heard again: it is over')
  t.match(watch.status(), [{ problem: null }])
  t.ok(said.includes('a hazard feed is not well') && said.includes('a hazard feed is well again'))
  await watch.stop()
})

t.test('S9: an Atom index is followed, on its own host only', async (t) => {
  const index = (...links: string[]) =>
    new TextEncoder().encode(
      `<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title>${links.map((href) => `<entry><link href="${href}"/></entry>`).join('')}</feed>`,
    )
  const asked: string[] = []
  let broken = true
  const { watch, board } = await watching({
    feeds,
    fetchFeed: async ({ url }) => {
      asked.push(url)
      if (url.endsWith('feed.xml'))
        return { kind: 'new', bytes: index('/b.xml', 'https://elsewhere.example/a.xml', 'https://example.org/a.xml') }
      if (url.endsWith('b.xml') && broken) throw new Problem('feed.unreachable', 'once')
      return { kind: 'new', bytes: cap(tokyo, url.slice(-5, -4)) }
    },
  })
  await watch.look()
  t.match(watch.status(), [{ problem: 'feed.unreachable' }])
  broken = false
  await watch.look()
  await watch.look()
  t.same(
    asked.map((url) => url.slice(19)),
    ['/feed.xml', '/a.xml', '/b.xml', '/feed.xml', '/b.xml', '/feed.xml'],
    'each document once',
  )
  t.equal(board.hazards().length, 2)
  t.match(watch.status(), [{ problem: null }])
})

t.test('S9: a folder: new documents are taken, a broken one is told as long as it lies there', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-hazards-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { watch, board } = await watching({ feeds: [], inbox: folder })
  await watch.look()
  t.match(watch.status(), [{ name: 'operator', problem: null }])
  writeFileSync(join(folder, 'a.xml'), cap(tokyo))
  writeFileSync(join(folder, 'broken.xml'), '<alert')
  writeFileSync(join(folder, 'notes.txt'), 'not a hazard')
  await watch.look()
  await watch.look()
  t.equal(board.hazards().length, 1)
  t.match(watch.status(), [{ problem: 'feed.malformed', detail: /broken\.xml/ }])
  rmSync(join(folder, 'broken.xml'))
  await watch.look()
  t.match(watch.status(), [{ problem: null }])
})

t.test('S9: over real HTTP: ETag, limits, what is not there', async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/big') {
      response.write(Buffer.alloc(200_000))
      return void response.end()
    }
    if (request.url !== '/feed') return void response.writeHead(404).end()
    if (request.headers['if-none-match'] === '"7"') return void response.writeHead(304).end()
    response.writeHead(200, { etag: '"7"' }).end('hello')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const named = [`127.0.0.1:${port}`, '127.0.0.1:1']
  const request = { named, maxBytes: 100_000, timeoutMs: 5_000, signal: new AbortController().signal }
  const url = (path: string) => `http://127.0.0.1:${port}${path}`
  t.match(await fetchFeed({ ...request, url: url('/feed') }), { kind: 'new', etag: '"7"' })
  t.match(await fetchFeed({ ...request, url: url('/feed'), etag: '"7"' }), { kind: 'same' })
  await t.rejects(fetchFeed({ ...request, url: url('/gone') }), { code: 'feed.unreachable' })
  await t.rejects(fetchFeed({ ...request, url: url('/big') }), { code: 'feed.too-large' })
  await t.rejects(fetchFeed({ ...request, url: 'http://127.0.0.1:1/' }), { code: 'feed.unreachable' })
})

t.test('D6: settings of hazards are checked, and the fault is named', (t) => {
  t.same(hazardSettings(undefined).rules, standardRules)
  t.match(hazardSettings({ feeds: [{ name: 'usgs', url: 'https://x/y' }], rules: { quake: { lossIntensity: 6 } } }), {
    feeds: [{ everySeconds: 60, trust: 1 }],
    rules: { quake: { lossIntensity: 6, lossSpread: 0.5 }, changeRatio: 1.05 },
  })
  for (const [file, fault] of [
    [[], /one object/],
    [{ feed: [] }, /"feed" is no setting/],
    [{ feeds: [{ name: 'A B', url: 'https://x' }] }, /feeds\/0\/name/],
    [{ feeds: [{ name: 'a' }] }, /either url or path/],
    [{ feeds: [{ name: 'a', url: 'http://example.org/' }] }, /https/],
    [
      {
        feeds: [
          { name: 'a', path: 'x' },
          { name: 'a', path: 'y' },
        ],
      },
      /taken/,
    ],
    [{ feeds: [{ name: 'operator', path: 'x' }] }, /taken/],
    [{ feeds: [{ name: 'a', path: 'x', format: 'rumour' }] }, /format/],
    [{ feeds: [{ name: 'a', url: 'https://x/', mayRedirectTo: ['10.0.0.1'] }] }, /mayRedirectTo/],
    [{ rules: { quake: { lossIntensity: 60 } } }, /rules\/quake\/lossIntensity/],
    [{ rules: { moon: 1 } }, /rules\/moon/],
  ] as [unknown, RegExp][])
    t.throws(() => hazardSettings(file), { code: 'config.invalid', detail: fault }, JSON.stringify(file))
  t.end()
})

t.test('S9: every term is told in Japanese and English, and the report holds them', async (t) => {
  const { board, store, clock } = await site()
  await board.take('jma', telling(quake(), alert(['JP-13'])))
  const report = await riskReport(board, await servers.all(store.sql), [], clock.now())
  const kumamoto = report.servers.find(({ server }) => server === 'jp-43')!
  t.equal(kumamoto.band, riskBand(kumamoto.risk).band)
  t.ok(kumamoto.band >= 4 && report.servers.find(({ server }) => server === 'sg')!.band === 1)
  t.match(kumamoto.terms[0], { en: /熊本県熊本地方 M7.3.*JMA intensity 6\.\d/, ja: /震度6\.\d/ })
  t.ok(
    Math.abs(1 - kumamoto.terms.reduce((survives, term) => survives * (1 - term.loss), 1) - kumamoto.risk) < 1e-12,
    'the terms make up the risk',
  )
  for (const { terms } of report.servers) for (const { en, ja } of terms) t.notMatch(`${en}${ja}`, /undefined|NaN/)
  t.match(explainRisk(await board.of('jp-13'), 'ja').lines.join(), /洪水の警報「Flood」/)
  t.match(
    explainTerm({ peril: 'fire', probability: 0.001, vulnerability: 0.05, source: 'x' }, 'en'),
    'fire: 0.1 % × 5 % = 0.005 % a year (x)',
  )
  t.equal(riskBand(Number.NaN).band, 5)
  t.end()
})
