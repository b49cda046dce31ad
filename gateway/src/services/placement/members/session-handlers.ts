/** A member's session as placement answers it (S1–S3, S8): challenge, proof, tokens, and what the card does not have yet. */
import type { KeyObject } from 'node:crypto'
import { hex } from '@azukari/protocol/bytes'
import { providerProofMessage } from '@azukari/protocol/card/layout'
import { decode } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { findings, findingsBySession, findingsTold } from '@azukari/protocol/contracts/audit'
import {
  closeSession,
  conditionsDigest,
  conditionsWritten,
  openSession,
  pendingConditions,
  pendingConditionsBySession,
  proveSession,
  renewSession,
  SessionProof,
  sessionDomain,
} from '@azukari/protocol/contracts/session'
import { type DirectSigner, signerOf, verify1 } from '@azukari/protocol/cose'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import { memberTokenLifeMs, signMemberToken } from '@azukari/protocol/member-token'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { act, type Caller, call, type Handler, memberCall } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { findingsFor, noteTold } from '../audit/notify.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import { mayShowLevel } from '../saves/held.ts'
import { catalogues, conditions, type MemberRow, members } from '../store.ts'
import type { Recalls } from './recalls.ts'
import type { Session, Sessions } from './sessions.ts'

export interface SessionPorts {
  sql: Sql
  transaction(work: (sql: Sql) => Promise<void> | void): Promise<void>
  /** Placement's own. */
  signer: DirectSigner
  keys: PlacementKeys
  sessions: Sessions
  recalls: Recalls
  log: Log
  /** From how many impostors of one server on its members are told (S12). */
  impostorsTold: number
  /** A member's card has proved itself at a device. */
  proven(member: Uint8Array, caller: Caller): Promise<void>
  /** @throws {Problem} `card.unknown`, `member.suspended`, `card.lost` */
  mayAct(sql: Sql, member: MemberRow | undefined): Promise<MemberRow>
}

const checkProof = checker(SessionProof, 'session proof')

export function sessionHandlers({
  sql,
  transaction,
  signer,
  keys,
  sessions,
  recalls,
  log,
  impostorsTold,
  proven,
  mayAct,
}: SessionPorts): Handler[] {
  const cardSigner = signerOf(keys.card)
  const pendingFor = (member: Uint8Array) => pendingOf(sql, member)
  const tokenFor = ({ id, card, device }: Session, { id: member, level }: MemberRow, nowMs: number) => ({
    token: signMemberToken({ id: member, level, card, session: id, device }, nowMs, signer),
    lifeMs: memberTokenLifeMs,
  })
  return [
    call(openSession, async ({ card, operation }, { caller }) => {
      await mayAct(sql, await members.byCard(sql, card))
      const session = sessions.open(caller.device, operation, card)
      return {
        session: session.id,
        challenge: session.challenge,
        verifier: thumbprint(keys.signing),
        expiresMs: session.expiresMs,
      }
    }),

    call(proveSession, async ({ session: id, proof, cardChallenge }, { caller, nowMs }) => {
      const session = sessions.of(id, caller.device)
      const member = await mayAct(sql, await members.byCard(sql, session.card))
      let said: SessionProof
      try {
        said = checkProof(
          decode(verify1(proof, keyOf(member.auth_kid, member.auth_key, 'card.rejected'), sessionDomain).payload),
        )
        if (
          !same(said.session, id) ||
          !same(said.challenge, session.challenge) ||
          !keys.takes(said.verifier, nowMs) ||
          said.device !== caller.device ||
          said.operation !== session.operation
        )
          throw new Problem('card.rejected', 'the card signed something else')
        // A level that was changed reaches the card in the session that begins here; until then it may show the old one.
        // With several changes between two sessions, it shows any of them that a session may have written.
        if (!(await mayShowLevel(sql, member, said.level)))
          throw new Problem('level.mismatch', `card ${said.level}, register ${member.level}`)
        if (said.counter < member.counter)
          log.warn('a card shows an older counter', {
            member: hex(member.id),
            counter: said.counter,
            known: member.counter,
          })
      } catch (error) {
        // S2: told and closed; the challenge is spent.
        sessions.close(id)
        recalls.answered(member.id, caller.device, false)
        throw error instanceof Problem && error.code.startsWith('cose.')
          ? new Problem('card.rejected', error.code)
          : error
      }
      if (said.level === member.level && (member.card_level !== null || (await members.showsOther(sql, member.id))))
        await transaction((sql) => members.sawLevel(sql, member.id))
      sessions.prove(session, member.id)
      recalls.answered(member.id, caller.device, true)
      await proven(member.id, caller)
      return {
        member: member.id,
        name: member.name,
        level: member.level,
        home: member.home,
        expiresMs: session.expiresMs,
        token: tokenFor(session, member, nowMs),
        location: member.location === 1,
        ...(cardChallenge ? { cardProof: cardSigner.sign(providerProofMessage(session.card, cardChallenge)) } : {}),
        ...(await pendingFor(member.id)),
      }
    }),

    call(renewSession, async ({ session: id }, { caller, nowMs }) => {
      const session = sessions.of(id, caller.device)
      return tokenFor(session, await mayAct(sql, await members.byId(sql, sessions.memberOf(id, caller.device))), nowMs)
    }),

    memberCall(pendingConditions, (_body, { member }) => pendingFor(member.id)),
    call(pendingConditionsBySession, ({ session }, { caller }) =>
      pendingFor(sessions.memberOf(session, caller.device)),
    ),

    // After the session's end this is refused, and the next session tells the card again: harmless.
    act(conditionsWritten, async ({ session, written, counter }, { sql, caller, nowMs }) => {
      const member = sessions.findMember(session, caller.device)
      if (!member) throw new Problem('session.expired', 'the next session tells the card again')
      for (const { object, version, digest } of written) {
        // What was written may have been replaced since: then the card is told again.
        const row = digest && (await conditions.get(sql, member, object, version))
        if (!row || same(conditionsDigest(row.record), digest))
          await conditions.written(sql, member, object, version, nowMs)
      }
      await members.sawCounter(sql, member, counter)
      return {}
    }),

    memberCall(findings, (_body, { member }) => findingsFor(sql, member.id, impostorsTold)),
    call(findingsBySession, ({ session }, { caller }) =>
      findingsFor(sql, sessions.memberOf(session, caller.device), impostorsTold),
    ),

    act(findingsTold, async ({ session, findings: ids }, { sql, caller, nowMs }) => {
      const member = sessions.findMember(session, caller.device)
      if (!member) throw new Problem('session.expired', 'the next session tells the member again')
      await noteTold(sql, member, ids, nowMs)
      return {}
    }),

    call(closeSession, ({ session: id }, { caller }) => {
      sessions.close(sessions.of(id, caller.device).id)
      return {}
    }),
  ]
}

async function pendingOf(sql: Sql, member: Uint8Array) {
  const rows = await conditions.pending(sql, member, 9)
  const catalogue = (await catalogues.get(sql, member))?.record
  return {
    ...(catalogue ? { catalogue } : {}),
    pending: rows.slice(0, 8).map(({ object, version, record }) => ({ object, version, record })),
    morePending: rows.length > 8,
  }
}

function keyOf(kid: Uint8Array, key: Uint8Array, otherwise: 'card.rejected'): (asked: Uint8Array) => KeyObject {
  return (asked) => {
    if (!same(asked, kid)) throw new Problem(otherwise, 'another card answered')
    return parseCoseKey(key)
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(b)
}
