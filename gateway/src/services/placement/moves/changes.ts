/**
 * What changes about members and servers (S9, S16): level, plan, home region, a server's state. Each is in the journal with
 * its effect; the mover does the rest.
 */
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { regions } from '../../../geography.ts'
import type { ServiceStore } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { sealEntry } from '../journal/journal.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import { levelMax, levelOf, type Plan, parsePlan } from '../members/level.ts'
import { journal, type MemberRow, members, type ServerState, servers } from '../store.ts'
import { reclassify } from './mover.ts'
import { awayForGood } from './watch.ts'

export interface ChangePorts {
  store: ServiceStore
  keys: PlacementKeys
  clock: Clock
  random: Random
}

export interface MemberChange {
  /** Fixes the level by itself, from now on. */
  plan?: Plan
  /** Without a plan: the level, as it is. */
  level?: number
  home?: string
}

/**
 * Changes what decides where a member's data lies. The card is told at its next session; until then it may show the old
 * level (S3).
 * @returns the member as it is now
 * @throws {Problem} `member.unknown`, `config.invalid` when region or level is unknown
 */
export async function changeMember(ports: ChangePorts, number: string, change: MemberChange): Promise<MemberRow> {
  return ports.store.transaction(async ({ sql }) => {
    const row = await members.byNumber(sql, number)
    if (!row) throw new Problem('member.unknown', number)
    return changeRow(sql, ports, row, change)
  })
}

/** As `changeMember`, within the caller's transaction. @throws {Problem} `config.invalid` */
export async function changeRow(
  sql: Sql,
  ports: ChangePorts,
  row: MemberRow,
  change: MemberChange,
): Promise<MemberRow> {
  if (change.home !== undefined && !regions.has(change.home))
    throw new Problem('config.invalid', `home region ${change.home} is not known`)
  if (change.level !== undefined && !(Number.isInteger(change.level) && change.level >= 0 && change.level <= levelMax))
    throw new Problem('config.invalid', `level ${change.level} is not 0 to ${levelMax}`)
  const plan = change.plan ?? (change.level === undefined ? row.plan : '')
  const level = plan === '' ? (change.level ?? row.level) : levelOf(parsePlan(plan), row.since, ports.clock.now())
  return write(sql, ports, row, { plan, level, home: change.home ?? row.home })
}

/**
 * Brings the levels that years of membership add up to date, page by page.
 * @returns the number after which the next page begins; undefined after the last
 */
export async function ageMembers(ports: ChangePorts, after: string, limit: number): Promise<string | undefined> {
  return ports.store.transaction(async ({ sql }) => {
    const rows = await sql.all<MemberRow>(
      `SELECT * FROM members WHERE number > ? AND plan <> '' ORDER BY number LIMIT ?`,
      after,
      limit,
    )
    for (const row of rows) {
      const level = levelOf(parsePlan(row.plan), row.since, ports.clock.now())
      if (level !== row.level) await write(sql, ports, row, { plan: row.plan, level, home: row.home })
    }
    return rows.length < limit ? undefined : rows.at(-1)!.number
  })
}

async function write(
  sql: Sql,
  { keys, random }: ChangePorts,
  row: MemberRow,
  { plan, level, home }: Pick<MemberRow, 'plan' | 'level' | 'home'>,
): Promise<MemberRow> {
  if (plan === row.plan && level === row.level && home === row.home) return row
  // What the card shows stays what it was when it was last written.
  const shown = row.card_level ?? row.level
  const now: MemberRow = { ...row, plan, level, home, card_level: shown === level ? null : shown }
  await sql.run(
    'UPDATE members SET plan = ?, level = ?, home = ?, card_level = ? WHERE id = ?',
    now.plan,
    now.level,
    now.home,
    now.card_level,
    row.id,
  )
  if (level !== row.level) await members.mayShow(sql, row.id, row.level)
  const { auth_kid: _a, acts_kid: _b, counter: _c, ...entry } = now
  await journal.append(sql, sealEntry({ kind: 'member', ...entry }, keys.recovery, random))
  if (level !== row.level || home !== row.home) await reclassify(sql, row.id)
  return now
}

/**
 * An operator's word about a server. `draining`: to be emptied; `lost`: gone for good, all that was there is made anew
 * elsewhere, most exposed first; `open`: in use again.
 * @throws {Problem} `config.invalid` when it is not in the register
 */
export async function changeServer(
  { store, keys, random }: ChangePorts,
  id: string,
  state: ServerState,
): Promise<void> {
  await store.transaction(async ({ sql }) => {
    const row = await servers.byId(sql, id)
    if (!row) throw new Problem('config.invalid', `there is no data server “${id}”: azukari-gateway servers lists them`)
    await servers.setState(sql, id, state)
    if (state === 'lost') await servers.setAway(sql, id, awayForGood)
    else if (row.away === awayForGood) await servers.setAway(sql, id, null)
    const { used: _u, demerits: _d, impostors: _i, away: _a, kid: _k, ...entry } = row
    await journal.append(sql, sealEntry({ kind: 'server', ...entry, state }, keys.recovery, random))
  })
}
