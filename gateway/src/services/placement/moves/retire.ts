/** Replicas whose place was taken, until their members' cards can do without them (S9): then they are destroyed. */
import { isProblem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { destroy } from '../replicas/deliver.ts'
import { servers } from '../store.ts'
import type { ReplacePorts } from './making.ts'
import { retired } from './store.ts'
import type { RetiredTable } from './tables.ts'

/** How long a server that did not answer is left alone, ms. */
const againMs = 300_000
const atOnce = 16
/** Share of a server’s capacity from which on its room is short. */
const fullShare = 0.9

/** Retires what is due. @returns how many rows were dealt with */
export async function retireDue(ports: ReplacePorts, signal: AbortSignal): Promise<number> {
  const { store, clock, journal, log } = ports
  let done = 0
  const silent = new Set<string>()
  for (const row of await due(store.sql, clock.now())) {
    if (signal.aborted) return done
    if (silent.has(row.server) || (row.journal > 0 && !(await journal.isSafe(row.journal)))) {
      await postpone(ports, row)
      continue
    }
    const server = await servers.byId(store.sql, row.server)
    if (server?.state === 'lost' || server?.state === 'contained' || !server) {
      await postpone(ports, row)
      continue
    }
    const told = await isTold(store.sql, row)
    try {
      await destroy(ports, server, row, row.epoch, signal, told || !row.forward ? undefined : row.forward).catch(
        (error) => {
          // A newer one lies there by now, and that one is wanted.
          if (!isProblem(error, 'replica.superseded')) throw error
        },
      )
      await store.transaction(async ({ sql }) => {
        // Taken back into use meanwhile.
        const now = await retired.of(sql, row)
        if (!now || now.epoch !== row.epoch) return
        if (!row.forwarded) await servers.reserve(sql, row.server, -row.sealed)
        if (told || !row.forward) await retired.drop(sql, row)
        else await retired.put(sql, { ...row, forwarded: 1 })
      })
      done++
    } catch (error) {
      if (signal.aborted) return done
      if (!isProblem(error)) throw error
      log.info('an old replica stays for now', { server: row.server, code: error.code })
      silent.add(row.server)
      await postpone(ports, row)
    }
  }
  return done
}

/** Old replicas past their grace, and forwarding records that no card needs any more. */
async function due(sql: Sql, nowMs: number): Promise<RetiredTable[]> {
  return [
    ...(await sql.all<RetiredTable>(
      'SELECT * FROM retired WHERE forwarded = 0 AND due <= ? ORDER BY due LIMIT ?',
      nowMs,
      atOnce,
    )),
    // Where room is short, nothing waits for its grace to end.
    ...(await sql.all<RetiredTable>(
      `SELECT r.* FROM servers AS s JOIN retired AS r ON r.server = s.id
       WHERE s.used > s.capacity * CAST(? AS REAL) AND s.state NOT IN ('lost', 'contained') AND s.away IS NULL AND r.forwarded = 0 AND r.due > ? LIMIT ?`,
      fullShare,
      nowMs,
      atOnce,
    )),
    ...(await sql.all<RetiredTable>(
      `SELECT r.* FROM retired AS r JOIN conditions AS c
       ON c.member = r.member AND c.object = r.object AND c.version = r.version
       WHERE r.forwarded = 1 AND r.due <= ? AND c.written IS NOT NULL LIMIT ?`,
      nowMs,
      atOnce,
    )),
  ]
}

async function isTold(sql: Sql, { member, object, version }: RetiredTable): Promise<boolean> {
  const row = await sql.get<{ written: number | null }>(
    'SELECT written FROM conditions WHERE member = ? AND object = ? AND version = ?',
    member,
    object,
    version,
  )
  // A catalogue has no conditions of its own: every session tells where the newest is.
  return row === undefined || row.written !== null
}

async function postpone({ store, clock }: ReplacePorts, row: RetiredTable): Promise<void> {
  await store.transaction(({ sql }) =>
    sql.run(
      'UPDATE retired SET due = ? WHERE server = ? AND object = ? AND version = ? AND slot = ?',
      clock.now() + againMs,
      row.server,
      row.object,
      row.version,
      row.slot,
    ),
  )
}
