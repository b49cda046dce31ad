/** What a member's card is told about an object, and what a device is told about a save (S7, S8). */

import { encodeDeterministic } from '@azukari/protocol/codec'
import { type Conditions, conditionsDomain, receiptDomain, type SaveReceipt } from '@azukari/protocol/contracts/save'
import { encryptTo, encryptToRsa, type Signer, sign1 } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import { kindOf, parseCoseKey } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import { distanceKm, regions } from '../../../geography.ts'
import type { Sql } from '../../../storage/database.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import { unwrapDataKey, unwrapMemberKey } from '../keys/keystore.ts'
import { type ReplicaRow, type SaveRow, servers } from '../store.ts'

/** Longest name in conditions, in UTF-8 bytes: they must fit a record of the card, so a long name is cut, never a key. */
const nameMaxBytes = 90

/** S8: what is needed to fetch and open the object without placement. */
export async function conditionsOf(
  sql: Sql,
  memberKey: Uint8Array,
  row: SaveRow,
  standing: readonly ReplicaRow[],
): Promise<Conditions> {
  return {
    object: row.object,
    version: row.version,
    name: cut(row.name),
    mediaType: row.media,
    sizeBytes: row.size,
    sha256: row.sha256,
    takenMs: row.taken,
    replicas: await mapInOrder(standing, async (replica) => {
      const server = (await servers.byId(sql, replica.server))!
      return {
        slot: replica.slot,
        server: replica.server,
        serverKey: server.kid,
        region: server.region,
        algorithm: replica.algorithm,
        keyId: replica.key_id,
        dataKey: unwrapDataKey(memberKey, replica.wrapped_key),
        prefix: replica.prefix,
        root: replica.root!,
        sealedBytes: replica.sealed,
      }
    }),
  }
}

/** The same, sealed to the member's card. */
export async function conditionsFor(
  { sql, keys, random }: { sql: Sql; keys: PlacementKeys; random: Random },
  row: SaveRow,
  standing: readonly ReplicaRow[],
  member: { agreement_key: Uint8Array; wrapped_key: Uint8Array },
): Promise<Uint8Array> {
  const body = await conditionsOf(sql, unwrapMemberKey(keys, member.wrapped_key), row, standing)
  const recipient = parseCoseKey(member.agreement_key)
  const seal = kindOf(recipient) === 'rsa' ? encryptToRsa : encryptTo
  return seal(recipient, encodeDeterministic(body), conditionsDomain, random)
}

/** S7: placement's signed word that both replicas stand, and where. */
export async function receiptFor(
  sql: Sql,
  row: SaveRow,
  standing: readonly ReplicaRow[],
  keptMs: number,
  signer: Signer & { sign(toBeSigned: Uint8Array): Uint8Array },
): Promise<Uint8Array> {
  const asking = regions.get(row.asking)
  const body: SaveReceipt = {
    object: row.object,
    version: row.version,
    member: row.member,
    sha256: row.sha256,
    sizeBytes: row.size,
    keptMs,
    replicas: await mapInOrder(standing, async (replica) => {
      const server = (await servers.byId(sql, replica.server))!
      return {
        slot: replica.slot,
        server: replica.server,
        region: server.region,
        distanceKm: asking ? Math.round(distanceKm(asking, server)) : 0,
        algorithm: replica.algorithm,
        sealedBytes: replica.sealed,
      }
    }),
  }
  return sign1(encodeDeterministic(body), signer, receiptDomain)
}

function cut(name: string): string {
  let short = name
  while (Buffer.byteLength(short) > nameMaxBytes) short = [...short].slice(0, -1).join('')
  return short
}
