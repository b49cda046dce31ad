/** Data for the cards' own program (D6): what has become of it, card by card. */
import type { CardResult } from '@azukari/protocol/contracts/fleet'
import type { GatewayTables } from '../registry/tables.ts'
import type { Sql } from '../storage/database.ts'
import { putRow } from '../storage/insert.ts'
import { queries } from '../storage/query.ts'

const query = queries<GatewayTables>()
const byCard = query<{ card: Uint8Array }>()((db, p) =>
  db.selectFrom('card_data').selectAll().where('card', '=', p.card),
)
const all = query<Record<never, never>>()((db) => db.selectFrom('card_data').selectAll().orderBy('at_ms', 'desc'))

/** Keeps what terminals say of cards; what is about an older release than is known of a card changes nothing. */
export async function keepCardResults(sql: Sql, results: readonly CardResult[], nowMs: number): Promise<void> {
  for (const { card, number, outcome, code } of results) {
    const known = await byCard.get(sql, { card })
    // A card that has it once has it: a terminal that meets it again, or fails to read it, does not undo that.
    const has = known !== undefined && known.number === number && known.outcome !== 'failed'
    if (known && (known.number > number || (has && outcome !== 'newer'))) continue
    await putRow(sql, 'card_data', ['card'], { card, number, outcome, code: code ?? null, at_ms: nowMs })
  }
}

export async function cardResults(
  sql: Sql,
): Promise<{ card: string; number: number; outcome: string; code: string | null; atMs: number }[]> {
  return (await all.all(sql, {})).map(({ card, at_ms, ...row }) => ({
    card: Buffer.from(card).toString('hex'),
    ...row,
    atMs: at_ms,
  }))
}
