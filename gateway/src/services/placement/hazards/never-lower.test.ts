/**
 * No message lowers a risk but one that ends that same warning (S9, S14). Warnings of every kind stand; messages of all
 * kinds, whole and broken, follow. What may end a warning is told here from how the message was made, not by the reader.
 */
import { mapInOrder } from '@azukari/protocol/in-order'
import { isProblem } from '@azukari/protocol/problem'
import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import {
  around,
  type CapInfo,
  capAlert,
  coastBody,
  hazardSite,
  jmaReport,
  named,
  nowMs,
  type PlaceName,
  quakeBody,
  typhoonBody,
} from './test-hazards.ts'

/** A warning that stands, and the server that it endangers. */
type Warning = 'alert' | 'quake' | 'tsunami' | 'typhoon' | 'usgs'
const servers: Record<Warning, PlaceName> = {
  alert: 'suva',
  quake: 'sendai',
  tsunami: 'sendai',
  typhoon: 'taipei',
  usgs: 'frankfurt',
}
const extreme = { severity: 'Extreme', certainty: 'Observed', expires: '2024-06-05T00:00:00Z' }

const usgs = (id: string, magnitude: number, latitude: number, longitude: number, more: object = {}) =>
  JSON.stringify({
    type: 'FeatureCollection',
    features: [
      {
        type: 'Feature',
        id,
        properties: {
          mag: magnitude,
          time: nowMs - 3_000_000,
          updated: nowMs - 2_000_000,
          type: 'earthquake',
          ...more,
        },
        geometry: { type: 'Point', coordinates: [longitude, latitude, 10] },
      },
    ],
  })

const warnings: Record<Warning, string> = {
  alert: capAlert({ id: 'W' }, { ...extreme, area: around('suva') }, { ...extreme, area: around('naha') }),
  quake: jmaReport({ title: '震源・震度に関する情報', body: quakeBody('7.2') }),
  tsunami: jmaReport({ title: '津波警報・注意報・予報a', body: coastBody(['宮城県', '51']) }),
  typhoon: jmaReport({
    title: '台風解析・予報情報（５日予報）（Ｈ３０）',
    events: 'TC2403',
    body: typhoonBody([
      ['実況', '2024-06-03T11:00:00+09:00', '+22.4+126.3/', 50],
      ['予報　２４時間後', '2024-06-04T11:00:00+09:00', '+25.0+121.8/', 50],
    ]),
  }),
  usgs: usgs('w1', 6.9, 50.2, 8.9),
}

/** A message that follows, and which warnings it may lower: those that it ends or tells anew. */
interface Message {
  what: string
  text: string
  ends: readonly Warning[]
  /** It names the alert but cannot be used: what ends this one may end the alert. */
  alias?: string
}

const readable = [
  { area: around('suva') },
  { severity: 'Minor', area: around('suva') },
  { area: `<polygon></polygon><circle>50.1,8.7 20</circle>` },
  { urgency: 'Past', area: around('suva') },
  { more: '<responseType>AllClear</responseType>', area: around('suva') },
] satisfies CapInfo[]
const unreadable = [
  { area: '' },
  { area: '<geocode><valueName>UGC</valueName><value>MTZ014</value></geocode>' },
  { area: '<polygon>178,-18 179,-18 179,-200</polygon>' },
  { area: `<polygon>somewhere</polygon><circle>50.1,8.7 20</circle>` },
  { area: around('suva'), expires: 'soon' },
  { area: around('suva'), onset: '2024-06-03T05:00:00' },
  { area: around('suva'), onset: '2034-06-03T05:00:00Z', expires: '2034-06-04T05:00:00Z' },
  { area: `${around('suva')}</area><area><areaDesc>elsewhere</areaDesc>` },
] satisfies CapInfo[]
const test = { more: '<eventCode><valueName>SAME</valueName><value>RMT</value></eventCode>', area: around('suva') }

const capMessage = fc
  .record({
    number: fc.integer({ min: 1, max: 4 }),
    type: fc.constantFrom('Alert', 'Update', 'Update', 'Update', 'Cancel', 'Ack', 'Error', 'Something'),
    status: fc.constantFrom('Actual', 'Actual', 'Actual', 'Actual', 'Test', 'Exercise', 'Draft', 'Real'),
    sent: fc.constantFrom(
      '2024-06-03T02:30:00Z',
      '2024-06-03T02:40:00Z',
      '2024-06-03T01:00:00Z',
      '2034-06-03T02:30:00Z',
      'now',
    ),
    references: fc.constantFrom(
      named('W'),
      named('W'),
      named('M1'),
      named('M2'),
      named('M3'),
      `${named('X')} ${named('Y')}`,
      'other@example.org,W,2024-06-03T02:00:00Z',
      'warn@example.org,W#1,2024-06-03T02:00:00Z',
      'W',
      undefined,
    ),
    infos: fc.array(
      fc.oneof(
        fc.constantFrom(...readable).map((info) => ({ info, kind: 'readable' })),
        fc.constantFrom(...unreadable).map((info) => ({ info, kind: 'unreadable' })),
        fc.constant({ info: test, kind: 'test' }),
      ),
      { maxLength: 3 },
    ),
  })
  .map(({ number, type, status, sent, references, infos }): Message => {
    const id = `M${number}`
    const text = capAlert(
      { id, type, status, sent, ...(references === undefined ? {} : { references }) },
      ...infos.map(({ info }) => info),
    )
    const onlyTests = infos.length > 0 && infos.every(({ kind }) => kind === 'test')
    const heard = status === 'Actual' && sent.startsWith('2024-06-03T02') && !onlyTests
    const whole = infos.length > 0 && infos.every(({ kind }) => kind !== 'unreadable')
    const follows = type === 'Cancel' || type === 'Update'
    const ends = heard && follows && (type === 'Cancel' || whole)
    return {
      what: `${type} ${status} ${id} of ${references} at ${sent}: ${infos.map(({ kind }) => kind).join(', ')}`,
      text,
      // Which message it names is looked up when it is sent: one that names the alert may be named in its turn.
      ends: ends ? ['alert'] : [],
      ...(heard && type === 'Update' ? { alias: `${id} ${references}` } : { alias: ` ${references}` }),
    }
  })

const quakeKinds = [
  '震源・震度に関する情報',
  '震源に関する情報',
  '顕著な地震の震源要素更新のお知らせ',
  '緊急地震速報（予報）',
]
const otherKinds = [
  '震度速報',
  '地震の活動状況等に関する情報',
  '地震・津波に関するお知らせ',
  '沖合の津波観測に関する情報',
  '降灰予報（定時）',
  '全般台風情報',
]
const coastKinds = ['津波警報・注意報・予報a', '津波情報a']
const typhoonKinds = ['台風解析・予報情報（５日予報）（Ｈ３０）', '台風解析・予報情報（３日予報）']
const bodies = {
  smallQuake: quakeBody('4.0'),
  unknownQuake: quakeBody('NaN', ' description="Ｍ不明"'),
  brokenQuake: quakeBody('much'),
  calmCoasts: coastBody(['宮城県', '60'], ['福島県', '62']),
  unknownCoasts: coastBody(['宮城県', '60'], ['某県', '52']),
  unknownKinds: coastBody(['宮城県', '98']),
  otherCoasts: coastBody(['福島県', '62', 'soon']),
  hourly: typhoonBody([['実況', '2024-06-03T11:40:00+09:00', '+22.5+126.1/', 50]]),
  shortForecast: typhoonBody([
    ['実況', '2024-06-03T11:40:00+09:00', '+22.5+126.1/', 30],
    ['予報　１２時間後', '2024-06-03T23:40:00+09:00', '+22.0+130.0/', 20],
  ]),
  over: typhoonBody([['実況', '2024-06-03T11:40:00+09:00', '+22.5+126.1/', 15]], '台風消滅（温帯低気圧化）'),
  nowhere: typhoonBody([]),
  empty: '',
}

const jmaMessage = fc
  .record({
    title: fc.constantFrom(...quakeKinds, ...otherKinds, ...coastKinds, ...typhoonKinds),
    events: fc.constantFrom(
      '20240603112500',
      '20240603112500 20240603999999',
      '20240603999999',
      'TC2403',
      'TC2404',
      '',
    ),
    info: fc.constantFrom('発表', '発表', '訂正', '取消'),
    status: fc.constantFrom('通常', '通常', '通常', '訓練', '試験', '?'),
    at: fc.constantFrom(
      '2024-06-03T11:45:00+09:00',
      '2024-06-03T11:50:00+09:00',
      '2024-06-03T11:00:00+09:00',
      '2034-06-03T11:45:00+09:00',
      'now',
    ),
    body: fc.constantFrom(...(Object.keys(bodies) as (keyof typeof bodies)[])),
  })
  .map(({ title, events, info, status, at, body }): Message => {
    const heard = status === '通常' && (at.startsWith('2024-06-03T11:4') || at.startsWith('2024-06-03T11:5'))
    const sameQuake = events.includes('20240603112500')
    const ends: Warning[] = []
    if (heard && info === '取消') {
      if (sameQuake && title === quakeKinds[0]) ends.push('quake')
      if (sameQuake && title === coastKinds[0]) ends.push('tsunami')
      if (events === 'TC2403' && title === typhoonKinds[0]) ends.push('typhoon')
    } else if (heard) {
      if (sameQuake && quakeKinds.includes(title) && body === 'smallQuake') ends.push('quake')
      if (sameQuake && title === coastKinds[0] && ['calmCoasts', 'otherCoasts'].includes(body)) ends.push('tsunami')
      if (events === 'TC2403' && typhoonKinds.includes(title) && ['shortForecast', 'over'].includes(body))
        ends.push('typhoon')
    }
    return {
      what: `${title} ${events} ${info} ${status} ${at} ${body}`,
      text: jmaReport({ title, events, info, status, at, body: bodies[body] }),
      ends,
    }
  })

const usgsMessage = fc
  .record({
    id: fc.constantFrom('w1', 'a', 'b', 'c', 'd'),
    magnitude: fc.constantFrom(4, 5, 6, 7, 42),
    latitude: fc.double({ min: 48, max: 53, noNaN: true }),
    longitude: fc.double({ min: 6, max: 12, noNaN: true }),
    later: fc.integer({ min: -400_000, max: 400_000 }),
    status: fc.constantFrom('reviewed', 'reviewed', 'reviewed', 'deleted'),
  })
  .map(({ id, magnitude, latitude, longitude, later, status }): Message => {
    const times = { time: nowMs - 3_000_000 + later, updated: nowMs - 1_000_000 + later }
    return {
      what: `USGS ${id} ${magnitude} ${status} at ${latitude}, ${longitude}, ${later}`,
      text: usgs(id, magnitude, latitude, longitude, { ...times, status }),
      // Each may lower what the one before it under the same id said.
      ends: ['usgs'],
    }
  })

const broken = fc.tuple(fc.oneof(capMessage, jmaMessage), fc.double({ min: 0, max: 1, noNaN: true })).map(
  ([{ what, text }, share]): Message => ({
    what: `the first ${share} of ${what}`,
    text: text.slice(0, Math.floor(text.length * Math.min(share, 0.98))),
    ends: [],
  }),
)

async function tell(messages: readonly Message[]): Promise<void> {
  const site = await hazardSite()
  for (const text of Object.values(warnings)) await site.push(text)
  const ended = new Set<Warning>()
  const names = new Set(['W'])
  for (const { what, text, ends, alias } of messages) {
    const before = Object.fromEntries(
      await mapInOrder(Object.values(servers), async (server) => [server, await site.risk(server)]),
    )
    try {
      await site.push(text)
    } catch (error) {
      if (!isProblem(error)) throw error
    }
    const [id = '', ...references] = alias?.split(' ') ?? []
    const aboutAlert =
      alias === undefined ||
      references.some((one) => names.has(one.split(',')[1] ?? '') && one.startsWith('warn@example.org,'))
    if (aboutAlert) for (const one of ends) ended.add(one)
    if (aboutAlert && id) names.add(id)
    for (const [warning, server] of Object.entries(servers) as [Warning, PlaceName][]) {
      // The server of a quake that has a tsunami, too, is left out when either has ended.
      const shared = (Object.keys(servers) as Warning[]).filter((other) => servers[other] === server)
      if (shared.some((other) => ended.has(other))) continue
      if ((await site.risk(server)) < before[server]! - 1e-12)
        throw new Error(`${warning} at ${server}: ${before[server]} → ${await site.risk(server)} by ${what}`)
    }
  }
}

t.test('S9 S14: no message lowers a risk but one that ends that same warning', async (t) => {
  const site = await hazardSite()
  const calm = await site.risk('suva')
  for (const text of Object.values(warnings)) await site.push(text)
  for (const server of Object.values(servers)) t.ok((await site.risk(server)) > 3 * calm, server)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(capMessage, jmaMessage, broken), { minLength: 1, maxLength: 6 }), tell),
    {
      numRuns: 400,
    },
  )
  t.end()
})

t.test('S9 S14: an alert that comes again under its id and says something else ends nothing', async (t) => {
  const site = await hazardSite()
  const again = (info: CapInfo, sent = '2024-06-03T02:30:00Z') =>
    site.push(capAlert({ id: 'M3', type: 'Alert', sent }, info))
  const calm = { suva: await site.risk('suva'), frankfurt: await site.risk('frankfurt') }
  await again({ area: around('suva') })
  const warned = await site.risk('suva')
  t.ok(warned > 3 * calm.suva)
  // The same message with other words of an area, one of them none; and later, somewhere else.
  for (const sent of ['2024-06-03T02:30:00Z', '2024-06-03T02:40:00Z'])
    await again({ area: '<polygon>somewhere</polygon><circle>50.1,8.7 20</circle>' }, sent)
  t.equal(await site.risk('suva'), warned, 'Suva is warned as before')
  t.ok((await site.risk('frankfurt')) > 3 * calm.frankfurt, 'and Frankfurt is, too')
  await again({ area: around('suva'), severity: 'Minor' })
  t.equal(await site.risk('suva'), warned, 'the worse one counts, once')
  await site.push(
    capAlert({
      id: 'C',
      type: 'Cancel',
      sent: '2024-06-03T02:45:00Z',
      references: 'warn@example.org,M3,2024-06-03T02:30:00Z',
    }),
  )
  t.same({ suva: await site.risk('suva'), frankfurt: await site.risk('frankfurt') }, calm, 'one cancel ends them all')
  t.end()
})

t.test('S14: a further earthquake never lowers a risk, wherever and whenever it was', async (t) => {
  const fresh = usgsMessage.filter(({ what }) => !/ (w1|.* deleted)/.test(what))
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fresh, { maxLength: 5, selector: ({ what }) => what.slice(0, 6) }),
      async (messages) => {
        await tell(messages.map((message) => ({ ...message, ends: [] })))
      },
    ),
    { numRuns: 300 },
  )
  t.end()
})
