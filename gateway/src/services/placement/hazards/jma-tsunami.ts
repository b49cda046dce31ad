/**
 * VTSE41: tsunami warnings, advisories and forecasts per forecast area of the coast; each says all that is in force.
 * VTSE51: heights and arrivals for the same areas, which add to the warnings and lift none.
 */
import { Problem } from '@azukari/protocol/problem'
import { regions } from '../../../geography.ts'
import type { Bulletin, Coasts, Hazard } from './hazard.ts'
import type { JmaHead } from './jma-head.ts'
import { collect, time } from './parse.ts'
import type { ReadOptions } from './read-options.ts'
import { all, below, find, textOf, type XmlNode } from './xml.ts'

const prefectures = [...regions]
  .filter(([code]) => code.startsWith('JP-'))
  .map(([code, { nameJa }]) => [code, nameJa!] as const)
/** Forecast areas whose names do not begin with a prefecture. */
const otherCoasts: [name: string, ...codes: string[]][] = [
  ['東京湾内湾', 'JP-12', 'JP-13', 'JP-14'],
  ['伊豆諸島', 'JP-13'],
  ['小笠原諸島', 'JP-13'],
  ['相模湾', 'JP-14'],
  ['佐渡', 'JP-15'],
  ['伊勢・三河湾', 'JP-23', 'JP-24'],
  ['淡路島', 'JP-28'],
  ['隠岐', 'JP-32'],
  ['有明・八代海', 'JP-40', 'JP-41', 'JP-42', 'JP-43'],
  ['壱岐', 'JP-42'],
  ['種子島', 'JP-46'],
  ['奄美', 'JP-46'],
  ['沖縄', 'JP-47'],
  ['大東島', 'JP-47'],
  ['宮古島', 'JP-47'],
  ['陸奥湾', 'JP-02'],
  ['オホーツク海', 'JP-01'],
  ['東北地方太平洋', 'JP-02', 'JP-03', 'JP-04', 'JP-07'],
]
/** Heights for reports that say only how bad it is (`NaN`): the lower end of the class, and more for the worst. */
const inWords: [word: string, heightM: number][] = [
  ['巨大', 10],
  ['高い', 3],
]
/** Kinds by code: 52, 53 major warning; 51 warning; 62 advisory; 71–73 forecast without danger; 00, 50, 60 lifted. */
const byKind: Record<string, number> = { 52: 5, 53: 5, 51: 3, 62: 1 }
const calm = new Set(['00', '50', '60', '71', '72', '73'])

export function coastsOf(head: JmaHead, body: XmlNode | undefined, { rules }: ReadOptions, bulletin: Bulletin) {
  const coasts: Coasts['coasts'][number][] = []
  const [id] = head.ids
  let named = 0
  let unread = 0
  const refuse = (what: string) => {
    unread++
    bulletin.problems.push(new Problem('hazard.invalid', `${id}: ${what}`))
  }
  for (const forecast of below(find(body, 'Tsunami'), 'Forecast'))
    for (const item of all(forecast, 'Item')) {
      const name = textOf(item, 'Area', 'Name') ?? ''
      const kind = textOf(item, 'Category', 'Kind', 'Code') ?? ''
      named++
      if (calm.has(kind)) continue
      if (!(kind in byKind)) {
        refuse(`coast ${name.slice(0, 40)}: kind ${kind.slice(0, 20)} is not known`)
        continue
      }
      const codes = coastRegions(name)
      if (codes.length === 0) {
        refuse(`coast ${name.slice(0, 40)} is not known`)
        continue
      }
      const coast: Coasts['coasts'][number] = { name, regions: codes, heightM: heightOf(item) ?? byKind[kind]! }
      const arrival = textOf(item, 'FirstHeight', 'ArrivalTime')
      if (arrival)
        collect(bulletin.problems, () => {
          coast.arrivesMs = time(arrival, `${id} ArrivalTime`)
        })
      coasts.push(coast)
    }
  if (coasts.length === 0) {
    // A warning report that names coasts but no danger lifts what was warned of before, by whatever kind of report.
    if (head.telegram === 'VTSE41' && named > 0 && unread === 0)
      for (const lifted of head.ids) bulletin.cancelled.push({ id: lifted, atMs: head.issuedMs })
    return undefined
  }
  const last = Math.max(head.issuedMs, ...coasts.map(({ arrivesMs }) => arrivesMs ?? 0))
  return {
    peril: 'tsunami',
    title: head.title,
    certainty: 1,
    issuedMs: head.issuedMs,
    fromMs: head.issuedMs,
    untilMs: last + rules.tsunami.hours * 3_600_000,
    ...(head.telegram === 'VTSE41' && unread === 0 ? {} : { partial: true }),
    shape: { kind: 'coasts', coasts },
  } satisfies Omit<Hazard, 'id'>
}

function coastRegions(name: string): readonly string[] {
  const prefecture = prefectures.find(([, nameJa]) => name.startsWith(nameJa))
  if (prefecture) return [prefecture[0]]
  const [, ...codes] = otherCoasts.find(([start]) => name.startsWith(start)) ?? ['']
  return codes
}

function heightOf(item: XmlNode): number | undefined {
  const node = find(item, 'MaxHeight', 'TsunamiHeight')
  if (!node) return undefined
  const value = Number(node.text.trim() || Number.NaN)
  if (Number.isFinite(value)) return value
  const words = node.attributes['description'] ?? ''
  return inWords.find(([word]) => words.includes(word))?.[1]
}
