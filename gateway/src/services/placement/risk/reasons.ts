/** Why data lies where it lies, in words for its member (S5, S9). */
import { regions } from '../../../geography.ts'
import type { Peril } from './risk.ts'

export type Language = 'ja' | 'en'

/** What is kept with each replica (`ReplicaRow.reason`, JSON). */
export interface ReplicaReason {
  cause?: string
  band?: number
  /** Per year. */
  risk?: number
  jointLoss?: number
  apartKm?: number
  from?: { server: string; risk?: number; peril?: string; hazard?: string; arrivesMs?: number }
  atMs?: number
}

const causes: Record<string, Record<Language, (from: string) => string>> = {
  new: {
    en: () => 'This place was chosen when the object was saved.',
    ja: () => '保存したときに、この場所を選びました。',
  },
  risk: {
    en: (from) => `It was moved away from ${from}, where the risk had risen.`,
    ja: (from) => `${from}の危険が高まったため、こちらへ移しました。`,
  },
  level: {
    en: (from) => `It was moved from ${from} because your level has changed.`,
    ja: (from) => `会員レベルが変わったため、${from}から移しました。`,
  },
  home: {
    en: (from) => `It was moved from ${from}: the second copy has to lie outside your home region.`,
    ja: (from) => `二つ目の控えはお住まいの地域の外に置くため、${from}から移しました。`,
  },
  capacity: {
    en: (from) => `It was moved from ${from}, which has no room any more.`,
    ja: (from) => `${from}の空きがなくなったため、移しました。`,
  },
  rank: {
    en: (from) => `It was moved from ${from}, whose room is kept for members of a higher level.`,
    ja: (from) => `${from}は上のレベルの会員のために空けることになったため、移しました。`,
  },
  draining: {
    en: (from) => `It was moved from ${from}, which is being taken out of use.`,
    ja: (from) => `${from}の使用を終えるため、移しました。`,
  },
  lost: {
    en: (from) => `It was made anew from the other copy: ${from} was lost.`,
    ja: (from) => `${from}が失われたため、もう一つの控えから作り直しました。`,
  },
  damaged: {
    en: (from) => `It was made anew from the other copy: the one at ${from} was damaged.`,
    ja: (from) => `${from}の控えが壊れたため、もう一つの控えから作り直しました。`,
  },
  tampering: {
    en: (from) => `It was made anew from the other copy: the one at ${from} had been changed.`,
    ja: (from) => `${from}の控えが書き換えられていたため、もう一つの控えから作り直しました。`,
  },
  unexplained: {
    en: (from) =>
      `It was made anew from the other copy: the one at ${from} was not as it should be, and why is not known.`,
    ja: (from) => `${from}の控えに原因不明の異常があったため、もう一つの控えから作り直しました。`,
  },
  rollback: {
    en: (from) => `It was made anew from the other copy: ${from} held an older state.`,
    ja: (from) => `${from}の控えが古い状態に戻っていたため、もう一つの控えから作り直しました。`,
  },
  contained: {
    en: (from) => `It was made anew from the other copy: ${from} was shut off to be examined.`,
    ja: (from) => `${from}を点検のため切り離したため、もう一つの控えから作り直しました。`,
  },
}

const perils: Record<Peril, Record<Language, string>> = {
  earthquake: { en: 'earthquake', ja: '地震' },
  tsunami: { en: 'tsunami', ja: '津波' },
  flood: { en: 'flood', ja: '洪水' },
  storm: { en: 'storm', ja: '暴風' },
  volcano: { en: 'volcano', ja: '噴火' },
  fire: { en: 'fire', ja: '火災' },
  outage: { en: 'outage', ja: '停電' },
}

/**
 * The reason of one replica in words. A text that is no reason gives the plain fact.
 * @param regionOf the region of a server that is named; its id stands for it otherwise
 */
export function reasonText(json: string, language: Language, regionOf: (server: string) => string | undefined): string {
  const reason = parse(json)
  const place = (server: string) => {
    const code = regionOf(server)
    const fact = code === undefined ? undefined : regions.get(code)
    return (language === 'ja' ? (fact?.nameJa ?? fact?.name) : fact?.name) ?? server
  }
  const words = causes[reason.cause ?? 'new'] ?? causes['new']!
  const parts = [words[language](place(reason.from?.server ?? ''))]
  const peril = perils[reason.from?.peril as Peril]
  if (peril) parts.push(language === 'ja' ? `原因：${peril.ja}。` : `Cause: ${peril.en}.`)
  if (reason.risk !== undefined) parts.push(perYear(reason.risk, language))
  if (reason.jointLoss !== undefined && reason.apartKm !== undefined)
    parts.push(
      language === 'ja'
        ? `二つの控えは${Math.round(reason.apartKm)} km離れていて、両方が一年のうちに失われる見込みは${share(reason.jointLoss)}です。`
        : `Both copies lie ${Math.round(reason.apartKm)} km apart; the chance that both are lost within a year is ${share(reason.jointLoss)}.`,
    )
  return parts.join(language === 'ja' ? '' : ' ')
}

function perYear(risk: number, language: Language): string {
  return language === 'ja'
    ? `ここが一年のうちに失われる見込みは${share(risk)}です。`
    : `The chance that this place is lost within a year is ${share(risk)}.`
}

/** As one in so many: small chances are read more easily so. */
function share(value: number): string {
  return value <= 0 ? '0' : `1/${Math.max(1, Math.round(1 / value)).toLocaleString('en')}`
}

function parse(json: string): ReplicaReason {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
