/**
 * A member's catalogue (ARCHITECTURE §7 "Card"): a card holds the latest conditions only, so all of them together are an
 * object of their own, sealed and kept in two places like any other, whose place and key the card's root file holds.
 */

import { createHash } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { catalogueDomain, catalogueObject } from '@azukari/protocol/contracts/save'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Clock, Random } from '@azukari/protocol/ports'
import type { Sql } from '../../../storage/database.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import { unwrapMemberKey } from '../keys/keystore.ts'
import { conditionsOf } from '../saves/conditions.ts'
import { type CatalogueRow, catalogueMedia, catalogues, members, replicas, type SaveRow, saves } from '../store.ts'

/** Objects from which on a member has a catalogue: below the size of the card's ring, so that none is ever out of reach. */
export const catalogueFrom = 12

/** Versions of a catalogue that stay: a card may point to an older one until its next session. */
export const catalogueVersionsKept = 8

/** Writes down the next version of a member's catalogue, as a save that the worker takes up like any other. */
export async function beginCatalogue(
  sql: Sql,
  known: CatalogueRow,
  { keys, clock, random }: { keys: PlacementKeys; clock: Clock; random: Random },
): Promise<void> {
  const member = (await members.byId(sql, known.member))!
  const memberKey = unwrapMemberKey(keys, member.wrapped_key)
  const items = await mapInOrder(await saves.ofMember(sql, member.id), async (row) =>
    conditionsOf(sql, memberKey, row, await replicas.of(sql, row.object, row.version)),
  )
  const version = known.version + 1
  const bytes = encodeDeterministic({ member: member.id, version, items })
  const row: SaveRow = {
    object: catalogueObject(member.id),
    version,
    member: member.id,
    device: '',
    asking: member.home,
    transfer: random.bytes(16),
    transfer_key: new Uint8Array(),
    root: new Uint8Array(32),
    size: bytes.length,
    sha256: new Uint8Array(createHash('sha256').update(bytes).digest()),
    name: 'catalogue',
    media: catalogueMedia,
    taken: clock.now(),
    state: 'buffered',
    problem: null,
    tries: 0,
    at: clock.now(),
    kept: null,
    receipt: null,
    journal: null,
    class: 0,
    place: 0,
    held: null,
  }
  await saves.add(sql, row)
  await catalogues.put(sql, {
    ...known,
    version,
    dirty: 0,
    content: encrypt0(bytes, memberKey, random.bytes(12), catalogueDomain),
  })
}

/** What is being kept as a catalogue; undefined when another version has taken its place. */
export async function catalogueBytes(sql: Sql, row: SaveRow, keys: PlacementKeys): Promise<Uint8Array | undefined> {
  const known = await catalogues.get(sql, row.member)
  const member = await members.byId(sql, row.member)
  if (!known || !member || known.version !== row.version || known.content.length === 0) return undefined
  return decrypt0(known.content, unwrapMemberKey(keys, member.wrapped_key), catalogueDomain)
}
