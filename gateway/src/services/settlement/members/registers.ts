/** The registers of members and keys (P4): rows in, rows out. Every function runs inside the caller's transaction, or alone. */
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { type MemberKind, Person } from '@azukari/protocol/contracts/settlement-members'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import type { RandomSource } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { atRestKey, type SettlementKeys } from '../keystore.ts'

/** `invited`: the letter is on its way; `blocked`: a loss was reported, until it registers again. */
export type MemberState = 'invited' | 'active' | 'blocked' | 'closed'

export interface MemberRow {
  id: Uint8Array
  number: string
  kind: MemberKind
  state: MemberState
  device: string
  /** Sealed: see `openPerson`. */
  person: Uint8Array
  /** SHA-256 of the registration code; null once it is used. */
  code: Uint8Array | null
  code_until: number
  /** The one that it was, so that whoever has the letter is told that it was used; null for one used before that was kept. */
  used_code: Uint8Array | null
  block_code: Uint8Array
  card: Uint8Array | null
  card_blocked: number
  since: number | null
  at: number
}

export interface KeyRow {
  kid: Uint8Array
  member: Uint8Array
  key: Uint8Array
  agreement: Uint8Array
  state: 'active' | 'rotated' | 'revoked'
  since: number
  until: number | null
  reason: string | null
}

export const members = {
  add: (sql: Sql, row: MemberRow) => insertRow(sql, 'members', row),
  get: (sql: Sql, id: Uint8Array) => sql.get<MemberRow>('SELECT * FROM members WHERE id = ?', id),
  byNumber: (sql: Sql, number: string) => sql.get<MemberRow>('SELECT * FROM members WHERE number = ?', number),
  byCard: (sql: Sql, card: Uint8Array) => sql.get<MemberRow>('SELECT * FROM members WHERE card = ?', card),
  list: (sql: Sql, after: string, limit: number) =>
    sql.all<MemberRow>('SELECT * FROM members WHERE number > ? ORDER BY number LIMIT ?', after, limit),
  moved: (sql: Sql, id: Uint8Array, device: string) =>
    sql.run('UPDATE members SET device = ? WHERE id = ?', device, id),
  registered: (sql: Sql, id: Uint8Array, row: Pick<MemberRow, 'device' | 'person' | 'card'>, nowMs: number) =>
    sql.run(
      `UPDATE members SET state = 'active', used_code = coalesce(code, used_code), code = NULL, device = ?, person = ?, card = coalesce(?, card),
         card_blocked = CASE WHEN CAST(? AS BLOB) IS NULL THEN card_blocked ELSE 0 END, since = coalesce(since, ?) WHERE id = ?`,
      row.device,
      row.person,
      row.card,
      row.card,
      nowMs,
      id,
    ),
  block: (sql: Sql, id: Uint8Array) => sql.run("UPDATE members SET state = 'blocked' WHERE id = ?", id),
  blockCard: (sql: Sql, id: Uint8Array) => sql.run('UPDATE members SET card_blocked = 1 WHERE id = ?', id),
  freeCard: (sql: Sql, id: Uint8Array) => sql.run('UPDATE members SET card_blocked = 0 WHERE id = ?', id),
  newCode: (sql: Sql, id: Uint8Array, code: Uint8Array, blockCode: Uint8Array, until: number) =>
    sql.run('UPDATE members SET code = ?, block_code = ?, code_until = ? WHERE id = ?', code, blockCode, until, id),
}

export const memberKeys = {
  add: (sql: Sql, row: KeyRow) => insertRow(sql, 'member_keys', row),
  get: (sql: Sql, kid: Uint8Array) => sql.get<KeyRow>('SELECT * FROM member_keys WHERE kid = ?', kid),
  activeOf: (sql: Sql, member: Uint8Array) =>
    sql.get<KeyRow>("SELECT * FROM member_keys WHERE member = ? AND state = 'active'", member),
  end: (sql: Sql, kid: Uint8Array, state: 'rotated' | 'revoked', reason: string, nowMs: number) =>
    sql.run(
      "UPDATE member_keys SET state = ?, reason = ?, until = ? WHERE kid = ? AND state = 'active'",
      state,
      reason,
      nowMs,
      kid,
    ),
}

/** @throws {Problem} `register.unknown-number` */
export async function memberByNumber(sql: Sql, number: string): Promise<MemberRow> {
  const member = await members.byNumber(sql, number)
  if (!member) throw new Problem('register.unknown-number')
  return member
}

const utf8 = new TextEncoder()
const checkPerson = checker(Person, 'person')

/** Seals personal data for the register; bound to its member, so that rows cannot be swapped. */
export function sealPerson(keys: SettlementKeys, member: Uint8Array, person: Person, random: RandomSource): Uint8Array {
  return encrypt0(encodeDeterministic(person), atRestKey(keys, 'person'), random.bytes(12), personAad(member))
}

export function openPerson(keys: SettlementKeys, member: Uint8Array, sealed: Uint8Array): Person {
  return checkPerson(decode(decrypt0(sealed, atRestKey(keys, 'person'), personAad(member))))
}

function personAad(member: Uint8Array): Uint8Array {
  return utf8.encode(`azukari/person/1/${Buffer.from(member).toString('hex')}`)
}

/** How accounts in the ledger name a member: a pseudonym. */
export function pseudonym(member: Uint8Array): string {
  return Buffer.from(member).toString('hex')
}
