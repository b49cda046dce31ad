/** Desired and reported settings of each device, with their versions (D6). */

import { checker } from '@azukari/protocol/contract'
import { type ReportedState, SettingValues, settingsMaxBytes } from '@azukari/protocol/contracts/fleet'
import { Problem } from '@azukari/protocol/problem'
import type { GatewayTables } from '../registry/tables.ts'
import type { Sql } from '../storage/database.ts'
import { putRow } from '../storage/insert.ts'
import { queries } from '../storage/query.ts'

export interface DeviceState {
  desired: { version: number; values: SettingValues }
  reported: ReportedState & { atMs: number | undefined }
}

const query = queries<GatewayTables>()
const byDevice = query<{ device: string }>()((db, p) =>
  db.selectFrom('device_states').selectAll().where('device', '=', p.device),
)
const behind = query<Record<never, never>>()((db) =>
  db.selectFrom('device_states').select('device').whereRef('desired_version', '>', 'applied'),
)
const checkValues = checker(SettingValues, 'settings')

export async function stateOf(sql: Sql, device: string): Promise<DeviceState> {
  const row = await byDevice.get(sql, { device })
  return {
    desired: { version: row?.desired_version ?? 0, values: JSON.parse(row?.desired ?? '{}') },
    reported: {
      version: row?.reported_version ?? 0,
      applied: row?.applied ?? 0,
      values: JSON.parse(row?.reported ?? '{}'),
      refused: JSON.parse(row?.refused ?? '[]'),
      atMs: row?.reported_ms ?? undefined,
    },
  }
}

/**
 * Changes some of the settings desired of a device; null takes one away. Returns their new version.
 * @param expected the version that the change was made upon: when it is given, a change in the meantime is not overwritten
 * @throws {Problem} `state.stale`, `message.invalid`, `message.too-large`
 */
export async function desire(sql: Sql, device: string, changes: SettingValues, expected?: number): Promise<number> {
  const state = await stateOf(sql, device)
  const { version } = state.desired
  if (expected !== undefined && expected !== version)
    throw new Problem('state.stale', `version ${version}`, { data: { version } })
  const values = { ...state.desired.values, ...checkValues(changes) }
  for (const [key, value] of Object.entries(values)) if (value === null) delete values[key]
  await store(sql, device, { ...state, desired: { version: version + 1, values: checkSize(checkValues(values)) } })
  return version + 1
}

/** Keeps what a device reports, unless something newer is here. Returns the version that is held then. @throws {Problem} `message.too-large` */
export async function report(sql: Sql, device: string, reported: ReportedState, nowMs: number): Promise<number> {
  checkSize(reported.values)
  const state = await stateOf(sql, device)
  if (reported.version <= state.reported.version) return state.reported.version
  // A device that has carried out more than was ever desired here: this is an older copy, and what it desires counts anew.
  const { version, values } = state.desired
  const desired = { values, version: reported.applied > version ? reported.applied + 1 : version }
  await store(sql, device, { desired, reported: { ...reported, atMs: nowMs } })
  return reported.version
}

async function store(sql: Sql, device: string, { desired, reported }: DeviceState): Promise<void> {
  await putRow(sql, 'device_states', ['device'], {
    device,
    desired_version: desired.version,
    desired: JSON.stringify(desired.values),
    reported_version: reported.version,
    applied: reported.applied,
    reported: JSON.stringify(reported.values),
    refused: JSON.stringify(reported.refused),
    reported_ms: reported.atMs ?? null,
  })
}

function checkSize(values: SettingValues): SettingValues {
  const bytes = Buffer.byteLength(JSON.stringify(values))
  if (bytes > settingsMaxBytes)
    throw new Problem('message.too-large', `settings of ${bytes} bytes, at most ${settingsMaxBytes}`)
  return values
}

/** Devices that have not yet carried out what is desired of them. */
export async function devicesBehind(sql: Sql): Promise<string[]> {
  return (await behind.all(sql, {})).map(({ device }) => device)
}
