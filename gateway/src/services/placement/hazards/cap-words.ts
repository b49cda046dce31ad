/** What the words and codes of a CAP alert say: which peril, and whether it is only a test. */
import type { Peril } from '../risk/risk.ts'
import { all, textOf, type XmlNode } from './xml.ts'

/** Whole words: a train is no rain. Japanese has no blanks between words. */
const words: [pattern: RegExp, peril: Peril][] = [
  [/\btsunamis?\b|津波/i, 'tsunami'],
  [/\b(earth)?quakes?\b|\bseismic\b|地震/i, 'earthquake'],
  [
    /\b(flash ?)?flood(s|ing|ed)?\b|\brain(s|y|fall|falls|storms?)?\b|\binundations?\b|\b(land|mud|rock)slides?\b|洪水|大雨|浸水|土砂/i,
    'flood',
  ],
  [/\bvolcan(o|oes|os|ic)\b|\beruptions?\b|\bash ?falls?\b|噴火|火山/i, 'volcano'],
  [
    /\bhurricanes?\b|\btyphoons?\b|\bcyclones?\b|\b(thunder|snow|wind|ice|hail|sand|dust)?storms?\b|\bwinds?\b|\bwindy\b|\bgales?\b|\bsqualls?\b|\bblizzards?\b|\btornado(e?s)?\b|台風|暴風|竜巻/i,
    'storm',
  ],
  [/\b(wild|bush)?fires?\b|火災/i, 'fire'],
]
const byCategory: Record<string, Peril> = { Geo: 'earthquake', Met: 'storm', Fire: 'fire' }

/** Event codes (SAME) of what is only a test or a demonstration, and their names where no code is given. */
const testCodes = new Set(['RMT', 'RWT', 'DMO', 'NPT'])
const testNames = /^(required (monthly|weekly) test|national periodic test|practice\/demo( warning)?)$/i

/** `known`: the event's own words name the peril, not only its category. */
export function perilOf(event: string, categories: readonly string[]): { peril: Peril; known: boolean } {
  const peril = words.find(([pattern]) => pattern.test(event))?.[1]
  if (peril) return { peril, known: true }
  const category = categories.find((name) => name in byCategory)
  return { peril: byCategory[category ?? ''] ?? 'outage', known: false }
}

export function isTest(info: XmlNode): boolean {
  if (testNames.test(textOf(info, 'event') ?? '')) return true
  return all(info, 'eventCode').some((code) => testCodes.has(textOf(code, 'value') ?? ''))
}
