/** Every server's risk with its terms, the hazards behind it and how their feeds are doing: for operators, pages, tools. */
import { mapInOrder } from '@azukari/protocol/in-order'
import type { FeedRow } from '../hazards/tables.ts'
import type { ServerRow } from '../store.ts'
import { explainTerm, riskBand } from './explain.ts'
import type { LiveRiskBoard } from './live-board.ts'
import { loss, type RiskTerm } from './risk.ts'

export interface RiskReport {
  atMs: number
  servers: {
    server: string
    name: string
    region: string
    latitude: number
    longitude: number
    risk: number
    band: number
    bandName: { en: string; ja: string }
    /** Since when it is so; undefined when it never changed. */
    sinceMs?: number
    terms: (RiskTerm & { loss: number; en: string; ja: string })[]
  }[]
  hazards: { id: string; feed: string; peril: string; title: string; fromMs: number; untilMs: number }[]
  feeds: {
    name: string
    /** Since the last good answer; null: never. */
    ageMs: number | null
    checkedMs: number
    hazards: number
    trust: number
    problem: string | null
    detail: string | null
  }[]
}

export async function riskReport(
  board: LiveRiskBoard,
  servers: readonly ServerRow[],
  feeds: readonly FeedRow[],
  nowMs: number,
): Promise<RiskReport> {
  return {
    atMs: nowMs,
    servers: await mapInOrder(servers, async ({ id, name, region, latitude, longitude }) => {
      const { value, terms } = await board.of(id)
      const { band, en, ja } = riskBand(value)
      const sinceMs = (await board.history(id, 1))[0]?.atMs
      return {
        server: id,
        name,
        region,
        latitude,
        longitude,
        risk: value,
        band,
        bandName: { en, ja },
        ...(sinceMs === undefined ? {} : { sinceMs }),
        terms: [...terms]
          .map((term) => ({ ...term, loss: loss(term), en: explainTerm(term, 'en'), ja: explainTerm(term, 'ja') }))
          .sort((a, b) => b.loss - a.loss),
      }
    }),
    hazards: board.hazards().map(({ feed, hazard: { id, peril, title, fromMs, untilMs } }) => ({
      id,
      feed,
      peril,
      title,
      fromMs,
      untilMs,
    })),
    feeds: feeds.map(({ name, good, checked, hazards, trust, problem, detail }) => ({
      name,
      ageMs: good === null ? null : Math.max(0, nowMs - good),
      checkedMs: checked,
      hazards,
      trust,
      problem,
      detail,
    })),
  }
}
