/** Reports of the Japan Meteorological Agency in the order in which they come, down to the risk of a place (S9, S14). */
import t from 'tap'
import { coastBody, hazardSite, jmaReport, quakeBody, typhoonBody } from './test-hazards.ts'

const quake = '震源・震度に関する情報'
const warning = '津波警報・注意報・予報a'
const typhoon = '台風解析・予報情報（５日予報）（Ｈ３０）'
const withdrawn = { info: '取消', at: '2024-06-03T11:40:00+09:00' }

t.test('S9: a cancel takes back what its own kind of report told, and nothing else', async (t) => {
  const site = await hazardSite()
  const calm = await site.risk('sendai')
  await site.push(jmaReport({ title: quake, body: quakeBody('7.2') }))
  const first = await site.risk('sendai')
  t.ok(first > 10 * calm)
  for (const title of [
    '顕著な地震の震源要素更新のお知らせ',
    '震源に関する情報',
    '震度速報',
    '地震の活動状況等に関する情報',
  ])
    await site.push(jmaReport({ title, ...withdrawn }))
  t.equal(await site.risk('sendai'), first)

  await site.push(
    jmaReport({ title: '顕著な地震の震源要素更新のお知らせ', at: '2024-06-03T11:45:00+09:00', body: quakeBody('6.8') }),
  )
  t.ok((await site.risk('sendai')) < first, 'corrected downward by the agency itself')
  await site.restart()
  await site.push(
    jmaReport({
      title: '顕著な地震の震源要素更新のお知らせ',
      ...withdrawn,
      at: '2024-06-03T11:50:00+09:00',
    }),
  )
  t.equal(await site.risk('sendai'), first, 'the correction withdrawn: what was told before counts again')
  await site.push(jmaReport({ title: quake, ...withdrawn, at: '2024-06-03T11:55:00+09:00' }))
  t.same(site.hazards(), [])
  await site.push(jmaReport({ title: quake, body: quakeBody('7.2') }))
  t.same(site.hazards(), [], 'the withdrawn report once more')
  t.end()
})

t.test('S9: a warning for several events counts, and is lifted for each of them', async (t) => {
  const site = await hazardSite()
  const events = '20240603112500 20240603112600'
  await site.push(jmaReport({ title: warning, events, body: coastBody(['宮城県', '52'], ['岩手県', '51']) }))
  const high = await site.risk('sendai')
  t.ok(high > 0.5)
  for (const title of ['津波情報a', '沖合の津波観測に関する情報'])
    await site.push(
      jmaReport({
        title,
        events,
        at: '2024-06-03T11:35:00+09:00',
        body: coastBody(['宮城県', '60'], ['岩手県', '51']),
      }),
    )
  t.equal(await site.risk('sendai'), high, 'information on a warning lifts nothing')
  await site.push(jmaReport({ title: '津波情報a', events, ...withdrawn }))
  t.equal(await site.risk('sendai'), high, 'nor does its cancel')
  await site.push(
    jmaReport({
      title: warning,
      events,
      at: '2024-06-03T11:45:00+09:00',
      body: coastBody(['宮城県', '99'], ['某県', '52']),
    }),
  )
  t.ok((await site.risk('sendai')) >= high, 'coasts and kinds that are not known lift nothing')
  await site.push(
    jmaReport({
      title: warning,
      events,
      at: '2024-06-03T11:50:00+09:00',
      body: coastBody(['宮城県', '50'], ['岩手県', '60']),
    }),
  )
  t.same(site.hazards(), [])
  t.end()
})

t.test('S9: an arrival time that cannot be read does not cost the warning', async (t) => {
  const site = await hazardSite()
  const { problems } = await site.push(jmaReport({ title: warning, body: coastBody(['宮城県', '52', 'soon']) }))
  t.match(problems, [{ code: 'hazard.invalid', detail: /ArrivalTime/ }])
  t.ok((await site.risk('sendai')) > 0.5)
  t.end()
})

t.test('S9: an hourly position keeps the forecast; the word that it is over ends it', async (t) => {
  const site = await hazardSite()
  const forecast = typhoonBody([
    ['実況', '2024-06-03T11:00:00+09:00', '+22.4+126.3/', 50],
    ['予報　１２時間後', '2024-06-03T23:00:00+09:00', '+23.6+124.0/', 50],
    ['予報　２４時間後', '2024-06-04T11:00:00+09:00', '+25.0+121.8/', 50],
  ])
  await site.push(jmaReport({ title: typhoon, events: 'TC2403', body: forecast }))
  const warned = await site.risk('taipei')
  t.ok(warned > 0.02, `${warned}`)
  const hourly = typhoonBody([
    ['実況', '2024-06-03T12:00:00+09:00', '+22.5+126.1/', 50],
    ['推定　１時間後', '2024-06-03T13:00:00+09:00', '+22.6+125.9/', 50],
  ])
  await site.push(jmaReport({ title: typhoon, events: 'TC2403', at: '2024-06-03T12:20:00+09:00', body: hourly }))
  t.ok((await site.risk('taipei')) > 0.9 * warned, `${await site.risk('taipei')}`)
  const again = await hazardSite()
  await again.push(jmaReport({ title: typhoon, events: 'TC2403', at: '2024-06-03T12:20:00+09:00', body: hourly }))
  await again.push(jmaReport({ title: typhoon, events: 'TC2403', body: forecast }))
  t.equal(await again.risk('taipei'), await site.risk('taipei'), 'also the other way round')
  const over = typhoonBody([['実況', '2024-06-03T12:50:00+09:00', '+22.6+126.0/', 15]], '台風消滅（熱帯低気圧化）')
  await site.push(jmaReport({ title: typhoon, events: 'TC2403', at: '2024-06-03T12:55:00+09:00', body: over }))
  t.ok((await site.risk('taipei')) < 0.001)
  t.end()
})

t.test('S9: days four and five of a forecast in the older form count', async (t) => {
  const site = await hazardSite()
  const body = typhoonBody([
    ['実況', '2024-06-03T11:00:00+09:00', '+15.0+140.0/', 45],
    ['予報　７２時間後', '2024-06-06T11:00:00+09:00', '+20.0+130.0/', 50],
    ['延長予報　９６時間後', '2024-06-07T11:00:00+09:00', '+25.0+122.0/', 50],
  ])
  await site.push(jmaReport({ title: '台風解析・予報情報（５日予報）', events: 'TC2404', body }))
  t.ok((await site.risk('taipei')) > 0.01)
  t.end()
})

t.test('S14: kinds that are not read are passed over, and the feed stays well', async (t) => {
  const site = await hazardSite()
  for (const [title, events] of [
    ['降灰予報（定時）', '506'],
    ['噴火警報・予報', '503_20240603'],
    ['気象特別警報・警報・注意報', ''],
    ['土砂災害警戒情報', ''],
    ['全般台風情報（定型）', 'TC2403'],
    ['台風の暴風域に入る確率', 'TC2403'],
    ['北海道・三陸沖後発地震注意情報', '20240603112500'],
    ['地震・津波に関するお知らせ', '20240603112500'],
  ] as const) {
    for (const info of ['発表', '取消'])
      t.same((await site.push(jmaReport({ title, events, info }))).problems, [], title)
    t.match(site.status(), [{ problem: null, hazards: 0 }], title)
  }
  await t.rejects(() => site.push(jmaReport({ title: warning, events: '' })), {
    code: 'hazard.invalid',
    detail: /EventID/,
  })
  t.end()
})

t.test(
  'S14: a magnitude that the agency does not know is no fault; where it shook counts, and what is known stays',
  async (t) => {
    const site = await hazardSite()
    const unknown = quakeBody('NaN', ' condition="不明" description="Ｍ不明"')
    const felt =
      '<Intensity><Observation><Pref><Name>宮城県</Name><Code>04</Code><MaxInt>6+</MaxInt></Pref></Observation></Intensity>'
    t.same((await site.push(jmaReport({ title: quake, events: '20240603000000', body: unknown }))).problems, [])
    t.same(site.hazards(), [], 'far away, felt nowhere')
    await site.push(jmaReport({ title: quake, body: unknown + felt }))
    t.match(site.hazards(), [{ shape: { kind: 'area', regions: ['JP-04'] } }])
    await site.push(jmaReport({ title: quake, at: '2024-06-03T11:32:00+09:00', body: quakeBody('7.2') }))
    const known = await site.risk('sendai')
    await site.push(jmaReport({ title: quake, at: '2024-06-03T11:34:00+09:00', body: unknown + felt }))
    t.ok((await site.risk('sendai')) >= known)
    await t.rejects(
      () => site.push(jmaReport({ title: quake, body: quakeBody('') })),
      { code: 'hazard.invalid' },
      'no magnitude',
    )
    t.end()
  },
)
