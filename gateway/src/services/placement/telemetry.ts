/** What other programs may know of placement (D6): servers and risks, what waits, what is stuck. Nothing of members. */

import type { Measure } from '@azukari/protocol/contracts/internal'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Sql } from '../../storage/database.ts'
import type { LiveRiskBoard } from './risk/live-board.ts'
import { type ServerRow, saves } from './store.ts'

/** Servers that are told of; a site has tens, not thousands. */
const maxServers = 1_000

export async function placementTelemetry(
  sql: Sql,
  risks: LiveRiskBoard,
  servers: readonly ServerRow[],
  stuck: number,
): Promise<readonly Measure[]> {
  const count = { unit: 'count' as const }
  const ofServers = await mapInOrder(servers.slice(0, maxServers), async ({ id, name }) => ({
    name: `server/${id}/risk`,
    key: `risk_${id}`,
    label: `Risk of ${name}`,
    // A probability is a ratio: 1 is certainty.
    unit: '/' as const,
    value: (await risks.of(id)).value,
  }))
  return [
    { name: 'waiting-saves', key: 'waiting_saves', label: 'Saves waiting', ...count, value: await saves.waiting(sql) },
    { name: 'hazards', key: 'hazards', label: 'Hazards', ...count, value: risks.hazards().length },
    { name: 'stuck', key: 'stuck', label: 'Placement', ...count, value: stuck, isFault: true },
    ...ofServers,
  ]
}
