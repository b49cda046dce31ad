/** Settlement's registers: guide, application, registration, change and loss of keys (P1, P3, P4). */
import { Bytes, contract, Hash, Id, Nothing, type Static, Text, TimeMs, Type } from '../contract.ts'
import { CurrencyCode } from '../money.ts'
import { signedFields } from '../signed-sealed.ts'

const utf8 = new TextEncoder()
export const applicationDomain = utf8.encode('azukari/settle-application/1')
export const registrationDomain = utf8.encode('azukari/settle-registration/1')
export const rotationDomain = utf8.encode('azukari/settle-rotation/1')
export const revocationDomain = utf8.encode('azukari/settle-revocation/1')
export const lossDomain = utf8.encode('azukari/settle-loss/1')
export const foundDomain = utf8.encode('azukari/found/1')
export const membershipDomain = utf8.encode('azukari/settle-membership/1')

/** What may be wrong with the key that signed, or with the times it signed. */
export const signerProblems = ['register.key-revoked', 'member.suspended', 'pay.clock'] as const
/** What may be wrong with a message that is sealed and not signed. */
const sealedProblems = ['cose.malformed', 'cose.unknown-key', 'cose.wrong-algorithm', 'cose.decrypt-failed'] as const

/** Member, transaction and statement numbers: digits, the last two are check digits (ISO 7064 MOD 97-10). */
export const SettlementNumber = Type.String({ pattern: '^\\d{14}$' })
export const MemberKind = Type.Union([Type.Literal('general'), Type.Literal('shop')])
export type MemberKind = Static<typeof MemberKind>
/** A signed and sealed message. */
export const Sealed = Bytes(64, 16_384)
/** A public COSE_Key. */
export const PublicKey = Bytes(32, 600)

/** A bank account in Japan as the banks' association writes it. */
export const BankAccount = Type.Object({
  bank: Type.String({ pattern: '^\\d{4}$' }),
  branch: Type.String({ pattern: '^\\d{3}$' }),
  kind: Type.Union([Type.Literal('ordinary'), Type.Literal('current'), Type.Literal('savings')]),
  number: Type.String({ pattern: '^\\d{7}$' }),
  /** In half-width kana, as the bank knows the holder. */
  holder: Type.String({ minLength: 1, maxLength: 30 }),
})
export type BankAccount = Static<typeof BankAccount>

/** Personal data: on the wire and on disk only ever sealed. */
export const Person = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 100 }),
  kana: Type.String({ minLength: 1, maxLength: 100 }),
  postcode: Type.String({ pattern: '^\\d{3}-?\\d{4}$' }),
  address: Type.String({ minLength: 1, maxLength: 200 }),
  email: Type.Optional(Type.String({ maxLength: 200, pattern: '^[^\\s@]+@[^\\s@]+$' })),
  /** From which fees are debited (S13), or to which a shop's sales are paid (P7). */
  account: Type.Optional(BankAccount),
  /** Registration number of a qualified invoice issuer, for shops. */
  invoiceNumber: Type.Optional(Type.String({ pattern: '^T\\d{13}$' })),
})
export type Person = Static<typeof Person>

export const readGuide = contract({
  name: 'settle.guide',
  kind: 'call',
  service: 'settlement',
  authority: 'device',
  title: 'How to become a member: terms, currencies, settlement’s public keys',
  serves: ['P1'],
  request: Nothing,
  reply: Type.Object({
    key: PublicKey,
    agreement: PublicKey,
    terms: Text(32),
    guide: Type.Object({ ja: Text(4000), en: Text(4000) }),
    /** What is agreed to: the text of the terms. */
    conditions: Type.Optional(Type.Object({ ja: Text(20_000), en: Text(20_000) })),
    currencies: Type.Array(CurrencyCode, { minItems: 1, maxItems: 16 }),
  }),
})

export const Application = Type.Object({
  contract: Type.Literal('settle.apply@1'),
  kind: MemberKind,
  person: Person,
  /** Version of the terms that the applicant agreed to. */
  terms: Text(32),
})
export type Application = Static<typeof Application>

export const apply = contract({
  name: 'settle.apply',
  kind: 'act',
  service: 'settlement',
  authority: 'device',
  title: 'An application for membership; the number comes by letter',
  serves: ['P1'],
  request: Type.Object({ application: Sealed }),
  reply: Type.Object({ application: Id }),
  problems: ['register.terms', 'bank.text', ...sealedProblems],
})

/** Signed with the very key that it registers: proof that the member has it. */
export const Registration = Type.Object({
  contract: Type.Literal('settle.register@1'),
  ...signedFields,
  number: SettlementNumber,
  /** One-time code of the letter. */
  code: Type.String({ pattern: '^[a-z2-7]{16}$' }),
  key: PublicKey,
  agreement: PublicKey,
  person: Person,
  /** Thumbprint of the authentication key of the member's card. */
  card: Type.Optional(Hash),
})
export type Registration = Static<typeof Registration>

/** What settlement signs once a key is in its register. */
export const Membership = Type.Object({
  member: Id,
  number: SettlementNumber,
  kind: MemberKind,
  key: Hash,
  atMs: TimeMs,
})
export type Membership = Static<typeof Membership>

export const register = contract({
  name: 'settle.register',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'registration', body: Registration, domain: registrationDomain, sealed: true, keyIn: 'key' },
  title: 'A member’s signed registration, under a key made for this exchange',
  serves: ['P1', 'P3', 'P4'],
  request: Type.Object({ registration: Sealed }),
  reply: Type.Object({ member: Id, membership: Bytes(64, 1024) }),
  problems: [
    'register.unknown-number',
    'register.number-used',
    'register.number-expired',
    'register.key-known',
    'bank.text',
    'pay.clock',
  ],
})

/** Signed with the old key; `proof` is the same statement signed with the new one. */
export const Rotation = Type.Object({
  contract: Type.Literal('settle.rotate@1'),
  ...signedFields,
  key: PublicKey,
  agreement: PublicKey,
  proof: Bytes(64, 2048),
})
export type Rotation = Static<typeof Rotation>
/** What the new key signs: its holder wants to follow that old key. */
export const RotationProof = Type.Object({ follows: Hash, key: PublicKey, agreement: PublicKey })

export const rotate = contract({
  name: 'settle.rotate',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'rotation', body: Rotation, domain: rotationDomain, sealed: true },
  title: 'A new key in place of the old one',
  serves: ['P4'],
  request: Type.Object({ rotation: Sealed }),
  reply: Type.Object({ membership: Bytes(64, 1024) }),
  problems: ['register.key-known', ...signerProblems],
})

export const Revocation = Type.Object({
  contract: Type.Literal('settle.revoke@1'),
  ...signedFields,
  reason: Text(200),
})
export type Revocation = Static<typeof Revocation>

export const revoke = contract({
  name: 'settle.revoke',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'revocation', body: Revocation, domain: revocationDomain, sealed: true },
  title: 'The holder of a key ends it',
  serves: ['P4'],
  request: Type.Object({ revocation: Sealed }),
  reply: Nothing,
  problems: [...signerProblems],
})

/** Without the key: by number and the blocking code of the letter. */
export const Loss = Type.Object({
  contract: Type.Literal('settle.lost@1'),
  number: SettlementNumber,
  code: Type.String({ pattern: '^[a-z2-7]{16}$' }),
  what: Type.Union([Type.Literal('card'), Type.Literal('key'), Type.Literal('both')]),
})
export type Loss = Static<typeof Loss>

/** The card is in its member's hands again: signed with the key, which was not lost. */
export const Found = Type.Object({ contract: Type.Literal('settle.found@1'), ...signedFields })
export type Found = Static<typeof Found>

export const reportFound = contract({
  name: 'settle.found',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'found', body: Found, domain: foundDomain, sealed: true },
  title: 'A card that was reported lost is found: it stands for its member again',
  serves: ['P4'],
  request: Type.Object({ found: Sealed }),
  reply: Type.Object({ foundMs: TimeMs }),
  problems: [...signerProblems],
})

export const reportLoss = contract({
  name: 'settle.lost',
  kind: 'act',
  service: 'settlement',
  authority: 'device',
  title: 'A card or a key is lost: it is blocked at once',
  serves: ['P4'],
  request: Type.Object({ loss: Sealed }),
  reply: Type.Object({ blockedMs: TimeMs }),
  problems: ['register.unknown-number', ...sealedProblems],
})
