/**
 * A server is shut off (S12): nothing is read from it or written to it, and what lies there is made anew elsewhere from
 * the other copies. An operator lets it back in.
 */
import type { DirectSigner } from '@azukari/protocol/cose'
import type { RandomSource } from '@azukari/protocol/keys'
import type { Clock, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { signVerdict, type VerdictKind } from '@azukari/protocol/verdict'
import type { ServiceStore } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { sealEntry } from '../journal/journal.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import { journal, type ServerRow, type ServerState, servers } from '../store.ts'
import type { ImpostorRules } from './impostors.ts'
import { audits, verdicts } from './store.ts'

export interface ContainPorts {
  store: ServiceStore
  keys: PlacementKeys
  signer: DirectSigner
  clock: Clock
  random: RandomSource
  log: Log
  impostors: ImpostorRules
  /** Hears that a server was shut off: its data is to be protected anew. */
  onContained?: ((server: string) => void) | undefined
}

/**
 * Shuts a server off and keeps the verdict; one that is shut off already stays so. An impostor is counted and ranks last at
 * once; it is shut off from the count on that the site has set.
 * @param because one line, for operators
 * @returns whether it was open until now
 */
export async function contain(
  ports: ContainPorts,
  id: string,
  kind: Extract<VerdictKind, 'impostor' | 'contained'>,
  because: string,
): Promise<boolean> {
  const { store, clock, log } = ports
  const done = await store.transaction(async ({ sql }) => {
    const row = await servers.byId(sql, id)
    if (!row) throw new Problem('config.invalid', `there is no data server “${id}”: azukari-gateway servers lists them`)
    if (row.state === 'contained') return false
    const shutOff = kind === 'contained' || row.impostors + 1 >= ports.impostors.shutOff
    if (shutOff) await setState(sql, ports, row, 'contained')
    // S12: its rank is lowered, and stays so until somebody has looked.
    await servers.penalise(sql, id, 100, kind === 'impostor' ? 1 : 0)
    const atMs = clock.now()
    await verdicts.add(sql, {
      at: atMs,
      kind,
      server: id,
      object: null,
      version: null,
      slot: null,
      epoch: null,
      member: null,
      because,
      signed: signVerdict({ kind, atMs, server: id, because: because.slice(0, 400), evidence: {} }, ports.signer),
      outcome: shutOff ? 'contained' : 'counted',
      done: null,
    })
    if (!shutOff) log.warn('an impostor is counted', { server: id, impostors: row.impostors + 1, because })
    return shutOff
  })
  if (!done) return false
  log.error('a data server is shut off', { server: id, code: 'server.contained', kind, because })
  ports.onContained?.(id)
  return true
}

/** Lets a server back in: it starts again like a new one. @throws {Problem} `config.invalid` when it is not in the register */
export async function release(ports: ContainPorts, id: string, reason: string): Promise<void> {
  const { store, clock, log } = ports
  await store.transaction(async ({ sql }) => {
    const row = await servers.byId(sql, id)
    if (!row) throw new Problem('config.invalid', `there is no data server “${id}”: azukari-gateway servers lists them`)
    await setState(sql, ports, row, 'open')
    await sql.run('UPDATE servers SET demerits = 0, impostors = 0 WHERE id = ?', id)
    await audits.set(sql, id, { refusals: 0 })
    await verdicts.release(sql, id, clock.now())
  })
  log.warn('a data server is let back in', { server: id, reason })
  ports.onContained?.(id)
}

async function setState(sql: Sql, { keys, random }: ContainPorts, row: ServerRow, state: ServerState): Promise<void> {
  await servers.setState(sql, row.id, state)
  const { used: _u, demerits: _d, impostors: _i, away: _a, kid: _k, ...entry } = row
  await journal.append(sql, sealEntry({ kind: 'server', ...entry, state }, keys.recovery, random))
}
