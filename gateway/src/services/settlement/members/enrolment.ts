/** Enrolment (P1, P3, P4): application, letter, registration, change and loss of keys. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { base32 } from '@azukari/protocol/base32'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import {
  Application,
  applicationDomain,
  apply,
  Loss,
  lossDomain,
  type Membership,
  membershipDomain,
  type Person,
  RotationProof,
  readGuide,
  register,
  reportFound,
  reportLoss,
  revoke,
  rotate,
  rotationDomain,
} from '@azukari/protocol/contracts/settlement-members'
import type { LevelChange } from '@azukari/protocol/contracts/settlement-placement'
import { sign1, verify1 } from '@azukari/protocol/cose'
import { coseKey, kindOf, parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { openSealed } from '@azukari/protocol/signed-sealed'
import { claimSignedAct } from '../../../service/inbox.ts'
import { act, call, type Handler, signedAct } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { toHolderName } from '../bank/files/zengin-text.ts'
import { addDays, civilDate, startOfDay } from '../billing/calendar.ts'
import { letterPdf } from '../documents/letter.ts'
import { keepDocument } from '../documents/store.ts'
import { noteOperation } from '../ledger/operations.ts'
import { isNumber, nextNumber } from '../numbers.ts'
import { judgeSigned, memberAct, type ServiceContext } from '../service-context.ts'
import { type CardStanding, cardStanding, type Noting, noteStanding } from './register-sync.ts'
import { type MemberRow, memberByNumber, memberKeys, members, openPerson, sealPerson } from './registers.ts'

const checkApplication = checker(Application, 'application')
const checkLoss = checker(Loss, 'loss')
const checkProof = checker(RotationProof, 'proof of the new key')

export function enrolmentHandlers(shared: ServiceContext): Handler[] {
  const { keys, rules } = shared
  return [
    call(readGuide, () => ({
      key: coseKey(publicOf(keys.signing)),
      agreement: coseKey(publicOf(keys.agreement)),
      terms: rules.terms,
      guide: rules.guide,
      conditions: rules.conditions,
      currencies: [...rules.currencies],
    })),

    act(apply, async ({ application }, { sql, nowMs, caller, requestId }) => {
      const { kind, person, terms } = checkApplication(
        decode(openSealed(application, keys.agreement, applicationDomain)),
      )
      if (terms !== rules.terms) throw new Problem('register.terms', `${terms} instead of ${rules.terms}`)
      await insertRow(sql, 'applications', {
        id: requestId,
        kind,
        device: caller.device,
        person: sealPerson(keys, requestId, withHolder(person), shared.random),
        terms,
        at: nowMs,
      })
      return { application: requestId }
    }),

    // Signed with the very key that is registered: whoever has it wants this number.
    signedAct(register, async (_request, { sql, nowMs, caller, send, signed: { body, message, kid } }) => {
      const key = signingKey(body.key)
      judgeSigned(shared, body, nowMs)
      const member = isNumber(body.number, 'general', 'shop') ? await members.byNumber(sql, body.number) : undefined
      // Without the code of the letter every number is an unknown one: nobody learns which exist, or what became of them.
      const code = member?.code ?? member?.used_code
      if (!member || !code || !fits(body.code, code)) throw new Problem('register.unknown-number')
      if (!member.code) throw new Problem('register.number-used')
      if (member.code_until <= nowMs) throw new Problem('register.number-expired')
      if (await memberKeys.get(sql, kid)) throw new Problem('register.key-known')
      await claimSignedAct(sql, kid, body.act, message, body.expiresMs)
      const before = await memberKeys.activeOf(sql, member.id)
      if (before) await memberKeys.end(sql, before.kid, 'revoked', 'registered again', nowMs)
      const agreement = agreementKey(body.agreement)
      await memberKeys.add(sql, {
        kid,
        member: member.id,
        key: coseKey(key),
        agreement,
        state: 'active',
        since: nowMs,
        until: null,
        reason: null,
      })
      const person = sealPerson(keys, member.id, withHolder(body.person), shared.random)
      await members.registered(sql, member.id, { device: caller.device, person, card: body.card ?? null }, nowMs)
      // The card that is registered is in its member's hands; another that was reported lost stays lost.
      if (body.card) await noteStanding({ sql, nowMs, send }, member.id, body.card, { lost: false })
      return { member: member.id, membership: membership(shared, member, kid, nowMs) }
    }),

    memberAct(shared, rotate, async ({ member, key: old, body }, context) => {
      const { sql, nowMs } = context
      const key = signingKey(body.key)
      const kid = thumbprint(key)
      const proof = checkProof(
        decode(verify1(body.proof, (asked) => (same(asked, kid) ? key : undefined), rotationDomain).payload),
      )
      if (!same(proof.follows, old.kid) || !same(proof.key, body.key) || !same(proof.agreement, body.agreement))
        throw new Problem('cose.bad-signature', 'the new key says something else')
      if (await memberKeys.get(sql, kid)) throw new Problem('register.key-known')
      await memberKeys.end(sql, old.kid, 'rotated', '', nowMs)
      const agreement = agreementKey(body.agreement)
      await memberKeys.add(sql, {
        kid,
        member: member.id,
        key: coseKey(key),
        agreement,
        state: 'active',
        since: nowMs,
        until: null,
        reason: null,
      })
      return { membership: membership(shared, member, kid, nowMs) }
    }),

    memberAct(shared, revoke, async ({ member, key, body }, context) => {
      await memberKeys.end(context.sql, key.kid, 'revoked', body.reason, context.nowMs)
      await members.block(context.sql, member.id)
      return {}
    }),

    act(reportLoss, async ({ loss }, context) => {
      const { sql, nowMs } = context
      const { number, code, what } = checkLoss(decode(openSealed(loss, keys.agreement, lossDomain)))
      const member = await members.byNumber(sql, number)
      if (!member || !fits(code, member.block_code)) throw new Problem('register.unknown-number')
      await blockMember(context, member, what)
      return { blockedMs: nowMs }
    }),

    memberAct(shared, reportFound, async ({ member }, context) => {
      await cardFound(context, member)
      return { foundMs: context.nowMs }
    }),
  ]
}

/** Blocks what was lost, at once: a lost card no longer stands for its member, a lost key signs nothing more. */
async function blockMember(context: Noting, member: MemberRow, what: 'card' | 'key' | 'both'): Promise<void> {
  const { sql, nowMs } = context
  if (what !== 'key') {
    await members.blockCard(sql, member.id)
    if (member.card) await noteStanding(context, member.id, member.card, { lost: true })
  }
  if (what === 'card') return
  const active = await memberKeys.activeOf(sql, member.id)
  if (active) await memberKeys.end(sql, active.kid, 'revoked', 'lost', nowMs)
  await members.block(sql, member.id)
}

async function cardFound(context: Noting, member: MemberRow): Promise<void> {
  await members.freeCard(context.sql, member.id)
  if (member.card) await noteStanding(context, member.id, member.card, { lost: false })
}

/** The clerk's side of enrolment. */
export interface EnrolmentDesk {
  /** Applications that wait, oldest first. */
  applications(limit: number): Promise<{ id: Uint8Array; kind: string; person: Person; at: number }[]>
  /** Accepts: number and codes go into a letter. Accepting again gives the same number. @throws {Problem} `object.unknown` */
  accept(application: Uint8Array, clerk: string): Promise<{ number: string; letter: Uint8Array }>
  refuse(application: Uint8Array, clerk: string, reason: string): Promise<void>
  /** New codes by letter, after a loss or when the old ones ran out. @throws {Problem} `register.unknown-number` */
  reissue(number: string, clerk: string): Promise<{ letter: Uint8Array }>
  /** The member came with the card that was lost. @throws {Problem} `register.unknown-number` */
  found(number: string, clerk: string): Promise<void>
  /** Plan, level or home region: placement is told. @throws {Problem} `register.unknown-number`, `card.unknown` without a card */
  change(number: string, clerk: string, change: LevelChange): Promise<void>
  /** How a member's card stands, here and at placement. @throws {Problem} as `change` */
  standing(number: string): Promise<CardStanding>
}

/** @param timeZone in which the last day of a letter's code is told */
export function enrolmentDesk(shared: ServiceContext, timeZone: string): EnrolmentDesk {
  const { keys, random, rules, store } = shared
  /** A code is good to the end of the last day that its letter names. */
  const codesEnd = (nowMs: number) => startOfDay(addDays(civilDate(nowMs + rules.codeMs, timeZone), 1), timeZone)
  const send = async (
    sql: Sql,
    member: Uint8Array,
    number: string,
    person: Person,
    codes: Codes,
    nowMs: number,
  ): Promise<Uint8Array> => {
    const id = random.bytes(16)
    const content = letterPdf({
      person,
      number,
      code: codes.code,
      blockCode: codes.blockCode,
      issuer: rules.issuer.name,
      font: shared.font?.(),
      until: civilDate(codesEnd(nowMs) - 1, timeZone),
    })
    await keepDocument(shared, sql, {
      id,
      kind: 'letter',
      member,
      at: nowMs,
      content,
      name: `letter-${number}.pdf`,
      media: 'application/pdf',
    })
    return id
  }
  const newCodes = (): Codes => ({ code: base32(random.bytes(10)), blockCode: base32(random.bytes(10)) })

  return {
    applications: async (limit) =>
      (
        await store.sql.all<{ id: Uint8Array; kind: string; person: Uint8Array; at: number }>(
          'SELECT id, kind, person, at FROM applications WHERE number IS NULL AND refused IS NULL ORDER BY at LIMIT ?',
          limit,
        )
      ).map((row) => ({ ...row, person: openPerson(keys, row.id, row.person) })),

    accept: (application, clerk) =>
      store.transaction(async ({ sql, nowMs }) => {
        const row = await sql.get<{
          kind: 'general' | 'shop'
          device: string
          person: Uint8Array
          number: string | null
          refused: string | null
        }>('SELECT kind, device, person, number, refused FROM applications WHERE id = ?', application)
        if (!row || row.refused !== null) throw new Problem('object.unknown', 'no such application')
        if (row.number) return { number: row.number, letter: await letterOf(sql, row.number) }
        const number = await nextNumber(sql, row.kind, nowMs)
        const id = random.bytes(16)
        const person = openPerson(keys, application, row.person)
        const codes = newCodes()
        await members.add(sql, {
          id,
          number,
          kind: row.kind,
          state: 'invited',
          device: row.device,
          card: null,
          card_blocked: 0,
          person: sealPerson(keys, id, person, random),
          code: digest(codes.code),
          block_code: digest(codes.blockCode),
          code_until: codesEnd(nowMs),
          used_code: null,
          since: null,
          at: nowMs,
        })
        await sql.run('UPDATE applications SET number = ? WHERE id = ?', number, application)
        await noteOperation(sql, nowMs, clerk, 'accept', number)
        return { number, letter: await send(sql, id, number, person, codes, nowMs) }
      }),

    refuse: (application, clerk, reason) =>
      store.transaction(async ({ sql, nowMs }) => {
        await sql.run('UPDATE applications SET refused = ? WHERE id = ? AND number IS NULL', reason, application)
        await noteOperation(sql, nowMs, clerk, 'refuse application', Buffer.from(application).toString('hex'))
      }),

    reissue: (number, clerk) =>
      store.transaction(async ({ sql, nowMs }) => {
        const member = await memberByNumber(sql, number)
        const codes = newCodes()
        await members.newCode(sql, member.id, digest(codes.code), digest(codes.blockCode), codesEnd(nowMs))
        await noteOperation(sql, nowMs, clerk, 'reissue', number)
        return { letter: await send(sql, member.id, number, openPerson(keys, member.id, member.person), codes, nowMs) }
      }),

    found: async (number, clerk) => {
      await store.transaction(async (context) => {
        await cardFound(context, await memberByNumber(context.sql, number))
        await noteOperation(context.sql, context.nowMs, clerk, 'card found', number)
      })
    },

    change: async (number, clerk, change) => {
      await store.transaction(async (context) => {
        const { sql, nowMs } = context
        const { id } = await memberByNumber(sql, number)
        await noteStanding(context, id, await cardOf(sql, number), { change })
        await noteOperation(sql, nowMs, clerk, 'change member', `${number} ${JSON.stringify(change)}`)
      })
    },

    standing: async (number) => cardStanding(store.sql, await cardOf(store.sql, number)),
  }
}

async function cardOf(sql: Sql, number: string): Promise<Uint8Array> {
  const { card } = await memberByNumber(sql, number)
  if (!card) throw new Problem('card.unknown', `${number} has no card`)
  return card
}

interface Codes {
  code: string
  blockCode: string
}

async function letterOf(sql: Sql, number: string): Promise<Uint8Array> {
  const row = await sql.get<{ id: Uint8Array }>(
    "SELECT id FROM documents WHERE kind = 'letter' AND name = ? ORDER BY at LIMIT 1",
    `letter-${number}.pdf`,
  )
  if (!row) throw new Problem('object.unknown', 'the letter is gone')
  return row.id
}

function membership(
  shared: ServiceContext,
  { id, number, kind }: MemberRow,
  kid: Uint8Array,
  nowMs: number,
): Uint8Array {
  const body: Membership = { member: id, number, kind, key: kid, atMs: nowMs }
  return sign1(encodeDeterministic(body), shared.signer, membershipDomain)
}

/** @throws {Problem} `cose.wrong-algorithm` for keys that cannot sign */
function signingKey(bytes: Uint8Array) {
  const key = publicOf(parseCoseKey(bytes))
  if (kindOf(key) === 'x25519') throw new Problem('cose.wrong-algorithm', 'this key cannot sign')
  return key
}

/** @throws {Problem} `cose.wrong-algorithm` for keys on which nothing can be agreed */
function agreementKey(bytes: Uint8Array): Uint8Array {
  const key = publicOf(parseCoseKey(bytes))
  const kind = kindOf(key)
  if (kind !== 'x25519' && kind !== 'p256') throw new Problem('cose.wrong-algorithm', 'this key does not agree')
  return coseKey(key)
}

function digest(code: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update('azukari/letter-code/1').update(code).digest())
}

function fits(code: string, kept: Uint8Array): boolean {
  return timingSafeEqual(digest(code), kept)
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** The holder's name as banks' files have it: what cannot be written there is told now, not when money is to be paid. */
function withHolder(person: Person): Person {
  const { account } = person
  return account ? { ...person, account: { ...account, holder: toHolderName(account.holder) } } : person
}
