/** Members' wishes as they come over the contracts (D8): each is decided and written in one transaction. */

import { createHash } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import {
  makeRequest,
  readErasures,
  readHistory,
  readHistoryBySession,
  readSettings,
  readSettingsBySession,
  type Wish,
} from '@azukari/protocol/contracts/member-request'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { call, memberCall, signedAct } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { sealEntry } from '../journal/journal.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import { memberOfSigner } from '../members/signers.ts'
import { reclassify } from '../moves/mover.ts'
import { reasonText } from '../risk/reasons.ts'
import { catalogueMedia, journal, type MemberRow, members, replicas, type SaveRow, servers } from '../store.ts'
import { beginErasure, erasing, erasures, memberRequests } from './erasures.ts'

export interface RequestPorts {
  sql: Sql
  keys: PlacementKeys
  random: Random
  /** @throws {Problem} `session.*` */
  memberOf(session: Uint8Array, device: string): Uint8Array
  /** @throws {Problem} `card.unknown`, `member.suspended` */
  active(sql: Sql, member: MemberRow | undefined): Promise<MemberRow>
  /** Where data may lie has changed. */
  changed(): void
  /** There is something to erase. */
  erase(): void
}

const first = new Uint8Array(16)

export function requestHandlers(ports: RequestPorts) {
  return [
    signedAct(makeRequest, async (_request, { sql, caller, nowMs, afterCommit, signed }) => {
      const { body: said, payload } = signed
      const signedBy = memberOfSigner(signed.signer)
      const digest = new Uint8Array(createHash('sha256').update(payload).digest())
      ports.keys.requireAddressed(said.audience, nowMs)
      if (!sameBytes(said.member, signedBy.id)) throw new Problem('cose.bad-signature', 'the signer is another member')
      // A wish has its effect once, whoever brings it again.
      const known = await memberRequests.of(sql, said.act)
      if (known) {
        if (!sameBytes(known.digest, digest)) throw new Problem('act.conflict', 'another wish has this id')
        return { act: known.act, acceptedMs: known.at, objects: known.objects }
      }
      if (said.expiresMs < nowMs) throw new Problem('message.expired', 'the wish is too old')
      const member = await ports.active(sql, signedBy)
      const objects = await perform(ports, sql, member, said.wish, said.act, nowMs)
      await memberRequests.add(sql, {
        act: said.act,
        member: member.id,
        device: caller.device,
        kind: said.wish.kind,
        digest,
        at: nowMs,
        objects,
        closing: null,
      })
      afterCommit(() => (said.wish.kind === 'consent' ? ports.changed() : ports.erase()))
      return { act: said.act, acceptedMs: nowMs, objects }
    }),

    call(readErasures, async ({ act: id, after = first, limit }, { caller }) => {
      const wish = await memberRequests.of(ports.sql, id)
      if (!wish || wish.device !== caller.device) throw new Problem('object.unknown', 'no wish of this device')
      return {
        askedMs: wish.at,
        open: await erasures.openOf(ports.sql, id),
        erasures: await mapInOrder(await erasures.page(ports.sql, id, after, limit), async ({ object, receipt }) => ({
          object,
          waiting: await erasing.waiting(ports.sql, object),
          ...(receipt ? { receipt } : {}),
        })),
        ...(wish.closing ? { closing: wish.closing } : {}),
      }
    }),

    memberCall(readSettings, (_body, { member }) => settingsOf(ports.sql, member.id)),
    call(readSettingsBySession, ({ session }, { caller }) =>
      settingsOf(ports.sql, ports.memberOf(session, caller.device)),
    ),

    memberCall(readHistory, async ({ after = first, limit }, { member }) => ({
      items: await historyOf(ports.sql, member.id, after, limit),
    })),
    call(readHistoryBySession, async ({ session, after = first, limit }, { caller }) => ({
      items: await historyOf(ports.sql, ports.memberOf(session, caller.device), after, limit),
    })),
  ]
}

async function settingsOf(sql: Sql, id: Uint8Array) {
  const member = await members.byId(sql, id)
  if (!member) throw new Problem('session.ended', 'the account is gone')
  return { location: member.location === 1, abroad: member.abroad === 1, retentionDays: member.retention }
}

/** @returns how many objects are to be erased */
async function perform(
  ports: RequestPorts,
  sql: Sql,
  member: MemberRow,
  wish: Wish,
  id: Uint8Array,
  nowMs: number,
): Promise<number> {
  switch (wish.kind) {
    case 'erase':
      for (const object of wish.objects) {
        const row = await wanted(sql, object)
        // Another member's object is told of no more than one that never was.
        if (!row || !sameBytes(row.member, member.id)) throw new Problem('object.unknown')
        await beginErasure(sql, row, { act: id, cause: 'member', atMs: nowMs })
      }
      return wish.objects.length
    case 'close': {
      const rows = await sql.all<SaveRow>(
        // Of each object one version.
        `SELECT * FROM saves AS s WHERE member = ? AND state <> 'erasing' AND NOT EXISTS (
           SELECT 1 FROM saves AS o WHERE o.object = s.object AND o.version > s.version AND o.state <> 'erasing')`,
        member.id,
      )
      for (const row of rows) await beginErasure(sql, row, { act: id, cause: 'closing', atMs: nowMs })
      await sql.run('DELETE FROM catalogues WHERE member = ?', member.id)
      await change(ports, sql, member, { status: 'closing' })
      return rows.length
    }
    case 'consent':
      await change(ports, sql, member, { location: wish.location ? 1 : 0, abroad: wish.abroad ? 1 : 0 })
      if ((member.abroad === 1) !== wish.abroad) await reclassify(sql, member.id)
      return 0
    case 'retention':
      await change(ports, sql, member, { retention: wish.days })
      return 0
  }
}

/** A member's own object that is not being erased; catalogues are no objects of the member's making. */
async function wanted(sql: Sql, object: Uint8Array): Promise<SaveRow | undefined> {
  return sql.get<SaveRow>(
    "SELECT * FROM saves WHERE object = ? AND state <> 'erasing' AND media <> ? ORDER BY version DESC LIMIT 1",
    object,
    catalogueMedia,
  )
}

async function change(
  { keys, random }: RequestPorts,
  sql: Sql,
  member: MemberRow,
  to: Partial<Pick<MemberRow, 'location' | 'abroad' | 'retention' | 'status'>>,
): Promise<void> {
  const now: MemberRow = { ...member, ...to }
  await sql.run(
    'UPDATE members SET location = ?, abroad = ?, retention = ?, status = ? WHERE id = ?',
    now.location,
    now.abroad,
    now.retention,
    now.status,
    now.id,
  )
  const { auth_kid: _a, acts_kid: _b, counter: _c, ...entry } = now
  await journal.append(sql, sealEntry({ kind: 'member', ...entry }, keys.recovery, random))
}

async function historyOf(sql: Sql, member: Uint8Array, after: Uint8Array, limit: number) {
  const regions = new Map((await servers.all(sql)).map(({ id, region }) => [id, region]))
  const regionOf = (server: string) => regions.get(server)
  return await mapInOrder(
    await sql.all<SaveRow>(
      `SELECT * FROM saves WHERE member = ? AND state = 'kept' AND media <> ? AND object > ? ORDER BY object LIMIT ?`,
      member,
      catalogueMedia,
      after,
      limit,
    ),
    async (row) => ({
      object: row.object,
      version: row.version,
      name: row.name,
      mediaType: row.media,
      sizeBytes: row.size,
      takenMs: row.taken,
      keptMs: row.kept!,
      device: row.device,
      receipt: row.receipt!,
      places: await mapInOrder(
        await replicas.of(sql, row.object, row.version),
        async ({ slot, server, algorithm, epoch, reason }) => ({
          slot,
          server,
          algorithm,
          epoch,
          region: regionOf(server)!,
          en: reasonText(reason, 'en', regionOf).slice(0, 1000),
          ja: reasonText(reason, 'ja', regionOf).slice(0, 1000),
        }),
      ),
    }),
  )
}
