/**
 * Common Alerting Protocol 1.2 (OASIS): what weather services and civil protection all over the world send. One document
 * may hold one alert or a wrapper with many; one alert repeats its information per language, area and time.
 */
import { createHash } from 'node:crypto'
import { Problem } from '@azukari/protocol/problem'
import { areaOf } from './cap-area.ts'
import { isTest, perilOf } from './cap-words.ts'
import { type Bulletin, checkHazard, emptyBulletin, type Hazard, limits } from './hazard.ts'
import { collect, time } from './parse.ts'
import type { ReadOptions } from './read-options.ts'
import { all, below, readXml, textOf, type XmlNode } from './xml.ts'

/** CAP's own words put into figures: “Likely” is more than 50 %, “Possible” at most 50 %. What is unknown is likely. */
const certainties: Record<string, number> = { Observed: 1, Likely: 0.7, Possible: 0.3, Unlikely: 0.05 }
/** How long an alert without a usable end counts. */
const openEndMs = 24 * 3_600_000
const maxReferences = 500
/** Responses that go together with an all-clear; any other one contradicts it. */
const calm = new Set(['AllClear', 'Monitor', 'Assess', 'None'])

/** What every part of a message shares. */
interface Message {
  id: string
  sentMs: number
  alert: XmlNode
}

export function readCap(bytes: Uint8Array, options: ReadOptions): Bulletin {
  const root = readXml(bytes)
  const alerts = root.name === 'alert' ? [root] : [...below(root, 'alert')]
  if (alerts.length === 0) throw new Problem('feed.malformed', 'no alert')
  const bulletin = emptyBulletin()
  for (const alert of alerts) collect(bulletin.problems, () => readAlert(alert, options, bulletin))
  return bulletin
}

function readAlert(alert: XmlNode, { nowMs }: ReadOptions, bulletin: Bulletin): void {
  const id = idOf(textOf(alert, 'sender'), textOf(alert, 'identifier'))
  const sentMs = time(textOf(alert, 'sent'), `${id} sent`)
  const status = textOf(alert, 'status')
  if (status !== 'Actual') {
    if (!['Exercise', 'System', 'Test', 'Draft'].includes(status ?? ''))
      throw new Problem('hazard.invalid', `${id}: status ${status ?? 'missing'}`)
    return void bulletin.passed++
  }
  const type = textOf(alert, 'msgType')
  if (type === 'Ack' || type === 'Error') return void bulletin.passed++
  if (type !== 'Alert' && type !== 'Update' && type !== 'Cancel')
    throw new Problem('hazard.invalid', `${id}: msgType ${type ?? 'missing'}`)
  if (sentMs > nowMs + limits.clockSkewMs)
    throw new Problem('hazard.invalid', `${id}: it was sent in the future, ${new Date(sentMs).toISOString()}`)
  const infos = all(alert, 'info')
  // A test is no word on any warning, whatever it refers to.
  if (infos.length > 0 && infos.every(isTest)) return void bulletin.passed++
  const predecessors = type === 'Alert' ? [] : referencesOf(alert, id)
  if (type === 'Cancel') {
    if (predecessors.length === 0) throw new Problem('hazard.invalid', `${id}: a cancel that names nothing`)
    for (const one of predecessors) bulletin.cancelled.push({ id: one, atMs: sentMs })
    return
  }
  const problems: Problem[] = []
  const before = bulletin.hazards.length
  readInfos({ id, sentMs, alert }, infos, nowMs, bulletin, problems)
  bulletin.problems.push(...problems)
  if (predecessors.length === 0) return
  if (problems.length === 0) for (const one of predecessors) bulletin.cancelled.push({ id: one, atMs: sentMs })
  else {
    // What of it could be used counts; what it replaces may have said more, and is held.
    const last = Math.max(...infos.map((info) => endOf(info, sentMs)), sentMs)
    const mine = bulletin.hazards.slice(before).map(({ untilMs }) => untilMs)
    bulletin.held.push({
      id,
      predecessors,
      atMs: sentMs,
      untilMs: Math.min(Math.max(last, ...mine), nowMs + limits.forecastMs),
    })
  }
}

function readInfos(
  { id, sentMs, alert }: Message,
  infos: readonly XmlNode[],
  nowMs: number,
  bulletin: Bulletin,
  problems: Problem[],
): void {
  if (infos.length === 0) problems.push(new Problem('hazard.invalid', `${id}: it says nothing`))
  const told: { said: string; languages: Set<string>; hazard: Hazard }[] = []
  let number = 0
  for (const info of infos) {
    number++
    const part = infos.length > 1 ? `${id}#${number}` : id
    collect(problems, () => {
      if (isTest(info) || isOver(info)) return void bulletin.passed++
      const event = textOf(info, 'event') ?? ''
      const from = textOf(info, 'onset') ?? textOf(info, 'effective') ?? textOf(alert, 'sent')
      const fromMs = time(from, `${id} onset`)
      const { peril, known } = perilOf(
        event,
        all(info, 'category').map(({ text }) => text.trim()),
      )
      const hazard = checkHazard(
        {
          id: part,
          event: `${id} ${peril}`,
          peril,
          title: textOf(info, 'headline') ?? event,
          certainty: certainties[textOf(info, 'certainty') ?? ''] ?? 0.5,
          issuedMs: sentMs,
          fromMs,
          untilMs: untilOf(info, fromMs, id),
          shape: areaOf(info, id, problems),
        },
        nowMs,
      )
      // The same once more in another language: whichever names the peril in words that are known.
      const { certainty, untilMs, shape } = hazard
      const said = JSON.stringify([certainty, fromMs, untilMs, shape, codesOf(info)])
      const language = textOf(info, 'language') ?? ''
      const same = told.find((one) => one.said === said && !one.languages.has(language))
      if (!same) return void told.push({ said, languages: new Set([language]), hazard })
      same.languages.add(language)
      if (known) same.hazard = { ...hazard, id: same.hazard.id }
    })
  }
  for (const { hazard } of told) bulletin.hazards.push(hazard)
}

/** When an information ends. Some agencies let a message expire before what it tells of begins: then its own end counts. */
function untilOf(info: XmlNode, fromMs: number, id: string): number {
  const said = textOf(info, 'expires')
  const expiresMs = said === undefined ? undefined : time(said, `${id} expires`)
  const endMs = Math.max(eventEndOf(info) ?? 0, expiresMs ?? 0)
  return endMs > fromMs ? endMs : fromMs + openEndMs
}

/** The latest end that an information names, as far as it can be read. */
function endOf(info: XmlNode, sentMs: number): number {
  const expires = Date.parse(textOf(info, 'expires') ?? '')
  return Math.max(Number.isFinite(expires) ? expires : sentMs, eventEndOf(info) ?? sentMs)
}

function eventEndOf(info: XmlNode): number | undefined {
  const parameter = all(info, 'parameter').find((one) => textOf(one, 'valueName') === 'eventEndingTime')
  const ms = Date.parse(textOf(parameter, 'value') ?? '')
  return Number.isFinite(ms) ? ms : undefined
}

function isOver(info: XmlNode): boolean {
  const responses = all(info, 'responseType').map(({ text }) => text.trim())
  const clear = responses.includes('AllClear') && responses.every((one) => calm.has(one))
  return clear || textOf(info, 'urgency') === 'Past'
}

function codesOf(info: XmlNode): string {
  return all(info, 'eventCode')
    .map((code) => `${textOf(code, 'valueName')}=${textOf(code, 'value')}`)
    .join()
}

/** Messages that an update or a cancel names: `sender,identifier,sent`, separated by blanks. */
function referencesOf(alert: XmlNode, id: string): string[] {
  const references = (textOf(alert, 'references') ?? '').split(/\s+/).filter(Boolean)
  if (references.length > maxReferences) throw new Problem('hazard.invalid', `${id}: ${references.length} references`)
  return references.map((reference) => {
    const [sender, identifier] = reference.split(',')
    return idOf(sender, identifier)
  })
}

/**
 * Sender and identifier together are unique; both are free text of any length. What is not plain is written as
 * hexadecimal, and what is long is cut and told apart by its hash.
 */
function idOf(sender: string | undefined, identifier: string | undefined): string {
  const whole = `${sender ?? ''},${identifier ?? ''}`
  const plain = whole.replace(/[^\x21-\x7e]|[#%]/gu, (letter) => `%${letter.codePointAt(0)!.toString(16)}`)
  if (plain.length <= 96) return `cap:${plain}`
  return `cap:${plain.slice(0, 60)}~${createHash('sha256').update(whole).digest('hex').slice(0, 32)}`
}
