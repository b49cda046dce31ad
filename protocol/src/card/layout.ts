/**
 * What is on a card (S15, Fig 4): the master file with a file that describes the providers, one DF per provider and one
 * per service below it, each under its own AID, and the elementary files in them. Sizes are fixed; contents are
 * deterministic CBOR in slots (see slots.ts). Files, access rules and keys are tables here; the card enforces them.
 */
import { createHash } from 'node:crypto'
import { decode, encodeDeterministic } from '../codec.ts'
import { Bytes, checker, Hash, Id, Region, type Static, Text, type TSchema, Type } from '../contract.ts'
import { CardProgram } from './program.ts'
import { fileBytes, type SlotShape, tagBytes } from './slots.ts'

const ascii = new TextEncoder()

/** An AID of the proprietary category (ISO/IEC 7816-4 §8.2.1.2): F0, our name, the service. */
const aid = (...service: number[]) => Uint8Array.of(0xf0, ...ascii.encode('AZUKARI'), ...service)

/** The folders (DFs) of a card. A further service is a further row. */
export const cardFolders = {
  master: { fid: 0x3f00, parent: undefined, aid: undefined, label: 'card' },
  provider: { fid: 0x5100, parent: 'master', aid: aid(), label: 'Azukari' },
  placement: { fid: 0x5200, parent: 'provider', aid: aid(1), label: 'placement' },
  settlement: { fid: 0x5300, parent: 'provider', aid: aid(2), label: 'settlement' },
} as const satisfies Record<
  string,
  { fid: number; parent: string | undefined; aid: Uint8Array | undefined; label: string }
>
export type CardFolder = keyof typeof cardFolders

/** Who may write a file: nobody once the card is issued, or the provider after EXTERNAL AUTHENTICATE. */
export type WriteRule = 'never' | 'provider'

export interface CardFile extends SlotShape {
  folder: CardFolder
  /** Short file identifier, 1 to 30. */
  sfi: number
  /** Everything on a card may be read: conditions and the catalogue are ciphertext, private keys are no files. */
  update: WriteRule
  what: string
}

/** Conditions that a card holds; the ring has one slot more, so that a torn write costs none of them. */
export const conditionsOnCard = 16
/**
 * Largest COSE_Encrypt of one object's storing conditions. The longest that the contract permits, for an RSA card, has
 * 1,584 bytes; seventeen slots must stay within the 32 KiB that READ BINARY reaches.
 */
export const conditionsMaxBytes = 1600

export const cardFiles = {
  directory: {
    folder: 'master',
    fid: 0x2f00,
    sfi: 30,
    slots: 1,
    payloadBytes: 480,
    update: 'never',
    what: 'the providers on the card and their services',
  },
  serial: {
    folder: 'master',
    fid: 0x2fe2,
    sfi: 2,
    slots: 1,
    payloadBytes: 32,
    update: 'never',
    what: 'the serial number of the card',
  },
  member: {
    folder: 'provider',
    fid: 0x5101,
    sfi: 1,
    slots: 2,
    payloadBytes: 480,
    update: 'provider',
    what: 'who the member is',
  },
  keys: {
    folder: 'provider',
    fid: 0x5102,
    sfi: 2,
    slots: 1,
    payloadBytes: 1440,
    update: 'never',
    what: 'the public halves of the three keys',
  },
  providerKey: {
    folder: 'provider',
    fid: 0x5103,
    sfi: 3,
    slots: 1,
    payloadBytes: 480,
    update: 'never',
    what: 'the key with which the provider proves itself',
  },
  program: {
    folder: 'provider',
    fid: 0x5104,
    sfi: 4,
    slots: 2,
    payloadBytes: 992,
    update: 'provider',
    what: 'data that the card’s own program goes by: domains that its keys no longer sign',
  },
  level: {
    folder: 'placement',
    fid: 0x5201,
    sfi: 1,
    slots: 2,
    payloadBytes: 32,
    update: 'provider',
    what: 'level and home region',
  },
  root: {
    folder: 'placement',
    fid: 0x5202,
    sfi: 2,
    slots: 2,
    payloadBytes: 1120,
    update: 'provider',
    what: 'where the catalogue is, its key and head, sealed to the card',
  },
  conditions: {
    folder: 'placement',
    fid: 0x5203,
    sfi: 3,
    slots: conditionsOnCard + 1,
    payloadBytes: conditionsMaxBytes,
    update: 'provider',
    what: 'the storing conditions of the latest objects, sealed to the card',
  },
  receipts: {
    folder: 'settlement',
    fid: 0x5301,
    sfi: 1,
    slots: 5,
    payloadBytes: 1024,
    update: 'provider',
    what: 'receipts and payment history',
  },
} as const satisfies Record<string, CardFile>
export type CardFileName = keyof typeof cardFiles

/** Private keys of a card: one purpose each (ARCHITECTURE §7). `template` is the CRT tag of MSE, `pin` whether VERIFY must come first. */
export const cardKeys = {
  authentication: { reference: 1, template: 0xa4, pin: false, domain: /^azukari\/(session|read)\/\d+$/ },
  acts: { reference: 2, template: 0xb6, pin: true, domain: /^azukari\/(?!(session|read)\/)[a-z-]+\/\d+$/ },
  agreement: { reference: 3, template: 0xb8, pin: true, domain: undefined },
} as const
export type CardKeyName = keyof typeof cardKeys

/** Algorithm references in MSE (data object 80). */
export const cardAlgorithms = { ed25519: 1, p256: 2, rsa: 3 } as const
export type CardKind = keyof typeof cardAlgorithms

/** PINs are 4 to 12 digits, sent as a block of 12 bytes padded with FF. */
export const pinRules = {
  minDigits: 4,
  maxDigits: 12,
  blockBytes: 12,
  tries: 3,
  pukTries: 10,
  reference: 0x81,
} as const

const Aid = Bytes(5, 16)
const CoseKey = Bytes(32, 480)

export const Directory = Type.Object({
  v: Type.Literal(1),
  /** Whether the card takes APDUs of extended length. */
  extended: Type.Boolean(),
  providers: Type.Array(
    Type.Object({
      aid: Aid,
      label: Text(32),
      services: Type.Array(Type.Object({ aid: Aid, label: Text(32) }), { maxItems: 8 }),
    }),
    { maxItems: 4 },
  ),
})
export const Serial = Type.Object({ serial: Id })
export const CardMember = Type.Object({ id: Id, number: Text(32), name: Text(100) })
export const CardPublicKeys = Type.Object({ authentication: CoseKey, acts: CoseKey, agreement: CoseKey })
export const ProviderKey = Type.Object({ key: CoseKey })
export const CardLevel = Type.Object({ level: Type.Integer({ minimum: 0, maximum: 9 }), home: Region })
/** `catalogue`: COSE_Encrypt to the card's agreement key of the catalogue's place and key; `head`: hash of its newest version. */
export const CardRoot = Type.Object({ catalogue: Type.Optional(Bytes(64, 1100)), head: Type.Optional(Hash) })

const contents = {
  directory: Directory,
  serial: Serial,
  member: CardMember,
  keys: CardPublicKeys,
  providerKey: ProviderKey,
  program: CardProgram,
  level: CardLevel,
  root: CardRoot,
} as const satisfies Partial<Record<CardFileName, TSchema>>

/** Files that hold one CBOR value; the others are rings of opaque records. */
export type CardContentName = keyof typeof contents
export type CardContent<N extends CardContentName> = Static<(typeof contents)[N]>

const checks = Object.fromEntries(
  Object.entries(contents).map(([name, schema]) => [name, checker<TSchema>(schema, `card file ${name}`)]),
)

/** A file's content as it goes into a slot. @throws {Problem} `message.invalid` */
export function encodeContent<N extends CardContentName>(name: N, value: CardContent<N>): Uint8Array {
  return encodeDeterministic(checks[name]!(value))
}

/** @throws {Problem} `cbor.*`, `message.invalid` */
export function decodeContent<N extends CardContentName>(name: N, payload: Uint8Array): CardContent<N> {
  return checks[name]!(decode(payload)) as CardContent<N>
}

/** The directory file of a card as issued: every folder with an AID, services below their provider. */
export function directoryContent(extended: boolean): CardContent<'directory'> {
  const folders = Object.entries(cardFolders)
  const under = (parent: string) =>
    folders
      .filter(([, row]) => row.parent === parent && row.aid)
      .map(([name, row]) => ({ name, aid: row.aid!, label: row.label }))
  const providers = under('master').map(({ name, ...row }) => ({
    ...row,
    services: under(name).map(({ aid, label }) => ({ aid, label })),
  }))
  return { v: 1, extended, providers }
}

/** Bytes of the memory that a card's files take. */
export function cardBytes(): number {
  return Object.values(cardFiles).reduce((sum, file) => sum + fileBytes(file), 0)
}

/** By this a record in the ring is recognised by those who know the object's id, and by nobody else. */
export function conditionsTag(object: Uint8Array): Uint8Array {
  return new Uint8Array(
    createHash('sha256').update('azukari/conditions-tag/1').update(object).digest().subarray(0, tagBytes),
  )
}

/**
 * What the provider signs (plain Ed25519, or ES256 as r ‖ s) for EXTERNAL AUTHENTICATE.
 * @param card thumbprint of the card's authentication key @param challenge the card's, fresh and good once
 */
export function providerProofMessage(card: Uint8Array, challenge: Uint8Array): Uint8Array {
  return encodeDeterministic(['azukari/card-write/1', card, challenge])
}

/** The 12-byte block of a PIN or PUK; undefined when it is none. */
export function pinBlock(pin: string): Uint8Array | undefined {
  if (!/^\d{4,12}$/.test(pin)) return undefined
  const block = new Uint8Array(pinRules.blockBytes).fill(0xff)
  block.set(ascii.encode(pin))
  return block
}
