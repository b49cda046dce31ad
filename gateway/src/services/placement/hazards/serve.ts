/** What placement in a process of its own answers about hazards: documents pushed, risks asked for. */
import { pushHazards, readRisks } from '@azukari/protocol/contracts/hazard'
import { Problem } from '@azukari/protocol/problem'
import { answers, type CallHandler, gatewayName } from '../../../transport/server.ts'
import type { RiskReport } from '../risk/report.ts'
import { type Format, formats } from './read.ts'
import type { FeedWatch } from './watch.ts'

export function hazardHandlers(placement: {
  hazards: FeedWatch
  riskReport: () => Promise<RiskReport>
}): CallHandler[] {
  const callers = [gatewayName]
  return [
    answers(pushHazards, callers, async ({ feed, format, document }) => {
      if (format !== undefined && !(format in formats)) throw new Problem('feed.malformed', `format ${format}`)
      const taken = await placement.hazards.push(document, {
        ...(feed === undefined ? {} : { feed }),
        ...(format === undefined ? {} : { format: format as Format }),
      })
      const problems = taken.problems
        .slice(0, 100)
        .map(({ code, detail }) => ({ code, ...(detail === undefined ? {} : { detail: detail.slice(0, 2000) }) }))
      const { added, changed, cancelled, ignored } = taken
      return { reply: { added, changed, cancelled, ignored, problems } }
    }),
    answers(readRisks, callers, async ({ server }) => {
      const { atMs, servers } = await placement.riskReport()
      return {
        reply: {
          atMs,
          servers: servers
            .filter((one) => server === undefined || one.server === server)
            .map(({ server, risk, band, sinceMs, terms }) => ({
              server,
              risk,
              band,
              ...(sinceMs === undefined ? {} : { sinceMs }),
              terms: terms.map(({ peril, probability, vulnerability, source, hazard, arrivesMs, untilMs, en, ja }) => ({
                peril,
                probability,
                vulnerability,
                source: source.slice(0, 400),
                ...(hazard === undefined ? {} : { hazard }),
                ...(arrivesMs === undefined ? {} : { arrivesMs }),
                ...(untilMs === undefined ? {} : { untilMs }),
                en: en.slice(0, 1000),
                ja: ja.slice(0, 1000),
              })),
            })),
        },
      }
    }),
  ]
}
