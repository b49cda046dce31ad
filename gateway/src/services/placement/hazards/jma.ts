/**
 * Reports of the Japan Meteorological Agency (disaster prevention XML): earthquakes (VXSE43–45, 51–53, 61, 62), tsunami
 * warnings (VTSE41, 51) and typhoon forecasts (VPTW40–65). Which one it is stands in the report's own title; other kinds
 * are passed over.
 */

import { Problem } from '@azukari/protocol/problem'
import { type Bulletin, checkHazard, emptyBulletin } from './hazard.ts'
import { quakeOf } from './jma-earthquake.ts'
import type { JmaHead } from './jma-head.ts'
import { kindOf } from './jma-kinds.ts'
import { coastsOf } from './jma-tsunami.ts'
import { typhoonOf } from './jma-typhoon.ts'
import { time } from './parse.ts'
import type { ReadOptions } from './read-options.ts'
import { find, readXml, textOf } from './xml.ts'

const maxEvents = 20

export function readJma(bytes: Uint8Array, options: ReadOptions): Bulletin {
  const report = readXml(bytes)
  if (report.name !== 'Report') throw new Problem('feed.malformed', 'no Report')
  const bulletin = emptyBulletin()
  // 訓練 (drill) and 試験 (test) are sent over the same line; they are no danger, and mistaking one for real would move data.
  const status = textOf(report, 'Control', 'Status')
  if (status !== '通常' && status !== '訓練' && status !== '試験')
    throw new Problem('feed.malformed', `status ${status ?? 'missing'}`)
  const title = textOf(report, 'Control', 'Title') ?? ''
  const kind = kindOf(title)
  if (status !== '通常' || !kind) {
    bulletin.passed++
    return bulletin
  }
  const events = (textOf(report, 'Head', 'EventID') ?? '').split(/\s+/)
  if (events.length > maxEvents || !events.every((event) => /^[A-Za-z0-9_-]{1,64}$/.test(event)))
    throw new Problem('hazard.invalid', 'EventID is missing')
  const { telegram, subject } = kind
  const head: JmaHead = {
    title: textOf(report, 'Head', 'Title') ?? title,
    ids: events.map((event) => `jma:${subject}:${event}`),
    telegram,
    issuedMs: time(textOf(report, 'Head', 'ReportDateTime'), 'ReportDateTime'),
    text: textOf(report, 'Head', 'Headline', 'Text') ?? '',
  }
  if (textOf(report, 'Head', 'InfoType') === '取消') {
    for (const id of head.ids) bulletin.cancelled.push({ id, atMs: head.issuedMs, telegram })
    return bulletin
  }
  const body = find(report, 'Body')
  const reader = { quake: quakeOf, tsunami: coastsOf, typhoon: typhoonOf }[subject]
  const hazard = reader(head, body, options, bulletin)
  if (hazard) for (const id of head.ids) bulletin.hazards.push(checkHazard({ ...hazard, id, telegram }, options.nowMs))
  else bulletin.passed++
  return bulletin
}
