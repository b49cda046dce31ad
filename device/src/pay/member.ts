/**
 * What a member's terminal says to settlement, and how it reads the answers (P1–P8): messages built and opened, nothing
 * sent. The keys come out of the vault for as long as one of these lives.
 */
import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker, type Static, type TSchema } from '@azukari/protocol/contract'
import {
  BillReceipt,
  billReceiptDomain,
  choosePayment,
  Decision,
  decisionDomain,
  Objection,
  type ObjectionAbout,
  objectionDomain,
  objectTo,
  PayChoice,
  type PaymentWay,
  payChoiceDomain,
  Statement,
  statementDomain,
  statementPageDomain,
} from '@azukari/protocol/contracts/settlement-billing'
import { chooseMail, MailChoice, mailChoiceDomain } from '@azukari/protocol/contracts/settlement-mail'
import {
  Application,
  applicationDomain,
  apply,
  Found,
  foundDomain,
  Loss,
  lossDomain,
  Membership,
  membershipDomain,
  type Person,
  Registration,
  Revocation,
  Rotation,
  RotationProof,
  register,
  registrationDomain,
  reportFound,
  reportLoss,
  revocationDomain,
  revoke,
  rotate,
  rotationDomain,
} from '@azukari/protocol/contracts/settlement-members'
import {
  actAsShop,
  balanceDomain,
  Dispute,
  disputeDomain,
  disputeOrder,
  Instruction,
  instructionDomain,
  instructPayment,
  MeterTick,
  noticeDomain,
  type OfferItem,
  Order,
  offerListDomain,
  orderDomain,
  PayNotice,
  PayResult,
  payReceipt,
  payReceiptDomain,
  placeOrder,
  putOffer,
  ShopAct,
  ShopOffer,
  shopActDomain,
  tickDomain,
} from '@azukari/protocol/contracts/settlement-purchase'
import {
  AccountQuery,
  AccountState,
  accountQueryDomain,
  accountStateDomain,
  issueDomain,
  readAccount,
  requestValue,
  TopUpRequest,
  type TopUpWay,
  topUpDomain,
  ValueIssue,
} from '@azukari/protocol/contracts/settlement-value'
import { encryptTo, sign1, signerOf, verify1 } from '@azukari/protocol/cose'
import { coseKey, parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Currency, Money } from '@azukari/protocol/money'
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openSealed, sealSigned } from '@azukari/protocol/signed-sealed'

/** A member's key pair: one to sign, one to receive. */
export interface MemberKeys {
  signing: KeyObject
  agreement: KeyObject
}

/** Settlement's public keys, as the guide gave them and the vault keeps them. */
export interface CentreKeys {
  key: KeyObject
  agreement: KeyObject
}

export interface PayPorts {
  clock: Pick<Clock, 'now'>
  random: Pick<Random, 'bytes'>
}

/** How long a signed act is good: a device may be without a network for days. */
const validMs = 7 * 86_400_000

export function centreKeys({ key, agreement }: { key: Uint8Array; agreement: Uint8Array }): CentreKeys {
  return { key: parseCoseKey(key), agreement: parseCoseKey(agreement) }
}

/** An application needs no key yet; it is sealed, because it is about a person. */
export function sealApplication(
  centre: CentreKeys,
  application: Omit<Application, 'contract'>,
  random: Pick<Random, 'bytes'>,
): Uint8Array {
  const body: Application = { contract: apply.id, ...application }
  return encryptTo(centre.agreement, encodeDeterministic(checked(Application, body)), applicationDomain, random)
}

/** A report of loss needs the letter's code, not the key that is lost. */
export function sealLoss(centre: CentreKeys, loss: Omit<Loss, 'contract'>, random: Pick<Random, 'bytes'>): Uint8Array {
  const body: Loss = { contract: reportLoss.id, ...loss }
  return encryptTo(centre.agreement, encodeDeterministic(checked(Loss, body)), lossDomain, random)
}

export class PayMember {
  readonly #keys: MemberKeys
  readonly #centre: CentreKeys
  readonly #ports: PayPorts

  constructor(keys: MemberKeys, centre: CentreKeys, ports: PayPorts) {
    this.#keys = keys
    this.#centre = centre
    this.#ports = ports
  }

  /** The registration, signed with the new key and sealed under a key of this exchange (P3). */
  registration(given: { number: string; code: string; person: Person; card?: Uint8Array }): Uint8Array {
    return this.#seal(Registration, registrationDomain, {
      contract: register.id,
      ...given,
      ...this.#publicKeys(),
    })
  }

  rotation(next: MemberKeys): Uint8Array {
    const keys = { key: coseKey(publicOf(next.signing)), agreement: coseKey(publicOf(next.agreement)) }
    const proof = sign1(
      encodeDeterministic(checked(RotationProof, { follows: thumbprint(this.#keys.signing), ...keys })),
      signerOf(next.signing),
      rotationDomain,
    )
    return this.#seal(Rotation, rotationDomain, { contract: rotate.id, ...keys, proof })
  }

  revocation(reason: string): Uint8Array {
    return this.#seal(Revocation, revocationDomain, { contract: revoke.id, reason })
  }

  /** The card that was reported lost is here again. */
  found(): Uint8Array {
    return this.#seal(Found, foundDomain, { contract: reportFound.id })
  }

  topUp(way: TopUpWay, amount: Money, cardToken?: string): Uint8Array {
    const token = cardToken === undefined ? {} : { cardToken }
    return this.#seal(TopUpRequest, topUpDomain, { contract: requestValue.id, way, amount, ...token })
  }

  offer(items: OfferItem[]): Uint8Array {
    return sign1(this.#body(ShopOffer, { contract: putOffer.id, items }), signerOf(this.#keys.signing), offerListDomain)
  }

  order(shop: string, lines: { item: string; count: number }[]): Uint8Array {
    return this.#seal(Order, orderDomain, { contract: placeOrder.id, shop, lines })
  }

  instruction(transaction: string, shop: string, amount: Money): Uint8Array {
    return this.#seal(Instruction, instructionDomain, { contract: instructPayment.id, transaction, shop, amount })
  }

  /** Handed to the shop while a metered order is used: so many units so far. */
  tick(transaction: string, units: number): Uint8Array {
    const body = checked(MeterTick, { transaction, units, atMs: this.#ports.clock.now() })
    return sign1(encodeDeterministic(body), signerOf(this.#keys.signing), tickDomain)
  }

  shopAct(transaction: string, what: ShopAct['what']): Uint8Array {
    return this.#seal(ShopAct, shopActDomain, { contract: actAsShop.id, transaction, what })
  }

  dispute(transaction: string, reason: string): Uint8Array {
    return this.#seal(Dispute, disputeDomain, { contract: disputeOrder.id, transaction, reason })
  }

  accountQuery(currency: Currency, beforeSeq?: number): Uint8Array {
    const before = beforeSeq === undefined ? {} : { beforeSeq }
    return this.#seal(AccountQuery, accountQueryDomain, { contract: readAccount.id, currency, ...before })
  }

  objection(statement: string, about: ObjectionAbout, text: string): Uint8Array {
    return this.#seal(Objection, objectionDomain, { contract: objectTo.id, statement, about, text })
  }

  /** How statements are to be paid; with the way `card`, the card company's token. */
  payChoice(way: PaymentWay, cardToken?: string): Uint8Array {
    const token = cardToken === undefined ? {} : { cardToken }
    return this.#seal(PayChoice, payChoiceDomain, { contract: choosePayment.id, way, ...token })
  }

  /** Where letters go; without an address none are written. */
  mailChoice(mail?: string): Uint8Array {
    const address = mail === undefined ? {} : { mail }
    return this.#seal(MailChoice, mailChoiceDomain, { contract: chooseMail.id, ...address })
  }

  openIssue(sealed: Uint8Array): ValueIssue {
    return this.#open(ValueIssue, issueDomain, sealed)
  }

  openResult(sealed: Uint8Array): PayResult {
    return this.#open(PayResult, balanceDomain, sealed)
  }

  openNotice(sealed: Uint8Array): PayNotice {
    return this.#open(PayNotice, noticeDomain, sealed)
  }

  openAccount(sealed: Uint8Array): AccountState {
    return this.#open(AccountState, accountStateDomain, sealed)
  }

  openStatement(sealed: Uint8Array): Statement {
    return this.#open(Statement, statementDomain, sealed)
  }

  /** A statement's page, a PDF. @throws {Problem} `cose.*` */
  openPage(sealed: Uint8Array): Uint8Array {
    const signed = openSealed(sealed, this.#keys.agreement, statementPageDomain)
    return payloadFromCentre(this.#centre, statementPageDomain, signed)
  }

  openDecision(sealed: Uint8Array): Decision {
    return this.#open(Decision, decisionDomain, sealed)
  }

  #publicKeys() {
    return { key: coseKey(publicOf(this.#keys.signing)), agreement: coseKey(publicOf(this.#keys.agreement)) }
  }

  #body<S extends TSchema>(schema: S, said: object): Uint8Array {
    const { clock, random } = this.#ports
    const issuedMs = clock.now()
    const fields = {
      audience: thumbprint(this.#centre.key),
      act: random.bytes(16),
      issuedMs,
      expiresMs: issuedMs + validMs,
    }
    return encodeDeterministic(checked(schema, { ...said, ...fields }))
  }

  #seal<S extends TSchema>(schema: S, domain: Uint8Array, said: object): Uint8Array {
    const body = decode(this.#body(schema, said))
    return sealSigned(body, signerOf(this.#keys.signing), domain, this.#centre.agreement, this.#ports.random)
  }

  /** What settlement signed and sealed for this member's present key. @throws {Problem} `cose.*`, `message.invalid` */
  #open<S extends TSchema>(schema: S, domain: Uint8Array, sealed: Uint8Array): Static<S> {
    const body = fromCentre(this.#centre, schema, domain, openSealed(sealed, this.#keys.agreement, domain))
    const { audience } = body as { audience: Uint8Array }
    if (Buffer.compare(audience, thumbprint(this.#keys.signing)) !== 0) throw new Problem('cose.wrong-audience')
    return body
  }
}

/** Receipts and membership are signed for anyone to check, with settlement's public key alone. */
export function openMembership(centre: CentreKeys, signed: Uint8Array): Membership {
  return fromCentre(centre, Membership, membershipDomain, signed)
}

export function openPayReceipt(centre: CentreKeys, signed: Uint8Array): Static<typeof payReceipt> {
  return fromCentre(centre, payReceipt, payReceiptDomain, signed)
}

export function openBillReceipt(centre: CentreKeys, signed: Uint8Array): BillReceipt {
  return fromCentre(centre, BillReceipt, billReceiptDomain, signed)
}

function fromCentre<S extends TSchema>(
  centre: CentreKeys,
  schema: S,
  domain: Uint8Array,
  signed: Uint8Array,
): Static<S> {
  return checked(schema, decode(payloadFromCentre(centre, domain, signed)))
}

function payloadFromCentre({ key }: CentreKeys, domain: Uint8Array, signed: Uint8Array): Uint8Array {
  return verify1(signed, (kid) => (Buffer.compare(kid, thumbprint(key)) === 0 ? key : undefined), domain).payload
}

function checked<S extends TSchema>(schema: S, value: unknown): Static<S> {
  return checker(schema, 'message of settlement')(value)
}
