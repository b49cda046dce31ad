/** What risks are for people: a band, and every term in words and figures, in Japanese and English (S9). */
import type { Peril, Risk, RiskTerm } from './risk.ts'
import { loss } from './risk.ts'

export type Language = 'ja' | 'en'

/** Bands as people see them; upper ends per year. Choosing compares risks with each other, not with these. */
const riskBands: readonly { band: number; below: number; en: string; ja: string }[] = [
  { band: 1, below: 0.002, en: 'calm', ja: '平穏' },
  { band: 2, below: 0.01, en: 'usual', ja: '通常' },
  { band: 3, below: 0.05, en: 'raised', ja: '注意' },
  { band: 4, below: 0.2, en: 'high', ja: '警戒' },
  { band: 5, below: Number.POSITIVE_INFINITY, en: 'danger', ja: '危険' },
]

export function riskBand(value: number): (typeof riskBands)[number] {
  // Not a number counts as the worst.
  return riskBands.find(({ below }) => value < below) ?? riskBands.at(-1)!
}

const perils: Record<Peril, { en: string; ja: string }> = {
  earthquake: { en: 'earthquake', ja: '地震' },
  tsunami: { en: 'tsunami', ja: '津波' },
  flood: { en: 'flood', ja: '洪水' },
  storm: { en: 'storm', ja: '暴風' },
  volcano: { en: 'volcano', ja: '火山' },
  fire: { en: 'fire', ja: '火災' },
  outage: { en: 'outage', ja: '障害' },
}

/** A probability with two digits that mean something. */
export function percent(value: number): string {
  const hundredfold = value * 100
  if (hundredfold === 0) return '0 %'
  if (hundredfold < 0.001) return '< 0.001 %'
  return `${Number(hundredfold.toPrecision(2))} %`
}

function when(ms: number, lang: Language): string {
  const text = new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
  return lang === 'ja' ? `${text}（協定世界時）` : `${text} UTC`
}

/** One term in words: what, how likely, how bad, from where, when. */
export function explainTerm(term: RiskTerm, lang: Language): string {
  const { peril, probability, vulnerability, source, facts = {}, arrivesMs, untilMs } = term
  const ja = lang === 'ja'
  const name = perils[peril][lang]
  const f = (key: string) => facts[key]
  const sum = `${percent(probability)} × ${percent(vulnerability)} = ${percent(loss(term))}`
  const times = [
    arrivesMs === undefined ? '' : ja ? `到達 ${when(arrivesMs, lang)}` : `arrives ${when(arrivesMs, lang)}`,
    untilMs === undefined ? '' : ja ? `${when(untilMs, lang)}まで` : `until ${when(untilMs, lang)}`,
  ].filter(Boolean)
  const tail = times.length > 0 ? (ja ? `（${times.join('、')}）` : ` (${times.join(', ')})`) : ''
  switch (f('term')) {
    case 'shock':
      return ja
        ? `${name}「${f('title')}」M${f('magnitude')}、深さ${f('depthKm')} km、${f('distanceKm')} km先、震度${f('intensity')}：${sum}${tail}`
        : `${name} “${f('title')}”, magnitude ${f('magnitude')}, ${f('depthKm')} km deep, ${f('distanceKm')} km away, JMA intensity ${f('intensity')}: ${sum}${tail}`
    case 'aftershocks':
      return ja
        ? `「${f('title')}」の余震（今後${f('horizonDays')}日間）：${sum}${tail}`
        : `aftershocks of “${f('title')}” in the next ${f('horizonDays')} days: ${sum}${tail}`
    case 'cyclone':
      return ja
        ? `「${f('title')}」最大風速${f('windMs')} m/s、最接近時 ${f('distanceKm')} km：${sum}${tail}`
        : `“${f('title')}”, winds up to ${f('windMs')} m/s, nearest ${f('distanceKm')} km: ${sum}${tail}`
    case 'tsunami':
      return ja
        ? `${f('title')}（${f('coast')}、高さ${f('heightM')} m）：${sum}${tail}`
        : `${f('title')}, ${f('coast')}, ${f('heightM')} m: ${sum}${tail}`
    case 'area':
      return ja
        ? `${name}の警報「${f('title')}」${f('outsideKm') ? `（区域の外${f('outsideKm')} km）` : ''}：${sum}${tail}`
        : `${name} alert “${f('title')}”${f('outsideKm') ? `, ${f('outsideKm')} km outside` : ''}: ${sum}${tail}`
    case 'insured':
      return ja
        ? `地震保険の基準料率（${f('region')}）：年 ${percent(loss(term))}`
        : `${source}, ${f('region')}: ${percent(loss(term))} a year`
    case 'exceedance':
      return ja ? `${f('title')}の地震動超過確率：年 ${sum}` : `seismic exceedance, ${f('title')}: ${sum} a year`
    default:
      return ja ? `${name}：年 ${sum}（${source}）` : `${name}: ${sum} a year (${source})`
  }
}

/** A risk in words, greatest term first. */
export function explainRisk(risk: Risk, lang: Language): { band: string; value: string; lines: string[] } {
  const lines = [...risk.terms].sort((a, b) => loss(b) - loss(a)).map((term) => explainTerm(term, lang))
  return { band: riskBand(risk.value)[lang], value: percent(risk.value), lines }
}
