/** What other programs may know of placement (D6): servers and risks, what waits, what is stuck. Nothing of members. */
import type { PlacementFacts } from '@azukari/protocol/contracts/hazard'
import type { Sql } from '../../storage/database.ts'
import { riskBand } from './explain.ts'
import type { LiveRiskBoard } from './live-risk-board.ts'
import { type ServerRow, saves } from './store.ts'

export function placementTelemetry(
  sql: Sql,
  risks: LiveRiskBoard,
  servers: readonly ServerRow[],
  stuck: number,
): PlacementFacts {
  return {
    waitingSaves: saves.waiting(sql),
    servers: servers.map(({ id, name }) => {
      const { value } = risks.of(id)
      return { id, name, risk: value, bandName: riskBand(value).en }
    }),
    stuck,
    hazards: risks.hazards().length,
  }
}
