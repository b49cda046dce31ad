/** What placement shows to operators: moves, audits, erasures, risks and feeds (D6). */

import type { Measure } from '@azukari/protocol/contracts/internal'
import { gaugesOf } from '../../host/gauges.ts'
import type { ServiceHealth } from '../../host/service-module.ts'
import type { AuditStatus } from './audit/audit.ts'
import type { ErasureReport } from './erasure/report.ts'
import type { MoverStatus } from './moves/mover.ts'
import type { RiskReport } from './risk/report.ts'

export interface PlacementHealthSources {
  moves(): Promise<MoverStatus>
  /** Audits and verdicts. */
  audits(): Promise<AuditStatus>
  /** What members had erased. */
  erasures(): Promise<ErasureReport>
  risks(): Promise<RiskReport>
  /** Data servers, and since when each does not answer. */
  servers(): Promise<{ id: string; away: number | null }[]>
  /** For telemetry. */
  measures(): Promise<readonly Measure[]>
}

export function placementHealth({
  moves,
  audits,
  erasures,
  risks,
  servers,
  measures,
}: PlacementHealthSources): ServiceHealth {
  return {
    measures,
    facts: async () => {
      const now = await moves()
      const { suspects, overdue, verdicts } = await audits()
      const { feeds } = await risks()
      const away = (await servers()).filter((server) => server.away !== null)
      return {
        audits: { suspects, overdue, verdicts },
        moves: now,
        serversAway: away.map(({ id, away: sinceMs }) => ({ server: id, sinceMs })),
        ...(now.stuck > 0 && { warning: 'placement.no-server' }),
        // A sick feed is told and does not make the gateway unhealthy: what it said is held.
        feeds: feeds.map(({ name, ageMs, hazards, problem }) => ({
          name,
          ageMs,
          hazards,
          ...(problem ? { problem } : {}),
        })),
      }
    },
    pages: { '/risks': async () => ({ type: 'application/json', body: JSON.stringify(await risks()) }) },
    metrics: (registry) => {
      const { gauge, labelled, totals } = gaugesOf(registry)
      gauge('moves_queued', 'Moves of replicas that wait', async () => (await moves()).queued)
      gauge('moves_queued_bytes', 'Sealed bytes of the moves that wait', async () => (await moves()).queuedBytes)
      gauge('moves_running', 'Moves under way', async () => (await moves()).running)
      gauge(
        'moves_stuck_buckets',
        'Buckets at risk with nowhere to go (placement.no-server)',
        async () => (await moves()).stuck,
      )
      gauge('moves_paused', '1 while an operator has paused moves', async () => ((await moves()).paused ? 1 : 0))
      gauge('moves_decide_ms', 'How long the last decision over all buckets took', async () => (await moves()).decideMs)
      totals('moves', 'Re-placement since the start', 'what', async () => {
        const { moved, movedBytes, resealed, cancelled, retired, failures, decisions } = await moves()
        return { moved, movedBytes, resealed, cancelled, retired, failures, decisions }
      })
      gauge('audit_suspects', 'Replicas that are to be examined', async () => (await audits()).suspects)
      gauge(
        'audit_overdue',
        'Objects that were not opened and compared within their maximum age',
        async () => (await audits()).overdue,
      )
      totals('audits', 'Audits since the start', 'what', async () => {
        const { listed, leaves, scans, scannedBytes, opened, examined, bytes, extra, failures } = await audits()
        return { listed, leaves, scans, scannedBytes, opened, examined, bytes, extra, failures }
      })
      totals('verdicts', 'Verdicts on replicas and servers, ever', 'kind', async () => (await audits()).verdicts)
      gauge(
        'erasures_open',
        'Erased objects of which something is left somewhere (D8)',
        async () => (await erasures()).open,
      )
      gauge('accounts_closing', 'Accounts that are being closed', async () => (await erasures()).accountsClosing)
      labelled('data_server_up', '1 while the data server answers; asked every minute', 'server', async () =>
        (await servers()).map(({ id, away }) => [id, away === null ? 1 : 0]),
      )
      gauge('hazards', 'Hazards that count now', async () => (await risks()).hazards.length)
      labelled('risk', 'Probability per year that a data server is lost', 'server', async () =>
        (await risks()).servers.map(({ server, risk }) => [server, risk]),
      )
      labelled('feed_age_seconds', 'Since the last good answer of a hazard feed; -1 = never', 'feed', async () =>
        (await risks()).feeds.map(({ name, ageMs }) => [name, ageMs === null ? -1 : ageMs / 1000]),
      )
      labelled('feed_problem', '1 while something is wrong with a hazard feed', 'feed', async () =>
        (await risks()).feeds.map(({ name, problem }) => [name, problem ? 1 : 0]),
      )
    },
  }
}
