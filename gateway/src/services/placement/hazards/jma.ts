/**
 * Reports of the Japan Meteorological Agency (disaster prevention XML): earthquakes (VXSE51–53), tsunami warnings
 * (VTSE41) and typhoon forecasts (VPTW60–65). Which one it is stands in the report's own title.
 */
import { Problem } from '@azukari/protocol/problem'
import { type Bulletin, checkHazard, emptyBulletin } from './hazard.ts'
import { quakeOf } from './jma-earthquake.ts'
import { coastsOf } from './jma-tsunami.ts'
import { typhoonOf } from './jma-typhoon.ts'
import { time } from './parse.ts'
import type { ReadOptions } from './read.ts'
import { find, readXml, textOf, type XmlNode } from './xml.ts'

/** What every report has at its head. */
export interface JmaHead {
  title: string
  event: string
  issuedMs: number
  text: string
}

export function readJma(bytes: Uint8Array, options: ReadOptions): Bulletin {
  const report = readXml(bytes)
  if (report.name !== 'Report') throw new Problem('feed.malformed', 'no Report')
  const bulletin = emptyBulletin()
  // 訓練 (drill) and 試験 (test) are sent over the same line; they are no danger, and mistaking one for real would move data.
  const status = textOf(report, 'Control', 'Status')
  if (status !== '通常') {
    if (status !== '訓練' && status !== '試験') throw new Problem('feed.malformed', `status ${status ?? 'missing'}`)
    bulletin.passed++
    return bulletin
  }
  const title = textOf(report, 'Control', 'Title') ?? ''
  const head: JmaHead = {
    title: textOf(report, 'Head', 'Title') ?? title,
    event: textOf(report, 'Head', 'EventID') ?? '',
    issuedMs: time(textOf(report, 'Head', 'ReportDateTime'), 'ReportDateTime'),
    text: textOf(report, 'Head', 'Headline', 'Text') ?? '',
  }
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(head.event)) throw new Problem('hazard.invalid', 'EventID is missing')
  const kind = kindOf(title, report)
  if (textOf(report, 'Head', 'InfoType') === '取消') {
    bulletin.cancelled.push({ id: `jma:${kind}:${head.event}`, atMs: head.issuedMs })
    return bulletin
  }
  const body = find(report, 'Body')
  const reader = { quake: quakeOf, tsunami: coastsOf, typhoon: typhoonOf }[kind]
  const hazard = reader(head, body, options, bulletin)
  if (hazard) bulletin.hazards.push(checkHazard({ ...hazard, id: `jma:${kind}:${head.event}` }, options.nowMs))
  else bulletin.passed++
  return bulletin
}

function kindOf(title: string, report: XmlNode): 'quake' | 'tsunami' | 'typhoon' {
  if (title.includes('津波')) return 'tsunami'
  if (title.includes('台風')) return 'typhoon'
  if (title.includes('震') || find(report, 'Body', 'Earthquake')) return 'quake'
  throw new Problem('feed.malformed', `reports of the kind ${title.slice(0, 40)} are not known`)
}
