/** The devices of a site (D1, D6): who they are, where they stand, and their last birth. */
import type { KeyObject } from 'node:crypto'
import { parseCoseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import type { Database, Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { GatewayTables } from './tables.ts'

type Row = GatewayTables['devices']

export interface Device {
  id: string
  key: KeyObject
  model: string
  version: string
  roles: readonly string[]
  region: string
  position: { latitude: number; longitude: number } | undefined
  epoch: number
  enrolledMs: number
  revokedMs: number | undefined
  /** Name of the claim by which it enrolled last. */
  claim: string
}

/** Devices held in memory; the rest are read when they come. */
const cachedDevices = 20_000

const query = queries<GatewayTables>()
const byId = query<{ id: string }>()((db, p) => db.selectFrom('devices').selectAll().where('id', '=', p.id))
const all = query<Record<never, never>>()((db) => db.selectFrom('devices').selectAll().orderBy('id'))
const overview = query<Record<never, never>>()((db) =>
  db.selectFrom('devices').select(['id', 'model', 'version', 'roles', 'region', 'revoked_ms']).orderBy('id'),
)
const upsert = query<Row>()((db, p) =>
  db
    .insertInto('devices')
    .values({
      id: p.id,
      key: p.key,
      model: p.model,
      version: p.version,
      roles: p.roles,
      region: p.region,
      latitude: p.latitude,
      longitude: p.longitude,
      epoch: p.epoch,
      enrolled_ms: p.enrolled_ms,
      revoked_ms: p.revoked_ms,
      claim: p.claim,
    })
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet({
        model: p.model,
        version: p.version,
        roles: p.roles,
        region: p.region,
        latitude: p.latitude,
        longitude: p.longitude,
        enrolled_ms: p.enrolled_ms,
        revoked_ms: null,
        claim: p.claim,
      }),
    ),
)
const bear = query<{ id: string; epoch: number; model: string; version: string }>()((db, p) =>
  db
    .updateTable('devices')
    .set({ epoch: p.epoch, model: p.model, version: p.version })
    .where('id', '=', p.id)
    .where('epoch', '<', p.epoch),
)
const revoke = query<{ id: string; at: number }>()((db, p) =>
  db.updateTable('devices').set({ revoked_ms: p.at }).where('id', '=', p.id),
)

const rekey = query<{ id: string; key: Uint8Array }>()((db, p) =>
  db.updateTable('devices').set({ key: p.key }).where('id', '=', p.id),
)

export class Devices {
  readonly #database: Database
  readonly #cache = new Map<string, Device>()
  #changedHere = false
  #dataVersion: number | undefined

  constructor(database: Database) {
    this.#database = database
  }

  /** @param sql the transaction, where one is under way */
  async find(id: string, sql: Sql = this.#database): Promise<Device | undefined> {
    let device = this.#cache.get(id)
    if (!device) {
      const row = await byId.get(sql, { id })
      if (!row) return undefined
      device = deviceOf(row)
      if (this.#cache.size >= cachedDevices) this.#cache.delete(this.#cache.keys().next().value!)
      this.#cache.set(id, device)
    }
    return device
  }

  /** An enrolled device that is not shut out. @throws {Problem} `device.unknown`, `device.revoked` */
  async require(id: string, sql: Sql = this.#database): Promise<Device> {
    const device = await this.find(id, sql)
    if (!device) throw new Problem('device.unknown')
    if (device.revokedMs !== undefined) throw new Problem('device.revoked')
    return device
  }

  async list(): Promise<Device[]> {
    return (await all.all(this.#database, {})).map(deviceOf)
  }

  /** All devices, also those that were shut out, without what is dear to read: their keys. */
  async overview(): Promise<(Pick<Device, 'id' | 'model' | 'version' | 'roles' | 'region'> & { revoked: boolean })[]> {
    return (await overview.all(this.#database, {})).map(({ id, model, version, roles, region, revoked_ms }) => ({
      id,
      model,
      version,
      region,
      roles: rolesOf(roles),
      revoked: revoked_ms !== null,
    }))
  }

  /** Enrols, or enrols again with a new claim: the operator who gave it lets a revoked device in again. */
  async enrol(sql: Sql, row: Omit<Row, 'epoch' | 'revoked_ms'>): Promise<void> {
    await upsert.run(sql, { ...row, epoch: 0, revoked_ms: null })
    this.#cache.delete(row.id)
  }

  /** Fences births: returns the last epoch when this one does not rise above it. Roles stay those of the enrolment. */
  async bear(
    sql: Sql,
    id: string,
    epoch: number,
    says: { model: string; version: string },
  ): Promise<number | undefined> {
    const { changes } = await bear.run(sql, { id, epoch, model: says.model, version: says.version })
    this.#cache.delete(id)
    return changes > 0 ? undefined : ((await byId.get(sql, { id }))?.epoch ?? 0)
  }

  /** Replaces a device's key; the one before is refused from now on. */
  async rekey(sql: Sql, id: string, key: Uint8Array): Promise<void> {
    await rekey.run(sql, { id, key })
    this.#cache.delete(id)
  }

  /** @throws {Problem} `device.unknown` */
  async revoke(id: string, nowMs: number): Promise<void> {
    this.#cache.delete(id)
    if ((await revoke.run(this.#database, { id, at: nowMs })).changes === 0) throw new Problem('device.unknown', id)
  }

  /** An operator changed the registry over this process's own connection, which its data version does not show. */
  changedHere(): void {
    this.#changedHere = true
    this.#cache.clear()
  }

  /** Whether an operator or another process changed the database since the last time; then nothing remembered is believed. */
  async hasChanged(): Promise<boolean> {
    const version = await this.#readVersion()
    if (version === this.#dataVersion && !this.#changedHere) return false
    const first = this.#dataVersion === undefined
    this.#dataVersion = version
    this.#changedHere = false
    this.#cache.clear()
    return !first
  }

  async #readVersion(): Promise<number> {
    return (await this.#database.get<{ data_version: number }>('PRAGMA data_version'))?.data_version ?? 0
  }
}

function deviceOf(row: Row): Device {
  return {
    id: row.id,
    key: parseCoseKey(row.key),
    model: row.model,
    version: row.version,
    roles: rolesOf(row.roles),
    region: row.region,
    position:
      row.latitude === null || row.longitude === null
        ? undefined
        : { latitude: row.latitude, longitude: row.longitude },
    epoch: row.epoch,
    enrolledMs: row.enrolled_ms,
    revokedMs: row.revoked_ms ?? undefined,
    claim: row.claim,
  }
}

function rolesOf(text: string): string[] {
  return text === '' ? [] : text.split(' ')
}
