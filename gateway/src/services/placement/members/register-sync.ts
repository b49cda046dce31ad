/**
 * Settlement's words on cards (P4): a card that was reported lost opens no session, and what changes about a member there
 * changes here. And the reverse: which members changed here, in an order that settlement can follow.
 */
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { type keepCard, keepCardByCall, listChanges } from '@azukari/protocol/contracts/settlement-placement'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { OwnContext } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import type { Migration } from '../../../storage/migrate.ts'
import { answers, type CallHandler } from '../../../transport/server.ts'
import { type ChangePorts, changeRow } from '../moves/changes.ts'
import { settlementPeers } from '../peers.ts'
import { facts, type MemberRow, members } from '../store.ts'

export const cardWordsMigration: Migration = {
  number: 9,
  name: 'settlement’s words on cards, levels that cards may show, and the list of members that changed',
  up: `
CREATE TABLE card_words (card BLOB PRIMARY KEY, revision INTEGER NOT NULL, lost INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE card_levels (member BLOB NOT NULL, level INTEGER NOT NULL, PRIMARY KEY (member, level)) STRICT;
CREATE TABLE member_changes (n INTEGER PRIMARY KEY AUTOINCREMENT, member BLOB NOT NULL UNIQUE) STRICT;
INSERT INTO member_changes (member) SELECT id FROM members;
INSERT INTO facts (name, value) VALUES ('member-changes', randomblob(16));
CREATE TRIGGER member_changes_new AFTER INSERT ON members
BEGIN INSERT OR REPLACE INTO member_changes (member) VALUES (new.id); END;
CREATE TRIGGER member_changes_kept AFTER UPDATE OF level, home, plan ON members
WHEN old.level <> new.level OR old.home <> new.home OR old.plan <> new.plan
BEGIN INSERT OR REPLACE INTO member_changes (member) VALUES (new.id); END;
CREATE TRIGGER member_changes_gone AFTER DELETE ON members
BEGIN DELETE FROM member_changes WHERE member = old.id; END;
`,
}

const changesAtOnce = 256

/** @throws {Problem} `card.lost` */
export async function refuseLost(sql: Sql, { auth_kid }: Pick<MemberRow, 'auth_kid'>): Promise<void> {
  if ((await sql.get<{ lost: number }>('SELECT lost FROM card_words WHERE card = ?', auth_kid))?.lost === 1)
    throw new Problem('card.lost')
}

/** Takes a word in, once; `taken` is false for one that is not newer than what is known: it changes nothing. */
export async function takeWord(
  { sql, nowMs }: Pick<OwnContext, 'sql' | 'nowMs'>,
  ports: ChangePorts,
  { card, revision, lost, change }: RequestOf<typeof keepCard>,
): Promise<ReplyOf<typeof keepCard> & { taken: boolean }> {
  const row = await members.byCard(sql, card)
  const known = row !== undefined
  const before = await sql.get<{ revision: number }>('SELECT revision FROM card_words WHERE card = ?', card)
  if (before && before.revision >= revision) return { known, taken: false }
  await sql.run(
    `INSERT INTO card_words (card, revision, lost, at) VALUES (?, ?, ?, ?)
     ON CONFLICT (card) DO UPDATE SET revision = excluded.revision, lost = excluded.lost, at = excluded.at`,
    card,
    revision,
    lost ? 1 : 0,
    nowMs,
  )
  if (!row || !change) return { known, taken: true }
  try {
    await changeRow(sql, ports, row, change)
    return { known, taken: true }
  } catch (error) {
    // The loss stands all the same.
    if (!isProblem(error, 'config.invalid')) throw error
    return { known, taken: true, refused: error.message.slice(0, 100) }
  }
}

/** Members whose level, home region or plan changed, in the order in which they did. */
export async function changesSince(
  sql: Sql,
  { log, after }: RequestOf<typeof listChanges>,
): Promise<ReplyOf<typeof listChanges>> {
  const own = (await facts.get(sql, 'member-changes'))!
  const from = log && Buffer.compare(log, own) === 0 ? after : 0
  const rows = await sql.all<{ n: number; card: Uint8Array; level: number; home: string; plan: string }>(
    `SELECT c.n, m.auth_kid AS card, m.level, m.home, m.plan FROM member_changes c JOIN members m ON m.id = c.member
     WHERE c.n > ? ORDER BY c.n LIMIT ?`,
    from,
    changesAtOnce,
  )
  return { log: own, last: rows.at(-1)?.n ?? from, members: rows.map(({ n: _, ...row }) => row) }
}

/** The rows that a placement process adds to its call server. */
export function cardWordHandlers(
  sql: Sql,
  take: (request: RequestOf<typeof keepCard>) => Promise<ReplyOf<typeof keepCard>>,
): CallHandler[] {
  return [
    answers(keepCardByCall, settlementPeers, async (request) => ({ reply: await take(request) })),
    answers(listChanges, settlementPeers, async (request) => ({ reply: await changesSince(sql, request) })),
  ]
}
