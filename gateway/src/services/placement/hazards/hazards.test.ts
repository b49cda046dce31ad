/** Sources of hazards: what each format says, and what hostile, wrong and contradicting documents come to (S9, S14). */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { type Bulletin, type Coasts, type Exceedance, limits, type Quake, type Track } from './hazard.ts'
import { insuranceRate } from './insurance-rates.ts'
import { type Format, readBulletin } from './read.ts'
import { standardRules as rules } from './rules.ts'

const shared = new URL('../../../../../../shared/data/hazards', import.meta.url).pathname
const bytes = (text: string) => new TextEncoder().encode(text)
const read = (text: string, at: string, format?: Format): Bulletin =>
  readBulletin(bytes(text), format, { nowMs: Date.parse(at), rules })
const codes = (bulletin: Bulletin) => bulletin.problems.map(({ code }) => code)

/** The code with which a document is refused as a whole. */
function refusal(text: string | Uint8Array, format?: Format): string {
  try {
    readBulletin(typeof text === 'string' ? bytes(text) : text, format, {
      nowMs: Date.parse('2024-01-01T00:00Z'),
      rules,
    })
    return 'taken'
  } catch (error) {
    return isProblem(error) ? error.code : String(error)
  }
}

const cap = (
  info: string,
  head: { type?: string; status?: string; id?: string; sent?: string; references?: string } = {},
) => `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>${head.id ?? 'A1'}</identifier><sender>warn@example.org</sender>
<sent>${head.sent ?? '2024-01-01T00:00:00+00:00'}</sent><status>${head.status ?? 'Actual'}</status><msgType>${head.type ?? 'Alert'}</msgType><scope>Public</scope>
${head.references ? `<references>${head.references}</references>` : ''}${info}</alert>`
const info = (
  area: string,
  more = '',
) => `<info><category>Met</category><event>Flood warning</event><urgency>Expected</urgency>
<severity>Severe</severity><certainty>Likely</certainty>${more || '<onset>2024-01-01T06:00:00+00:00</onset><expires>2024-01-02T00:00:00+00:00</expires>'}
<headline>River Rhine</headline><area><areaDesc>Hesse</areaDesc>${area}</area></info>`
const hesse = '<polygon>49.5,8.0 51.0,8.0 51.0,9.5 49.5,9.5 49.5,8.0</polygon>'

const jmaQuake = (change: (text: string) => string = (text) => text) =>
  change(`<?xml version="1.0" encoding="UTF-8"?>
<Report xmlns="http://xml.kishou.go.jp/jmaxml1/"><Control><Title>震源・震度に関する情報</Title><Status>通常</Status></Control>
<Head xmlns="http://xml.kishou.go.jp/jmaxml1/informationBasis1/"><Title>震源・震度情報</Title><ReportDateTime>2016-04-16T01:33:00+09:00</ReportDateTime>
<EventID>20160416012510</EventID><InfoType>発表</InfoType></Head>
<Body xmlns="http://xml.kishou.go.jp/jmaxml1/body/seismology1/" xmlns:jmx_eb="http://xml.kishou.go.jp/jmaxml1/elementBasis1/"><Earthquake>
<OriginTime>2016-04-16T01:25:00+09:00</OriginTime><Hypocenter><Area><Name>熊本県熊本地方</Name>
<jmx_eb:Coordinate description="北緯３２．８度　東経１３０．８度　深さ　１０ｋｍ" datum="日本測地系">+32.8+130.8-10000/</jmx_eb:Coordinate></Area></Hypocenter>
<jmx_eb:Magnitude type="Mj">7.3</jmx_eb:Magnitude></Earthquake>
<Intensity><Observation><MaxInt>7</MaxInt><Pref><Name>熊本県</Name><Code>43</Code><MaxInt>7</MaxInt></Pref><Pref><Name>大分県</Name><Code>44</Code><MaxInt>6-</MaxInt></Pref></Observation></Intensity></Body></Report>`)

const forecast = (
  kind: string,
  at: string,
  centre: string,
  wind: string,
  storm: number,
) => `<MeteorologicalInfo><DateTime type="${kind}">${at}</DateTime><Item>
<Kind><Property><Type>呼称</Type><TyphoonNamePart><Name>HAGIBIS</Name><NameKana>ハギビス</NameKana><Number>1919</Number></TyphoonNamePart></Property></Kind>
<Kind><Property><Type>中心</Type><CenterPart>${centre}<jmx_eb:Pressure type="中心気圧" unit="hPa">945</jmx_eb:Pressure></CenterPart></Property></Kind>
<Kind><Property><Type>風</Type><WindPart>${wind}</WindPart><WarningAreaPart type="暴風域"><jmx_eb:Circle type="暴風域"><jmx_eb:Axes><jmx_eb:Axis>
<jmx_eb:Radius type="半径" unit="海里">${Math.round(storm / 1.852)}</jmx_eb:Radius><jmx_eb:Radius type="半径" unit="km">${storm}</jmx_eb:Radius></jmx_eb:Axis></jmx_eb:Axes></jmx_eb:Circle></WarningAreaPart></Property></Kind></Item></MeteorologicalInfo>`
const wind = (ms: number) =>
  `<jmx_eb:WindSpeed unit="ノット" type="最大風速">${Math.round(ms / 0.514)}</jmx_eb:WindSpeed><jmx_eb:WindSpeed unit="m/s" type="最大風速">${ms}</jmx_eb:WindSpeed><jmx_eb:WindSpeed unit="m/s" type="最大瞬間風速">${ms * 1.4}</jmx_eb:WindSpeed>`
const circle = (at: string, km: number) =>
  `<ProbabilityCircle type="予報円"><jmx_eb:BasePoint type="中心位置（度）">${at}</jmx_eb:BasePoint><jmx_eb:Axes><jmx_eb:Axis><jmx_eb:Radius type="７０パーセント確率半径" unit="海里">${Math.round(km / 1.852)}</jmx_eb:Radius><jmx_eb:Radius type="７０パーセント確率半径" unit="km">${km}</jmx_eb:Radius></jmx_eb:Axis></jmx_eb:Axes></ProbabilityCircle>`
const typhoon = `<?xml version="1.0" encoding="UTF-8"?><Report xmlns="http://xml.kishou.go.jp/jmaxml1/"><Control><Title>台風解析・予報情報（５日予報）（Ｈ３０）</Title><Status>通常</Status></Control>
<Head xmlns="http://xml.kishou.go.jp/jmaxml1/informationBasis1/"><Title>台風解析・予報情報</Title><ReportDateTime>2019-10-11T09:50:00+09:00</ReportDateTime><EventID>TC1919</EventID><InfoType>発表</InfoType></Head>
<Body xmlns="http://xml.kishou.go.jp/jmaxml1/body/meteorology1/" xmlns:jmx_eb="http://xml.kishou.go.jp/jmaxml1/elementBasis1/"><MeteorologicalInfos type="台風情報">
${forecast('実況', '2019-10-11T09:00:00+09:00', '<jmx_eb:Coordinate type="中心位置（度）">+28.9+137.0/</jmx_eb:Coordinate><jmx_eb:Coordinate type="中心位置（度分）">+2854+13700/</jmx_eb:Coordinate>', wind(45), 370)}
${forecast('推定　１時間後', '2019-10-11T10:00:00+09:00', '<jmx_eb:Coordinate type="中心位置（度）">+29.1+136.9/</jmx_eb:Coordinate>', wind(45), 370)}
${forecast('予報　２４時間後', '2019-10-12T09:00:00+09:00', circle('+33.1+137.9/', 110), wind(45), 330)}
${forecast('予報　４５時間後', '2019-10-13T06:00:00+09:00', circle('+38.8+143.4/', 160), wind(35), 260)}
</MeteorologicalInfos></Body></Report>`

t.test('S14: USGS GeoJSON', (t) => {
  const feature = (id: string, mag: number, coordinates: number[], more: object = {}) => ({
    type: 'Feature',
    id,
    properties: {
      mag,
      time: 1704092970000,
      updated: 1704093970000,
      title: `M ${mag}`,
      type: 'earthquake',
      status: 'reviewed',
      ...more,
    },
    geometry: { type: 'Point', coordinates },
  })
  const { hazards, passed, problems, cancelled } = read(
    JSON.stringify({
      type: 'FeatureCollection',
      features: [
        feature('noto', 7.5, [137.27, 37.49, 10]),
        feature('small', 2, [137, 37, 10]),
        feature('blast', 6, [137, 37, 0], { type: 'quarry blast' }),
        feature('gone', 6, [137, 37, 0], { status: 'deleted' }),
        feature('swapped', 6, [37.49, 137.27, 10]),
        feature('monstrous', 42, [137, 37, 10]),
        feature('nowhere', 6, []),
        feature('tomorrow', 6, [137, 37, 10], { time: 4e12, updated: 4e12 }),
        { type: 'Feature', id: 'bare' },
      ],
    }),
    '2024-01-02T00:00Z',
  )
  t.same(
    hazards.map(({ id }) => id),
    ['usgs:noto'],
  )
  t.match(hazards[0]!.shape, { kind: 'quake', magnitude: 7.5, depthKm: 10, at: { latitude: 37.49, longitude: 137.27 } })
  t.equal(passed, 2)
  t.same(
    cancelled.map(({ id }) => id),
    ['usgs:gone'],
  )
  t.same(
    problems.map(({ code }) => code),
    Array(5).fill('hazard.invalid'),
  )
  t.match(problems.map(({ detail }) => detail).join('\n'), /swapped.*latitude and longitude are swapped/)
  t.end()
})

t.test('S14: J-SHIS exceedance, and insurers’ rates per prefecture and structure', (t) => {
  const mesh = (rates: object) =>
    JSON.stringify({
      type: 'FeatureCollection',
      features: [
        {
          type: 'Feature',
          properties: { meshcode: '5339452641', ...rates },
          geometry: {
            type: 'Polygon',
            coordinates: [
              [
                [139.7, 35.6],
                [139.71, 35.6],
                [139.71, 35.61],
                [139.7, 35.61],
                [139.7, 35.6],
              ],
            ],
          },
        },
      ],
    })
  const at = '2024-01-02T00:00Z'
  const { hazards } = read(mesh({ T30_I45_PS: '0.99', T30_I50_PS: '0.9', T30_I55_PS: '0.47', T30_I60_PS: '0.08' }), at)
  t.match(hazards[0], {
    id: 'jshis:5339452641',
    shape: { kind: 'exceedance', rates: [{ intensity: 4.5 }, {}, {}, { intensity: 6 }] },
  })
  t.ok(Math.abs((hazards[0]!.shape as Exceedance).rates[3]!.perYear - 0.00278) < 1e-4)
  t.same(
    codes(read(mesh({ T30_I45_PS: '0.5', T30_I50_PS: '0.9' }), at)),
    ['hazard.invalid'],
    'a stronger shock is not more frequent',
  )
  t.same(codes(read(mesh({ T30_I45_PS: '7' }), at)), ['hazard.invalid'])
  t.equal(insuranceRate('JP-13', 'i'), 0.00275)
  t.equal(insuranceRate('JP-04', 'ro'), 0.00195)
  t.equal(insuranceRate('DE-HE', 'i'), undefined)
  for (let code = 1; code <= 47; code++)
    t.ok(
      insuranceRate(`JP-${String(code).padStart(2, '0')}`, 'i')! <
        insuranceRate(`JP-${String(code).padStart(2, '0')}`, 'ro')!,
    )
  t.end()
})

t.test('S14: JMA earthquake reports, drills, cancellations', (t) => {
  const at = '2016-04-16T02:00:00+09:00'
  const { hazards } = read(jmaQuake(), at)
  t.match(hazards[0], {
    id: 'jma:quake:20160416012510',
    shape: {
      kind: 'quake',
      magnitude: 7.3,
      depthKm: 10,
      felt: [
        { region: 'JP-43', intensity: 6.6 },
        { region: 'JP-44', intensity: 5.75 },
      ],
    },
  })
  const { latitude, longitude } = (hazards[0]!.shape as { at: { latitude: number; longitude: number } }).at
  t.ok(latitude > 32.8 && latitude < 32.81 && longitude < 130.8 && longitude > 130.79, 'the Tokyo datum is converted')
  t.match(
    read(
      jmaQuake((text) => text.replace('<Status>通常', '<Status>訓練')),
      at,
    ),
    { hazards: [], passed: 1 },
    'a drill',
  )
  t.match(
    read(
      jmaQuake((text) => text.replace('<InfoType>発表', '<InfoType>取消')),
      at,
    ).cancelled,
    [{ id: 'jma:quake:20160416012510' }],
  )
  const fault = (change: (text: string) => string) => refusal(jmaQuake(change), 'jma')
  t.equal(
    fault((text) => text.replace('+32.8+130.8', '+130.8+32.8')),
    'hazard.invalid',
    'swapped',
  )
  t.equal(
    fault((text) => text.replace('+32.8+130.8', '+35.8+130.8')),
    'hazard.invalid',
    'figures and words differ',
  )
  t.equal(
    fault((text) => text.replace('datum="日本測地系"', 'datum="火星測地系"')),
    'hazard.invalid',
    'datum',
  )
  t.equal(
    fault((text) => text.replace('2016-04-16T01:25:00+09:00', '2016-04-16T01:25:00')),
    'hazard.invalid',
    'a time without a zone',
  )
  t.equal(
    fault((text) => text.replace('>7.3<', '>NaN<')),
    'hazard.invalid',
    'no magnitude',
  )
  t.end()
})

t.test('S9: a typhoon’s forecast with its circles (JMA)', (t) => {
  const { hazards } = read(typhoon, '2019-10-11T10:00:00+09:00')
  const [hazard] = hazards
  t.match(hazard, { id: 'jma:typhoon:TC1919', peril: 'storm', title: '台風第19号 ハギビス' })
  t.match((hazard!.shape as Track).points, [
    { latitude: 28.9, longitude: 137, radiusKm: 0, windMs: 45, stormKm: 370 },
    { latitude: 33.1, longitude: 137.9, radiusKm: 110, windMs: 45, stormKm: 330 },
    { latitude: 38.8, radiusKm: 160, windMs: 35, stormKm: 260 },
  ])
  t.end()
})

t.test('S14: CAP 1.2 alerts, updates and cancellations', (t) => {
  const at = '2024-01-01T01:00Z'
  t.match(read(cap(info(hesse)), at).hazards, [
    {
      id: 'cap:warn@example.org,A1',
      peril: 'flood',
      certainty: 0.7,
      title: 'River Rhine',
      shape: { kind: 'area', severity: 'severe' },
    },
  ])
  const update = read(
    cap(info(hesse), { type: 'Update', id: 'A2', references: 'warn@example.org,A1,2024-01-01T00:00:00+00:00' }),
    at,
  )
  t.match(update, { hazards: [{ id: 'cap:warn@example.org,A2' }], cancelled: [{ id: 'cap:warn@example.org,A1' }] })
  t.match(
    read(cap('', { type: 'Cancel', id: 'A3', references: 'warn@example.org,A2,2024-01-01T00:00:00+00:00' }), at)
      .cancelled,
    [{ id: 'cap:warn@example.org,A2' }],
  )
  t.equal(read(cap(info(hesse), { status: 'Exercise' }), at).passed, 1)
  for (const [what, area] of [
    ['swapped', '<polygon>8.0,149.5 8.0,151.0 9.5,151.0 8.0,149.5</polygon>'.replace(/(\d+\.\d),(\d+\.\d)/g, '$2,$1')],
    ['half the world', '<polygon>-80,-170 80,-170 80,170 -80,170 -80,-170</polygon>'],
    ['a huge circle', '<circle>50,8 20000</circle>'],
    ['words', '<polygon>north, south</polygon>'],
    ['a huge polygon', `<polygon>${'50.0,8.0 '.repeat(limits.ringPoints + 1)}</polygon>`],
    ['nowhere', ''],
  ])
    t.same(codes(read(cap(info(area!)), at)), ['hazard.invalid'], what!)
  t.same(codes(read(cap(info(hesse), { sent: '2034-01-01T00:00:00+00:00' }), at)), ['hazard.invalid'], 'far future')
  const ended = '<onset>2024-01-02T00:00:00Z</onset><expires>2024-01-01T00:00:00Z</expires>'
  t.same(read(cap(info(hesse, ended)), at).hazards.length, 1, 'an end before the beginning is the beginning')
  t.end()
})

t.test('S9: a track with a cone as GeoJSON', (t) => {
  const track = (points: object[], more = {}) =>
    JSON.stringify({
      type: 'FeatureCollection',
      id: 'AL05',
      name: 'Erin',
      issued: '2024-01-01T00:00:00Z',
      ...more,
      features: [
        ...points.map(({ at, ...properties }: { at?: number[] }) => ({
          type: 'Feature',
          properties,
          geometry: { type: 'Point', coordinates: at },
        })),
        {
          type: 'Feature',
          properties: { cone: true },
          geometry: {
            type: 'Polygon',
            coordinates: [
              [
                [-61, 20],
                [-59, 20],
                [-57, 26],
                [-63, 26],
                [-61, 20],
              ],
            ],
          },
        },
      ],
    })
  const at = '2024-01-01T01:00Z'
  const { hazards } = read(
    track([
      { at: [-60, 20.5], time: '2024-01-01T00:00:00Z', windKt: 100 },
      { at: [-60, 25], time: '2024-01-02T00:00:00Z', windMs: 45, stormKm: 150 },
    ]),
    at,
  )
  const [first, second] = (hazards[0]!.shape as Track).points
  t.ok(Math.abs(first!.windMs - 51.4) < 0.1)
  t.ok(second!.radiusKm > 90 && second!.radiusKm < 120, `from the cone: ${second!.radiusKm}`)
  t.throws(
    () =>
      read(
        track([
          { at: [-60, 20], time: '2024-01-01T00:00:00Z', windKt: 50 },
          { at: [60, -20], time: '2024-01-01T06:00:00Z', windKt: 50 },
        ]),
        at,
      ),
    { code: 'hazard.invalid' },
    'it would fly',
  )
  t.match(read(track([], { cancelled: true }), at).cancelled, [{ id: 'track:AL05' }])
  t.end()
})

t.test('S14: GDACS, with a point that its own box contradicts', (t) => {
  const item = (
    point: string,
    more = '',
  ) => `<rss xmlns:gdacs="http://www.gdacs.org" xmlns:georss="http://www.georss.org/georss"><channel><item>
<title>Orange flood alert</title><pubDate>Mon, 01 Jan 2024 00:00:00 GMT</pubDate><gdacs:fromdate>Sun, 31 Dec 2023 00:00:00 GMT</gdacs:fromdate><gdacs:todate>Mon, 01 Jan 2024 00:00:00 GMT</gdacs:todate>
<gdacs:bbox>135 141 33 37</gdacs:bbox><georss:point>${point}</georss:point><gdacs:eventtype>FL</gdacs:eventtype><gdacs:alertlevel>Orange</gdacs:alertlevel><gdacs:eventid>7</gdacs:eventid>${more}</item></channel></rss>`
  const at = '2024-01-01T01:00Z'
  t.match(read(item('35 139'), at).hazards, [
    { id: 'gdacs:FL7', peril: 'flood', shape: { severity: 'severe', circles: [{ latitude: 35 }] } },
  ])
  const polygon = '<georss:polygon>34 138 36 138 36 140 34 140 34 138</georss:polygon>'
  t.match(read(item('35 139', polygon), at).hazards[0]!.shape, {
    rings: [[{ latitude: 34, longitude: 138 }, {}, {}, {}, {}]],
  })
  t.match(read(item('139 35'), at).problems, [{ code: 'hazard.invalid', detail: /swapped/ }])
  t.match(read(item('over there'), at).problems, [{ code: 'hazard.invalid' }])
  t.end()
})

t.test('S14: hostile and broken documents are refused with a problem, quickly', (t) => {
  const bomb = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "lol">${Array.from({ length: 9 }, (_, i) => `<!ENTITY ${'bcdefghij'[i]} "${`&${'abcdefghi'[i]};`.repeat(10)}">`).join('')}]><rss gdacs="">&j;</rss>`
  t.equal(refusal(bomb), 'feed.hostile', 'entity bomb')
  t.equal(refusal('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'), 'feed.hostile', 'a document type from elsewhere')
  t.equal(
    refusal(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">${'<a>'.repeat(100)}`),
    'feed.hostile',
    'too deep',
  )
  t.equal(
    refusal(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">${'<a/>'.repeat(310_000)}</alert>`),
    'feed.hostile',
    'too many',
  )
  t.equal(refusal(new Uint8Array(limits.bulletinBytes + 1)), 'feed.too-large')
  for (const broken of [
    '',
    '   ',
    'hello',
    '{',
    '[]',
    '<a>',
    '<rss gdacs=""/>',
    '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">',
    '<html><body>gateway timeout</body></html>',
  ])
    t.equal(refusal(broken), 'feed.malformed', JSON.stringify(broken))
  t.equal(refusal(new Uint8Array([0x3c, 0xff, 0xfe, 0x3e]), 'cap'), 'feed.malformed', 'not UTF-8')
  t.equal(
    refusal('<?xml version="1.0" encoding="Shift_JIS"?><Report xmlns="http://xml.kishou.go.jp/jmaxml1/"/>'),
    'feed.malformed',
  )
  t.equal(
    refusal('<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">&unknown;</alert>'),
    'feed.malformed',
    'an entity of its own',
  )
  const many = JSON.stringify({ type: 'FeatureCollection', features: Array(limits.hazards * 4 + 1).fill({}) })
  t.equal(refusal(many, 'usgs'), 'feed.too-large')
  t.end()
})

t.test('S14: the shared reports are read whole', { skip: !existsSync(shared) && 'no shared data' }, (t) => {
  const at = (name: string) =>
    name.startsWith('32-39') ? '2011-03-11T06:00Z' : name.startsWith('2022') ? '2022-09-18T07:00Z' : '2021-02-18T12:00Z'
  const found: Record<string, Bulletin> = {}
  for (const name of readdirSync(`${shared}/jma`))
    found[name] = readBulletin(readFileSync(`${shared}/jma/${name}`), undefined, { nowMs: Date.parse(at(name)), rules })
  for (const [name, { problems, hazards }] of Object.entries(found))
    t.same([problems.map((p) => p.detail), hazards.length], [[], 1], name)
  t.match(found['32-39_11_05_120615_VXSE53.xml']!.hazards[0], {
    id: 'jma:quake:20110311144640',
    shape: { kind: 'quake' },
  })
  const felt = (found['32-39_11_05_120615_VXSE53.xml']!.hazards[0]!.shape as Quake).felt!
  t.same(felt.find(({ region }) => region === 'JP-04')?.intensity, 6.6, 'Miyagi 7')
  t.ok(felt.length > 30)
  const coasts = (found['32-39_11_02_120615_VTSE41.xml']!.hazards[0]!.shape as Coasts).coasts
  t.match(
    coasts.find(({ regions }) => regions.includes('JP-04')),
    { heightM: 10, arrivesMs: Date.parse('2011-03-11T15:00+09:00') },
  )
  t.notOk(coasts.some(({ regions }) => regions.includes('JP-20')))
  const gdacs = readBulletin(readFileSync(`${shared}/gdacs/gdacs-1.xml`), undefined, {
    nowMs: Date.parse('2019-12-30T02:00Z'),
    rules,
  })
  t.match(gdacs, {
    problems: [],
    passed: 2,
    hazards: [
      { id: 'gdacs:TC1000643', shape: { kind: 'track' } },
      { shape: { kind: 'quake', magnitude: 5.5, depthKm: 10 } },
    ],
  })
  t.end()
})
