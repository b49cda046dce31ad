/**
 * What boards tell of works that they met in normal use (R4): the same judgement as an enquiry's, each once for a work, place, day and
 * board, so many a day; and whether a member lets them.
 */
import { hex } from '@azukari/protocol/bytes'
import { sightingConsent, tellSightings } from '@azukari/protocol/contracts/rights-boards'
import { act, type Handler, memberCall, type ServiceStore } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import type { RightsSettings } from '../settings.ts'
import { findWork } from '../works/store.ts'
import { noLocation } from './place.ts'
import { takeSighting } from './take.ts'

const dayMs = 86_400_000
/** Days for which a board may tell: one that had no line tells late, and a clock may run a little fast. */
const daysBack = 60

/** @param wake has the cases looked at */
export function boardHandlers(store: ServiceStore, settings: RightsSettings, wake: () => void): Handler[] {
  return [
    act(tellSightings, async ({ sightings }, { sql, nowMs, caller, afterCommit }) => {
      let taken = 0
      let left = (settings.sightingsPerBoardDay ?? 500) - (await toldBy(sql, caller.device, nowMs - dayMs))
      for (const { work, content, day } of sightings) {
        const seenMs = Date.parse(`${day}T00:00:00Z`)
        // A work of another site, or none at all: whoever made up an id learns nothing here.
        if (left <= 0 || !isOfLate(seenMs, nowMs) || !(await findWork(sql, work))) continue
        const location = content ? `content:${hex(content)}` : noLocation
        const row = { work, location, day, device: caller.device, region: caller.region, at_ms: nowMs }
        if ((await insertRow(sql, 'board_sightings', row, 'ON CONFLICT DO NOTHING')) === 0) continue
        // The day alone is known: its beginning is what expiry and stops are judged by.
        await takeSighting({ sql, nowMs }, { work, location, seenMs, reporter: caller.device }, settings)
        taken++
        left--
      }
      if (taken > 0) afterCommit(wake)
      return { taken }
    }),

    memberCall(sightingConsent, async ({ allows }, { member }) => {
      if (allows === undefined) return { allows: await mayTell(store.sql, member.id) }
      await store.transaction(({ sql }) =>
        allows
          ? sql.run('INSERT INTO sighting_consents (member) VALUES (?) ON CONFLICT DO NOTHING', member.id)
          : sql.run('DELETE FROM sighting_consents WHERE member = ?', member.id),
      )
      return { allows }
    }),
  ]
}

function isOfLate(seenMs: number, nowMs: number): boolean {
  return seenMs <= nowMs + dayMs / 2 && seenMs >= nowMs - daysBack * dayMs
}

async function toldBy(sql: Sql, device: string, sinceMs: number): Promise<number> {
  const row = await sql.get<{ n: number }>(
    'SELECT count(*) AS n FROM board_sightings WHERE device = ? AND at_ms > ?',
    device,
    sinceMs,
  )
  return row!.n
}

async function mayTell(sql: Sql, member: Uint8Array): Promise<boolean> {
  return (await sql.get('SELECT 1 AS there FROM sighting_consents WHERE member = ?', member)) !== undefined
}
