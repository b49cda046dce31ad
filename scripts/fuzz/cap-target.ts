/** Hazard documents in XML: CAP, JMA, GDACS and Atom, from the bytes to what they do to risks. */
import { atomLinks } from '@azukari/gateway/services/placement/hazards/atom'
import { termsOf } from '@azukari/gateway/services/placement/hazards/effect'
import { checkHazard } from '@azukari/gateway/services/placement/hazards/hazard'
import { KnownHazards } from '@azukari/gateway/services/placement/hazards/known'
import { readBulletin } from '@azukari/gateway/services/placement/hazards/read'
import { standardRules as rules } from '@azukari/gateway/services/placement/hazards/rules'
import { countedTellings } from '@azukari/gateway/services/placement/hazards/same-event'
import {
  around,
  capAlert,
  coastBody,
  jmaReport,
  named,
  nowMs,
  quakeBody,
  typhoonBody,
} from '@azukari/gateway/services/placement/hazards/test-hazards'
import { type FuzzTarget, holds } from './target.ts'

const places = [
  { server: 'sendai', region: 'JP-04', latitude: 38.27, longitude: 140.87, ground: {} },
  { server: 'suva', region: 'FJ', latitude: -18.14, longitude: 178.44, ground: { elevationM: 3 } },
]

const gdacs = `<rss xmlns:gdacs="http://www.gdacs.org" xmlns:georss="http://www.georss.org/georss"><channel><item>
<title>Orange flood alert</title><pubDate>Mon, 03 Jun 2024 00:00:00 GMT</pubDate><gdacs:fromdate>Sun, 02 Jun 2024 00:00:00 GMT</gdacs:fromdate>
<gdacs:todate>Mon, 03 Jun 2024 00:00:00 GMT</gdacs:todate><gdacs:bbox>135 141 33 37</gdacs:bbox><georss:point>38 140</georss:point>
<georss:polygon>34 138 36 138 36 140 34 140 34 138</georss:polygon><gdacs:severity unit="km/h" value="120">Depth: 10 km</gdacs:severity>
<gdacs:eventtype>FL</gdacs:eventtype><gdacs:alertlevel>Orange</gdacs:alertlevel><gdacs:eventid>7</gdacs:eventid></item></channel></rss>`

const felt =
  '<Intensity><Observation><Pref><Name>宮城県</Name><Code>04</Code><MaxInt>6+</MaxInt></Pref></Observation></Intensity>'

const documents = [
  capAlert(
    { id: 'A' },
    { area: around('suva'), language: 'en' },
    { area: around('naha'), headline: '<![CDATA[a & b]]>' },
  ),
  capAlert(
    { id: 'B', type: 'Update', sent: '2024-06-03T02:30:00Z', references: `${named('A')} ${named('C')}` },
    {
      area: `<circle>-18.1,178.4 30</circle><geocode><valueName>ISO3166-2</valueName><value>JP-04</value></geocode>`,
      more: '<parameter><valueName>eventEndingTime</valueName><value>2024-06-04T00:00:00Z</value></parameter>',
    },
    { area: '' },
  ),
  capAlert({ id: 'D', type: 'Cancel', sent: '2024-06-03T02:40:00Z', references: named('B') }),
  jmaReport({ title: '震源・震度に関する情報', body: quakeBody('7.2') + felt }),
  jmaReport({ title: '震度速報', body: felt }),
  jmaReport({ title: '津波警報・注意報・予報a', body: coastBody(['宮城県', '52'], ['岩手県', '62']) }),
  jmaReport({ title: '津波情報a', events: '20240603112500 20240603112600', body: coastBody(['宮城県', '51']) }),
  jmaReport({
    title: '台風解析・予報情報（５日予報）（Ｈ３０）',
    events: 'TC2403',
    body: typhoonBody([
      ['実況', '2024-06-03T11:00:00+09:00', '+22.4+126.3/', 50],
      ['推定　１時間後', '2024-06-03T12:00:00+09:00', '+22.4+126.2/', 50],
      ['予報　２４時間後', '2024-06-04T11:00:00+09:00', '+25.0+121.8/', 50],
    ]),
  }),
  jmaReport({ title: '震源・震度に関する情報', info: '取消' }),
  gdacs,
  '<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title><entry><link href="/a.xml"/></entry></feed>',
]

export const capTarget: FuzzTarget = {
  what: 'hazard documents in XML (CAP, JMA, GDACS, Atom)',
  corpus: () => documents.map((text) => new TextEncoder().encode(text)),
  run(bytes) {
    // An index is followed, not read.
    if (atomLinks(bytes, 'https://example.org/feed.xml')) return
    const bulletin = readBulletin(bytes, undefined, { nowMs, rules })
    const { hazards, cancelled, held } = bulletin
    for (const { id } of [...hazards, ...cancelled, ...held]) holds(/^[\x21-\x7e]{1,120}$/.test(id), `the id ${id}`)
    for (const hazard of hazards) checkHazard(hazard, nowMs)
    const known = new KnownHazards()
    for (const _again of [1, 2]) {
      const { rows } = known.take('fuzz', bulletin, nowMs)
      for (const { row, untilMs } of rows) holds(Number.isSafeInteger(untilMs), `${row} ends`)
    }
    for (const place of places) {
      const tellings = known.hazards().map(({ hazard }) => ({ hazard, terms: termsOf(hazard, place, nowMs, rules) }))
      for (const { terms } of countedTellings(tellings))
        for (const { probability, vulnerability, source } of terms)
          holds(probability >= 0 && probability <= 1 && vulnerability >= 0 && vulnerability <= 1, source)
    }
  },
}
