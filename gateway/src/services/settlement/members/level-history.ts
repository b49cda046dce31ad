/** Which level a card had when (S13): missed months are billed at the levels of their time. Heard of from placement. */
import type { Sql } from '../../../storage/database.ts'

/** Notes the level that a card has from now on; the one that it had stays on record. */
export async function noteLevel(sql: Sql, card: Uint8Array, level: number, nowMs: number): Promise<void> {
  const last = await sql.get<{ level: number }>(
    'SELECT level FROM level_history WHERE card = ? ORDER BY since DESC LIMIT 1',
    card,
  )
  if (last?.level === level) return
  await sql.run(
    `INSERT INTO level_history (card, since, level) VALUES (?, ?, ?)
     ON CONFLICT (card, since) DO UPDATE SET level = excluded.level`,
    card,
    nowMs,
    level,
  )
}

/** The level of a card just before a moment; the first that was heard of when that was later; undefined when none was. */
export async function levelBefore(sql: Sql, card: Uint8Array, atMs: number): Promise<number | undefined> {
  const row =
    (await sql.get<{ level: number }>(
      'SELECT level FROM level_history WHERE card = ? AND since < ? ORDER BY since DESC LIMIT 1',
      card,
      atMs,
    )) ??
    (await sql.get<{ level: number }>('SELECT level FROM level_history WHERE card = ? ORDER BY since LIMIT 1', card))
  return row?.level
}
