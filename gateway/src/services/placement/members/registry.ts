/** Members and data servers: registering them, and what the journal needs of each (S2, S5, P4 later keeps members in step). */
import { createHash } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { mapInOrder } from '@azukari/protocol/in-order'
import { parseCoseKey, type RandomSource, thumbprint } from '@azukari/protocol/keys'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { regions } from '../../../geography.ts'
import type { ServiceStore } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { sealEntry } from '../journal/journal.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import { keysToBytes, wrapMemberKey } from '../keys/keystore.ts'
import type { RiskBoard } from '../risk/board.ts'
import type { RiskTerm } from '../risk/risk.ts'
import type { Candidate } from '../saves/choose.ts'
import { facts, journal, type MemberRow, members, type ServerRow, servers } from '../store.ts'

/** What personalising a card yields, and placement must know before the card's first session. */
export interface MemberRegistration {
  memberId: Uint8Array
  number: string
  name: string
  level: number
  homeRegion: string
  /** COSE_Keys of the card's three keys. */
  authKey: Uint8Array
  actsKey: Uint8Array
  agreementKey: Uint8Array
  /** D8: true when the member has said so to who registers them; without a word it is no consent. */
  location?: boolean
  /** D8: false without consent to storage abroad. */
  abroad?: boolean
}

export interface ServerRegistration {
  id: string
  name: string
  region: string
  latitude: number
  longitude: number
  domain: string
  url: string
  /** COSE_Key of its identity. */
  key: Uint8Array
  capacityBytes: number
  rates: RiskTerm[]
}

export class Registry {
  readonly #store: ServiceStore
  readonly #keys: PlacementKeys
  readonly #random: RandomSource
  readonly #clock: Clock
  readonly #board: RiskBoard

  constructor(store: ServiceStore, keys: PlacementKeys, random: RandomSource, clock: Clock, board: RiskBoard) {
    this.#store = store
    this.#keys = keys
    this.#random = random
    this.#clock = clock
    this.#board = board
  }

  /**
   * The first entry of the journal, and one more whenever there are new keys: without the last of them nothing else could be
   * opened after a loss.
   * @returns the entry's number; undefined when these keys are in the journal already
   */
  async journalKeys(keys: PlacementKeys): Promise<number | undefined> {
    const name = keysName(keys)
    return this.#store.transaction(async ({ sql }) => {
      const written = await facts.get(sql, 'journalled-keys')
      if (written ? sameBytes(written, name) : await isJournalledBefore(sql, keys)) return undefined
      const entry = sealEntry({ kind: 'keys', keys: keysToBytes(keys) }, keys.recovery, this.#random)
      const seq = await journal.append(sql, entry)
      await facts.set(sql, 'journalled-keys', name)
      return seq
    })
  }

  /** @throws {Problem} `config.invalid` when a region or level is unknown, `act.conflict` when number or card is known */
  async addMember(registration: MemberRegistration): Promise<void> {
    const { memberId, number, name, level, homeRegion, authKey, actsKey, agreementKey } = registration
    if (!regions.has(homeRegion)) throw new Problem('config.invalid', `home region ${homeRegion} is not known`)
    if (!(level >= 0 && level <= 3)) throw new Problem('config.invalid', `level ${level} is not 0 to 3`)
    const row: MemberRow = {
      id: memberId,
      number,
      name,
      level,
      home: homeRegion,
      since: this.#clock.now(),
      status: 'active',
      auth_key: authKey,
      auth_kid: thumbprint(parseCoseKey(authKey)),
      acts_key: actsKey,
      acts_kid: thumbprint(parseCoseKey(actsKey)),
      agreement_key: agreementKey,
      wrapped_key: wrapMemberKey(this.#keys, this.#random.bytes(32), this.#random),
      counter: 0,
      plan: '',
      card_level: null,
      location: registration.location === true ? 1 : 0,
      abroad: registration.abroad === false ? 0 : 1,
      retention: 0,
    }
    await this.#store.transaction(async ({ sql }) => {
      if (
        (await members.byId(sql, memberId)) ||
        (await members.byCard(sql, row.auth_kid)) ||
        (await members.byActsKey(sql, row.acts_kid))
      )
        throw new Problem('act.conflict', 'this member or card is registered')
      await members.add(sql, row)
      const { auth_kid: _a, acts_kid: _b, counter: _c, ...rest } = row
      await journal.append(sql, sealEntry({ kind: 'member', ...rest }, this.#keys.recovery, this.#random))
    })
  }

  /** Adds a data server, or takes over what changed. */
  async putServer(registration: ServerRegistration): Promise<void> {
    const { capacityBytes, rates, ...rest } = registration
    if (!regions.has(rest.region))
      throw new Problem('config.invalid', `region ${rest.region} of server ${rest.id} is not known`)
    const row = {
      ...rest,
      kid: thumbprint(parseCoseKey(rest.key)),
      capacity: capacityBytes,
      rates: JSON.stringify(rates),
    }
    await this.#store.transaction(async ({ sql }) => {
      const known = await servers.byId(sql, rest.id)
      if (
        known &&
        Object.entries(row).every(([name, value]) =>
          value instanceof Uint8Array
            ? Buffer.from(value).equals(known[name as 'key'])
            : known[name as keyof ServerRow] === value,
        )
      )
        return
      await servers.put(sql, row)
      const { kid: _, ...entry } = row
      await journal.append(sql, sealEntry({ kind: 'server', ...entry }, this.#keys.recovery, this.#random))
    })
    await this.#board.reload?.()
  }

  async members(): Promise<MemberRow[]> {
    return members.all(this.#store.sql)
  }

  async servers(sql: Sql = this.#store.sql): Promise<ServerRow[]> {
    return servers.all(sql)
  }

  /** The servers as `choose` sees them. @param sql the transaction, where one is under way */
  async candidates(sql: Sql = this.#store.sql): Promise<Candidate[]> {
    return mapInOrder(await this.servers(sql), async (row) => ({
      server: row.id,
      region: row.region,
      latitude: row.latitude,
      longitude: row.longitude,
      domain: row.domain,
      risk: await this.#board.of(row.id, sql),
      capacityBytes: row.capacity,
      usedBytes: row.used,
      demerits: row.demerits,
      ...closedBy(row),
    }))
  }
}

function closedBy({ state, away }: ServerRow): Pick<Candidate, 'closed'> {
  if (state !== 'open') return { closed: state }
  return away === null ? {} : { closed: 'away' }
}

/** Names a set of keys without telling anything of them. */
export function keysName({ roots, pairs }: PlacementKeys): Uint8Array {
  const names = [roots.at(-1)!.version, ...pairs.map(({ signing }) => thumbprint(signing))]
  return new Uint8Array(createHash('sha256').update(encodeDeterministic(names)).digest())
}

/** The release before wrote down only which root keys are in the journal; there was one pair. */
async function isJournalledBefore(sql: Sql, { roots, pairs }: PlacementKeys): Promise<boolean> {
  const written = await facts.get(sql, 'journalled-roots')
  return pairs.length === 1 && written !== undefined && Buffer.from(written).readUInt32BE() >= roots.at(-1)!.version
}
