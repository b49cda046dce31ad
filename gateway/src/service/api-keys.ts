/**
 * API keys of programs outside the site, such as a shop's (docs/decisions/0029). A service keeps its own: the id, and of the
 * secret only SHA-256, which is enough for 32 random bytes. What goes from the listener to the service is id and hash as well.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { hex } from '@azukari/protocol/bytes'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { Holder, ServiceStore } from './service.ts'
import type { HostTables } from './tables.ts'

/** A key as its list shows it. */
export interface ApiKey {
  id: string
  holder: string
  scopes: string[]
  /** The operator who made it. */
  by: string
  createdMs: number
  expiresMs: number
  revokedMs?: number
}

const written = /^azk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/
const idBytes = 8
/** Keys of one holder that are good at once: room to change them one by one. */
const keysMax = 16
/** Stands in for the hash of a key that nobody has, so that an unknown id takes as long as a wrong secret. */
const nobodys = new Uint8Array(32)

const query = queries<HostTables>()
const byId = query<{ id: string }>()((db, p) => db.selectFrom('api_keys').selectAll().where('id', '=', p.id))
const ofHolder = query<{ holder: string }>()((db, p) =>
  db.selectFrom('api_keys').selectAll().where('holder', '=', p.holder).orderBy('created_ms').orderBy('id'),
)
const insert = query<Omit<HostTables['api_keys'], 'revoked_ms'>>()((db, p) =>
  db.insertInto('api_keys').values({
    id: p.id,
    hash: p.hash,
    holder: p.holder,
    scopes: p.scopes,
    made_by: p.made_by,
    created_ms: p.created_ms,
    expires_ms: p.expires_ms,
  }),
)
const end = query<{ id: string; nowMs: number }>()((db, p) =>
  db.updateTable('api_keys').set({ revoked_ms: p.nowMs }).where('id', '=', p.id).where('revoked_ms', 'is', null),
)

/** Id and hash of a key as it was shown; undefined for what is none. */
export function credentialOf(key: string): Uint8Array | undefined {
  const [, id, secret] = written.exec(key) ?? []
  if (id === undefined || secret === undefined) return undefined
  return new Uint8Array(Buffer.concat([Buffer.from(id, 'hex'), hashOf(Buffer.from(secret, 'base64url'))]))
}

/**
 * @param credential as `credentialOf` gives it
 * @throws {Problem} `api.key-required`, `api.key-refused`, `api.key-ended`, `api.scope`
 */
export async function judgeApiKey(
  sql: Sql,
  credential: Uint8Array | undefined,
  scope: string,
  nowMs: number,
): Promise<Holder> {
  if (credential?.length !== idBytes + nobodys.length) throw new Problem('api.key-required')
  const id = hex(credential.subarray(0, idBytes))
  const row = await byId.get(sql, { id })
  const isGenuine = timingSafeEqual(row?.hash ?? nobodys, credential.subarray(idBytes))
  if (!row || !isGenuine) throw new Problem('api.key-refused')
  if (row.revoked_ms !== null || row.expires_ms <= nowMs) throw new Problem('api.key-ended')
  if (!row.scopes.split(' ').includes(scope)) throw new Problem('api.scope', scope)
  return { who: id, holder: row.holder }
}

/** A service's keys, as its operators make and end them. */
export class ApiKeys {
  readonly #store: ServiceStore
  readonly #random: Random

  constructor(store: ServiceStore, random: Random) {
    this.#store = store
    this.#random = random
  }

  /** Returns the key, which is shown once and kept nowhere. @throws {Problem} `quota.exceeded` */
  async add(of: {
    holder: string
    scopes: readonly string[]
    by: string
    lifeMs: number
  }): Promise<ApiKey & { key: string }> {
    const [id, secret] = [hex(this.#random.bytes(idBytes)), this.#random.bytes(32)]
    return this.#store.transaction(async ({ sql, nowMs }) => {
      const { holder, by } = of
      const good = (await ofHolder.all(sql, { holder })).filter(
        (row) => row.revoked_ms === null && row.expires_ms > nowMs,
      )
      if (good.length >= keysMax)
        throw new Problem('quota.exceeded', `${keysMax} keys of ${holder} are good: revoke one`)
      const row = {
        id,
        hash: hashOf(secret),
        holder,
        scopes: of.scopes.join(' '),
        made_by: by,
        created_ms: nowMs,
        expires_ms: nowMs + of.lifeMs,
      }
      await insert.run(sql, row)
      return { ...keyOf({ ...row, revoked_ms: null }), key: `azk_${id}_${Buffer.from(secret).toString('base64url')}` }
    })
  }

  async list(holder: string): Promise<ApiKey[]> {
    return (await ofHolder.all(this.#store.sql, { holder })).map(keyOf)
  }

  /** It is refused from now on. Returns whether the holder had it and it was good. */
  async revoke(holder: string, id: string): Promise<boolean> {
    return this.#store.transaction(async ({ sql, nowMs }) => {
      if ((await byId.get(sql, { id }))?.holder !== holder) return false
      return (await end.run(sql, { id, nowMs })).changes > 0
    })
  }
}

function keyOf(row: HostTables['api_keys']): ApiKey {
  const { id, holder, scopes, made_by: by, created_ms: createdMs, expires_ms: expiresMs, revoked_ms: revokedMs } = row
  const key: ApiKey = { id, holder, scopes: scopes.split(' '), by, createdMs, expiresMs }
  if (revokedMs !== null) key.revokedMs = revokedMs
  return key
}

function hashOf(secret: Uint8Array): Uint8Array {
  return hash('sha256', secret, 'buffer')
}
