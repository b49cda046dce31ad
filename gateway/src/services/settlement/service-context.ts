/** What every part of settlement works with: keys, ports, rules, and how it speaks to members. */
import { createHash, type KeyObject } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import type { Contract, ReplyOf, SignedOf } from '@azukari/protocol/contract'
import { type DirectSigner, signerOf } from '@azukari/protocol/cose'
import { parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Currency } from '@azukari/protocol/money'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { sealSigned } from '@azukari/protocol/signed-sealed'
import type { SignatureChecks } from '../../service/checks.ts'
import { claimSignedAct } from '../../service/inbox.ts'
import type { LinkKeys } from '../../service/links.ts'
import { type ActContext, type Handler, type ServiceStore, signedAct } from '../../service/service.ts'
import type { SignedContent, Signers } from '../../service/signed.ts'
import type { Sql } from '../../storage/database.ts'
import type { TrueTypeFont } from './documents/true-type.ts'
import type { SettlementKeys } from './keystore.ts'
import { type KeyRow, type MemberRow, memberKeys, members } from './members/registers.ts'

export interface SettlementRules {
  /** Version of the terms in force; applications must name it. */
  terms: string
  guide: { ja: string; en: string }
  /** The text of those terms. */
  conditions: { ja: string; en: string }
  currencies: readonly Currency[]
  /** Name and registration number on statements (qualified invoices). */
  issuer: { name: string; invoiceNumber: string }
  /** How long the code of a letter is good, ms. */
  codeMs: number
  /** How long an order waits for its payment, ms. */
  orderMs: number
  /** How long money for stored value is waited for, ms. */
  topUpMs: number
  /** How long an unclaimed metered payment stays reserved, ms. */
  meterMs: number
  /** How long after payment a buyer may dispute, ms. */
  disputeMs: number
  /** How far a device's clock may be ahead, ms. */
  skewMs: number
  /** The longest validity of a signed act: as long as a device may be without a network, ms. */
  validMs: number
}

const minuteMs = 60_000
const dayMs = 86_400_000
export const defaultRules: SettlementRules = {
  terms: '2026-1',
  guide: {
    ja: '申込みをお送りください。会員番号と登録コードを郵送します。端末で二つのパスワードと鍵を作り、登録してください。',
    en: 'Send the application. The member number and a code come by letter. Then make your passwords and key on the terminal and register.',
  },
  conditions: {
    ja: `会員番号と登録コードは郵送します。署名の鍵は会員の端末だけで作られ、端末とカードの外には出ません。鍵による署名は会員本人の意思表示として扱います。
鍵・カード・番号を失ったときは、郵送した停止コードで直ちに届け出てください。届出の後の取引について会員は責任を負いません。
料金は締切日ごとに明細でお知らせします。明細に記した期限までに異議を申し立てることができ、異議が解決するまで引き落としません。
氏名・住所・口座などの個人情報は、入会の審査、郵送、料金の請求と支払、法令に基づく場合のほかには用いず、暗号化して保管します。会員はいつでも、その写しの交付と、法令が保存を求める記録を除く消去を求めることができます。`,
    en: `The member number and a registration code come by letter. Your signature key is made on your own terminal and never leaves it and your card. What it signs counts as your own will.
If you lose your key, card or number, report it at once with the blocking code of the letter. You are not liable for what happens after that.
Fees are told by a statement on each closing day. You may object until the deadline on it, and nothing is collected while an objection is open.
Name, address, account and other personal data are used for this application, for letters, for billing and payment and where the law demands it, and for nothing else; they are kept encrypted. You may ask for a copy at any time, and for erasure of all that the law does not oblige us to keep.`,
  },
  currencies: ['JPY'],
  issuer: { name: 'Azukari', invoiceNumber: 'T0000000000000' },
  codeMs: 90 * dayMs,
  orderMs: 30 * minuteMs,
  topUpMs: 14 * dayMs,
  meterMs: dayMs,
  disputeMs: 30 * dayMs,
  skewMs: 5 * minuteMs,
  validMs: 31 * dayMs,
}

export interface ServiceContext {
  keys: SettlementKeys
  signer: DirectSigner
  /** Thumbprint of the signing key: the audience of what members sign. */
  self: Uint8Array
  store: ServiceStore
  clock: Clock
  random: Random
  log: Log
  rules: SettlementRules
  /** The font whose glyphs pages carry; without one they name the reader's own. */
  font: (() => TrueTypeFont | undefined) | undefined
  /** Something has happened that a shop's webhooks are to hear of. */
  onShopEvent: () => void
  /** There is a letter to send; undefined where no mail server is named. */
  onMail: (() => void) | undefined
}

export function createServiceContext(
  options: Omit<ServiceContext, 'signer' | 'self' | 'rules'> & { rules?: Partial<SettlementRules> },
): ServiceContext {
  return {
    ...options,
    rules: { ...defaultRules, ...options.rules },
    signer: signerOf(options.keys.signing),
    self: thumbprint(options.keys.signing),
  }
}

/** What every signed body has. */
export interface SignedBody {
  contract: string
  audience: Uint8Array
  act: Uint8Array
  issuedMs: number
  expiresMs: number
}

export interface FromMember<T> {
  member: MemberRow
  key: KeyRow
  body: T
}

/** What a part of an act's context is needed to speak and write. */
export type Within = Pick<ActContext, 'sql' | 'nowMs' | 'emit' | 'offer' | 'afterCommit'>

/**
 * Judges the fields that every signed act has (P4).
 * @throws {Problem} `cose.wrong-audience`, `cose.expired`, `pay.clock`
 */
export function judgeSigned(shared: ServiceContext, body: SignedBody, nowMs: number): void {
  if (Buffer.compare(body.audience, shared.self) !== 0) throw new Problem('cose.wrong-audience')
  if (body.issuedMs > nowMs + shared.rules.skewMs) throw new Problem('pay.clock', 'signed in the future')
  if (body.expiresMs <= nowMs) throw new Problem('cose.expired')
  if (body.expiresMs - body.issuedMs > shared.rules.validMs || body.expiresMs < body.issuedMs)
    throw new Problem('pay.clock', 'a validity that cannot be right')
}

/** With which keys settlement's host verifies what is signed: those of its register. */
export function memberSigners({ keys }: Pick<ServiceContext, 'keys'>, checks: SignatureChecks | undefined): Signers {
  return { agreement: keys.agreement, checks, find: (sql, kid) => memberKeys.get(sql, kid) }
}

/** With which keys settlement's host makes and judges links: its own. */
export function linkKeys({ signing }: SettlementKeys): LinkKeys {
  const signer = signerOf(signing)
  return { signer, find: (kid) => (sameBytes(kid, signer.kid) ? publicOf(signing) : undefined) }
}

/**
 * Whose word a message is whose signature holds: the key is active, and so is its member. Nothing is claimed yet.
 * @throws {Problem} as `judgeSigned`; `register.key-revoked`, `member.suspended`
 */
export async function signerOfMember<B>(
  shared: ServiceContext,
  sql: Sql,
  { body, signer }: SignedContent<B>,
  nowMs: number,
): Promise<FromMember<B>> {
  judgeSigned(shared, body as SignedBody, nowMs)
  // It is what `memberSigners` found.
  const key = signer as KeyRow
  if (key.state !== 'active') throw new Problem('register.key-revoked')
  const member = (await members.get(sql, key.member))!
  if (member.state !== 'active') throw new Problem('member.suspended')
  return { member, key, body }
}

/** A member's signed act: claimed within the transaction, so that it is done once whatever carries it. */
export function memberAct<C extends Contract>(
  shared: ServiceContext,
  contract: C,
  handle: (from: FromMember<SignedOf<C>>, context: ActContext) => Promise<ReplyOf<C>>,
): Handler {
  return signedAct(contract, async (_request, context) => {
    const { sql, nowMs, caller, signed } = context
    const from = await signerOfMember(shared, sql, signed, nowMs)
    const { act, expiresMs } = from.body as SignedBody
    await claimSignedAct(sql, from.key.kid, act, signed.message, expiresMs)
    if (from.member.device !== caller.device) await members.moved(sql, from.member.id, caller.device)
    return handle(from, context)
  })
}

/** How long settlement's own messages are good: devices may be away for long. */
const ownValidMs = 366 * dayMs

/** Signs and seals a body for a member's present key; adds the fields that every signed message has. */
export function sealFor<T extends object>(
  shared: ServiceContext,
  key: KeyRow,
  domain: Uint8Array,
  nowMs: number,
  body: T,
): Uint8Array {
  const { random, signer } = shared
  const full = { ...body, audience: key.kid, act: random.bytes(16), issuedMs: nowMs, expiresMs: nowMs + ownValidMs }
  return sealSigned(full, signer, domain, agreementOf(key), random)
}

export function agreementOf(key: KeyRow): KeyObject {
  return parseCoseKey(key.agreement)
}

/** A 16-byte id made of names: the same cause always gives the same posting (idempotency in the ledger). */
export function derivedId(...names: (string | Uint8Array)[]): Uint8Array {
  const hash = createHash('sha256')
  for (const name of names) {
    const bytes = typeof name === 'string' ? Buffer.from(name) : name
    hash.update(Buffer.from([bytes.length >> 8, bytes.length & 0xff])).update(bytes)
  }
  return new Uint8Array(hash.digest().subarray(0, 16))
}
