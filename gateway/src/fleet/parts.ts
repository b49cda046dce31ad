/** How the parts of each device are, as it last said (D6): kept when something changes, so that an operator sees it at any time. */
import type { RequestOf } from '@azukari/protocol/contract'
import type { reportState } from '@azukari/protocol/contracts/fleet'
import type { GatewayTables } from '../registry/tables.ts'
import type { Sql } from '../storage/database.ts'
import { putRow } from '../storage/insert.ts'
import { queries } from '../storage/query.ts'

export type ReportedParts = RequestOf<typeof reportState>['parts']

const query = queries<GatewayTables>()
const all = query<Record<never, never>>()((db) => db.selectFrom('device_parts').selectAll())

/** Whether two reports say the same; since when is left out, for it is reckoned anew by each start of a device. */
export function sameParts(one: ReportedParts, other: ReportedParts): boolean {
  const said = (parts: ReportedParts) => JSON.stringify(parts.map(({ part, state, detail }) => [part, state, detail]))
  return said(one) === said(other)
}

export async function keepParts(sql: Sql, device: string, parts: ReportedParts, nowMs: number): Promise<void> {
  await putRow(sql, 'device_parts', ['device'], { device, parts: JSON.stringify(parts), at_ms: nowMs })
}

/** By device; `atMs` is when something last changed. */
export async function partsOfDevices(sql: Sql): Promise<Map<string, { atMs: number; parts: ReportedParts }>> {
  return new Map(
    (await all.all(sql, {})).map(({ device, parts, at_ms }) => [device, { atMs: at_ms, parts: JSON.parse(parts) }]),
  )
}

/** For people: what is wrong, each with its cause and since when; that all is well when it is. */
export function partsForPeople(parts: ReportedParts | undefined): string {
  if (!parts) return 'no report yet'
  const wrong = parts.filter(({ state }) => state !== 'present' && state !== 'unknown' && state !== 'attached')
  if (wrong.length === 0) return 'parts ok'
  return wrong
    .map(({ part, state, detail, sinceMs }) => {
      const since = sinceMs === undefined ? '' : ` since ${new Date(sinceMs).toISOString().slice(0, 16)}Z`
      return `${part} ${state}${since}${detail ? ` (${detail})` : ''}`
    })
    .join(', ')
}
