/**
 * Data servers that leave the site (S9, D4): emptied first, then taken out of the register. What is known of one that has left
 * is in the journal and in the verdicts alone.
 */
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { sealEntry } from '../journal/journal.ts'
import { journal, type ServerRow, type ServerState, servers } from '../store.ts'
import type { ChangePorts } from './changes.ts'

/** What still ties a server to the site. */
export interface Left {
  /** Copies, and those that are being made there. */
  copies: number
  /** Old copies that are still to be destroyed there. */
  toDestroy: number
}

/** What a server in one of these states may become by `drain`, `undrain` and `remove`. */
const mayDrain: ReadonlySet<ServerState> = new Set(['open', 'draining'])
const mayGo: ReadonlySet<ServerState> = new Set(['draining', 'lost'])

/** @throws {Problem} `config.invalid` when it is not in the register */
export async function serverNamed(sql: Sql, id: string): Promise<ServerRow> {
  const row = await servers.byId(sql, id)
  if (!row) throw new Problem('config.invalid', `there is no data server “${id}”: azukari-gateway servers lists them`)
  return row
}

export async function leftOn(sql: Sql, id: string): Promise<Left> {
  const count = async (text: string) => (await sql.get<{ n: number }>(text, id))!.n
  return {
    copies:
      (await count('SELECT count(*) AS n FROM replicas WHERE server = ?')) +
      (await count('SELECT count(*) AS n FROM making WHERE server = ?')),
    toDestroy:
      (await count('SELECT count(*) AS n FROM retired WHERE server = ? AND forwarded = 0')) +
      (await count('SELECT count(*) AS n FROM abandoned WHERE server = ?')) +
      (await count("SELECT count(*) AS n FROM erasing WHERE server = ? AND state = 'open'")),
  }
}

/** Empties one that is in use, or takes it back. @throws {Problem} `config.invalid`, `server.not-leaving` */
export async function mayBecome(sql: Sql, id: string, state: 'draining' | 'open'): Promise<void> {
  const row = await serverNamed(sql, id)
  const isRight = state === 'draining' ? mayDrain.has(row.state) : row.state === 'draining'
  if (!isRight) throw new Problem('server.not-leaving', `${id} is ${row.state}`)
}

/**
 * Whether it may be removed. Of one that is lost nothing can be destroyed any more, so that is not waited for.
 * @throws {Problem} `config.invalid`, `server.not-leaving`, `server.in-use`
 */
export async function requireEmpty(sql: Sql, id: string): Promise<ServerRow> {
  const row = await serverNamed(sql, id)
  if (!mayGo.has(row.state)) throw new Problem('server.not-leaving', `${id} is ${row.state}`)
  const { copies, toDestroy } = await leftOn(sql, id)
  if (copies > 0) throw new Problem('server.in-use', `${copies} copies lie on ${id}`)
  if (toDestroy > 0 && row.state !== 'lost')
    throw new Problem('server.in-use', `${toDestroy} old copies are still to be destroyed on ${id}`)
  return row
}

/** Takes it out of the register. Cards that still name it find their data at the other copy. @throws {Problem} as `requireEmpty` */
export async function takeOut({ store, keys, random }: ChangePorts, id: string): Promise<void> {
  await store.transaction(async ({ sql }) => {
    const row = await requireEmpty(sql, id)
    await sql.run('DELETE FROM retired WHERE server = ?', id)
    await sql.run('DELETE FROM abandoned WHERE server = ?', id)
    await sql.run('DELETE FROM suspects WHERE server = ?', id)
    await sql.run('DELETE FROM audits WHERE server = ?', id)
    await sql.run('DELETE FROM grounds WHERE server = ?', id)
    await sql.run('DELETE FROM servers WHERE id = ?', id)
    const { used: _u, demerits: _d, impostors: _i, away: _a, kid: _k, ...entry } = row
    // A rebuilt placement neither reads nor writes there: it lists it as lost, and empty.
    await journal.append(sql, sealEntry({ kind: 'server', ...entry, state: 'lost' }, keys.recovery, random))
  })
}
