/** VXSE43–45 (early warning), VXSE51 (intensity), VXSE52 (hypocentre), VXSE53 (both), VXSE61 (corrected): one earthquake. */
import { Problem } from '@azukari/protocol/problem'
import type { Position } from '../../../geography.ts'
import type { Bulletin, Hazard } from './hazard.ts'
import type { JmaHead } from './jma-head.ts'
import { fromTokyo, time } from './parse.ts'
import type { ReadOptions } from './read-options.ts'
import { all, below, find, textOf, type XmlNode } from './xml.ts'

/** Instrumental intensity in the middle of each class of the scale. */
const classes: Record<string, number> = {
  1: 1,
  2: 2,
  3: 3,
  4: 4,
  '5-': 4.75,
  '5+': 5.25,
  '6-': 5.75,
  '6+': 6.25,
  7: 6.6,
}

export function quakeOf(head: JmaHead, body: XmlNode | undefined, { rules }: ReadOptions, bulletin: Bulletin) {
  const felt = feltOf(body, bulletin)
  // VXSE51 has the intensities alone: whatever else stands there does not take the place of what other telegrams said.
  const quake = head.title.startsWith('震度速報') ? undefined : find(body, 'Earthquake')
  const hypocentre = quake && hypocentreOf(quake)
  const magnitude = quake && magnitudeOf(quake)
  // It comes first: until the rest is known, where it shook is taken for an alert.
  if (!quake || !hypocentre || magnitude === undefined) {
    const strong = felt.filter(({ intensity }) => intensity >= 4.75)
    if (strong.length === 0) return undefined
    const most = Math.max(...strong.map(({ intensity }) => intensity))
    return {
      peril: 'earthquake',
      title: head.text || head.title,
      certainty: 1,
      issuedMs: head.issuedMs,
      fromMs: head.issuedMs,
      untilMs: head.issuedMs + 6 * 3_600_000,
      shape: {
        kind: 'area',
        severity: most >= 6.25 ? 'extreme' : most >= 5.75 ? 'severe' : 'moderate',
        regions: strong.map(({ region }) => region),
      },
    } satisfies Omit<Hazard, 'id'>
  }
  const fromMs = time(textOf(quake, 'OriginTime'), 'OriginTime')
  const where = textOf(quake, 'Hypocenter', 'Area', 'Name') ?? ''
  return {
    peril: 'earthquake',
    title: `${where} M${magnitude}`,
    certainty: 1,
    issuedMs: head.issuedMs,
    fromMs,
    untilMs: fromMs + rules.quake.watchDays * 86_400_000,
    shape: {
      kind: 'quake',
      at: hypocentre.at,
      depthKm: hypocentre.depthKm,
      magnitude,
      ...(felt.length > 0 ? { felt } : {}),
    },
  } satisfies Omit<Hazard, 'id'>
}

/** The magnitude; above 8 the agency may first say so in words only. Undefined: it says that it is not known. */
function magnitudeOf(quake: XmlNode): number | undefined {
  const node = find(quake, 'Magnitude')
  const value = Number(node?.text.trim() || Number.NaN)
  if (Number.isFinite(value)) return value
  const words = node?.attributes['description'] ?? ''
  if (words.includes('８を超える')) return 8.5
  if (/^[ＭM]不明$/.test(words)) return undefined
  throw new Problem('hazard.invalid', `magnitude ${words || 'missing'}`)
}

function hypocentreOf(quake: XmlNode): { at: Position; depthKm: number } | undefined {
  for (const node of all(find(quake, 'Hypocenter', 'Area'), 'Coordinate')) {
    const match = /^([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)(?:([+-]\d+(?:\.\d+)?))?\/$/.exec(node.text.trim())
    if (!match) continue
    const said = { latitude: Number(match[1]), longitude: Number(match[2]) }
    contradiction(said, node.attributes['description'] ?? '')
    const datum = node.attributes['datum']
    const at = datum === '日本測地系' && inJapan(said) ? fromTokyo(said) : said
    if (datum !== undefined && datum !== '日本測地系' && datum !== '世界測地系' && !/WGS|JGD/i.test(datum))
      throw new Problem('hazard.invalid', `datum ${datum.slice(0, 40)} is not known`)
    // Metres, downward negative; where the depth is not known, shallow, which is the worse.
    return { at, depthKm: match[3] === undefined ? 10 : Math.max(0, -Number(match[3]) / 1000) }
  }
  return undefined
}

/** The report says the position twice, in figures and in words: if they differ, neither is believed. */
function contradiction({ latitude, longitude }: Position, description: string): void {
  const plain = description.normalize('NFKC')
  const match = /(北緯|南緯)\s*([\d.]+)度\s*(東経|西経)\s*([\d.]+)度/.exec(plain)
  if (!match) return
  const y = Number(match[2]) * (match[1] === '南緯' ? -1 : 1)
  const x = Number(match[4]) * (match[3] === '西経' ? -1 : 1)
  if (Math.abs(y - latitude) > 0.3 || Math.abs(x - longitude) > 0.3)
    throw new Problem(
      'hazard.invalid',
      `the report says ${latitude}, ${longitude} and ${y}, ${x}${Math.abs(y - longitude) < 0.3 ? ': latitude and longitude are swapped' : ''}`,
    )
}

/** The linear datum formulas hold around Japan only. */
function inJapan({ latitude, longitude }: Position): boolean {
  return latitude > 20 && latitude < 50 && longitude > 120 && longitude < 155
}

function feltOf(body: XmlNode | undefined, bulletin: Bulletin): { region: string; intensity: number }[] {
  const felt: { region: string; intensity: number }[] = []
  for (const observation of below(body, 'Observation'))
    for (const pref of all(observation, 'Pref')) {
      const code = textOf(pref, 'Code')
      const most = textOf(pref, 'MaxInt')
      if (!code || !/^(0[1-9]|[1-3]\d|4[0-7])$/.test(code)) continue
      if (most === undefined) continue
      const intensity = classes[most]
      if (intensity === undefined)
        bulletin.problems.push(new Problem('hazard.invalid', `intensity ${most.slice(0, 20)}`))
      else felt.push({ region: `JP-${code}`, intensity })
    }
  return felt
}
