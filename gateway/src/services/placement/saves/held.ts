/**
 * Saves that wait for their member's card (S3, S12): somebody played a data server while one was written and the card did not
 * prove itself again, or the offer shows another level than the register. What was taken stays in the receive buffer, and
 * nothing is sent anywhere until the card has proved itself, at any device.
 */
import type { Sql } from '../../../storage/database.ts'
import type { Migration } from '../../../storage/migrate.ts'
import { type HeldBecause, type MemberRow, members, type SaveRow, saves } from '../store.ts'

export const heldMigration: Migration = {
  number: 10,
  name: 'saves that wait for their member’s card, and devices that ask from elsewhere',
  up: `
ALTER TABLE saves ADD COLUMN held TEXT;
CREATE INDEX saves_held ON saves (member) WHERE held IS NOT NULL;
CREATE TABLE asking (device TEXT PRIMARY KEY, region TEXT NOT NULL) STRICT;
`,
}

/** A card may show a level that was changed since it was last written, or any that a session may have written (S3). */
export async function mayShowLevel(sql: Sql, member: MemberRow, shown: number): Promise<boolean> {
  return shown === member.level || shown === member.card_level || (await members.shows(sql, member.id, shown))
}

export async function hold(sql: Sql, row: SaveRow, because: HeldBecause): Promise<void> {
  await saves.set(sql, row, { held: because, problem: because })
}

/** The member's card has proved itself. @returns whether something waited for it */
export async function release(sql: Sql, member: Uint8Array): Promise<boolean> {
  const { changes } = await sql.run(
    'UPDATE saves SET held = NULL, problem = NULL, tries = 0 WHERE member = ? AND held IS NOT NULL',
    member,
  )
  return changes > 0
}

/** Read before the transaction, since most members have nothing that waits. */
export async function isHeld(sql: Sql, member: Uint8Array): Promise<boolean> {
  return (await sql.get('SELECT 1 FROM saves WHERE member = ? AND held IS NOT NULL LIMIT 1', member)) !== undefined
}
