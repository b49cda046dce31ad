/** What other programs may know of placement (D6): servers and risks, what waits, what is stuck. Nothing of members. */

import type { PlacementFacts } from '@azukari/protocol/contracts/hazard'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Sql } from '../../storage/database.ts'
import { riskBand } from './risk/explain.ts'
import type { LiveRiskBoard } from './risk/live-board.ts'
import { type ServerRow, saves } from './store.ts'

export async function placementTelemetry(
  sql: Sql,
  risks: LiveRiskBoard,
  servers: readonly ServerRow[],
  stuck: number,
): Promise<PlacementFacts> {
  return {
    waitingSaves: await saves.waiting(sql),
    servers: await mapInOrder(servers, async ({ id, name }) => {
      const { value } = await risks.of(id)
      return { id, name, risk: value, bandName: riskBand(value).en }
    }),
    stuck,
    hazards: risks.hazards().length,
  }
}
