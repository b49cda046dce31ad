/** Saving: the member's signed offer, the receipt that says where both replicas are, and the storing conditions (S4–S8). */
import {
  Bytes,
  Count,
  contract,
  Hash,
  Id,
  Nothing,
  Region,
  Slug,
  type Static,
  Text,
  TimeMs,
  Type,
} from '../contract.ts'

export const offerDomain = new TextEncoder().encode('azukari/offer/1')
export const receiptDomain = new TextEncoder().encode('azukari/receipt/1')
/** external_aad of the transfer's key on its way to placement. */
export const transferKeyDomain = new TextEncoder().encode('azukari/transfer-key/1')
/** external_aad of the conditions on their way to the card. */
export const conditionsDomain = new TextEncoder().encode('azukari/conditions/1')

/** What the member's card signs with its key for acts; judged alone, later, by anyone (ARCHITECTURE §4). */
export const SaveOffer = Type.Object({
  contract: Type.Literal('save.offer@1'),
  audience: Hash,
  act: Id,
  issuedMs: TimeMs,
  expiresMs: TimeMs,
  member: Id,
  /** As the card showed it when it signed (S3); devices of the release before do not say. */
  level: Type.Optional(Type.Integer({ minimum: 0, maximum: 9 })),
  object: Id,
  version: Type.Integer({ minimum: 1, maximum: 0xffffffff }),
  /** The transfer that carried the data, and the root over its encrypted blocks. */
  transfer: Id,
  root: Hash,
  sizeBytes: Count,
  sha256: Hash,
  name: Text(120),
  mediaType: Text(80),
  takenMs: TimeMs,
})
export type SaveOffer = Static<typeof SaveOffer>

export const offerSave = contract({
  name: 'save.offer',
  kind: 'act',
  service: 'placement',
  authority: 'signed',
  signed: { in: 'offer', body: SaveOffer, domain: offerDomain, sealed: false },
  title: 'A member asks that what was transferred be kept',
  serves: ['S4', 'S5', 'S7', 'S14'],
  request: Type.Object({
    /** COSE_Sign1 of a `SaveOffer`. */
    offer: Bytes(64, 4096),
    /** COSE_Encrypt of the transfer's 32-byte key to placement's agreement key. */
    transferKey: Bytes(64, 1024),
  }),
  /** Told when the data is whole in the receive buffer (S4): the line can be released. */
  reply: Type.Object({ object: Id, bufferedMs: TimeMs }),
  problems: [
    'card.unknown',
    'member.suspended',
    'transfer.unknown',
    'transfer.incomplete',
    'transfer.bad-root',
    'keys.retired',
    'card.lost',
    'object.erased',
  ],
})

export const ReplicaPlace = Type.Object({
  slot: Type.Integer({ minimum: 1, maximum: 2 }),
  server: Slug,
  region: Region,
  /** From the asking device's region. */
  distanceKm: Type.Number({ minimum: 0 }),
  algorithm: Text(32),
  sealedBytes: Count,
})
export type ReplicaPlace = Static<typeof ReplicaPlace>

/** What placement signs when both data servers have signed for their replica. */
export const SaveReceipt = Type.Object({
  object: Id,
  version: Type.Integer({ minimum: 1 }),
  member: Id,
  sha256: Hash,
  sizeBytes: Count,
  keptMs: TimeMs,
  replicas: Type.Array(ReplicaPlace, { minItems: 2, maxItems: 2 }),
})
export type SaveReceipt = Static<typeof SaveReceipt>

/** One replica as the card knows it: enough to fetch and open it without placement. */
export const ReplicaConditions = Type.Object({
  slot: Type.Integer({ minimum: 1, maximum: 2 }),
  server: Slug,
  /** Thumbprint of the data server's identity key. */
  serverKey: Hash,
  region: Region,
  algorithm: Text(32),
  keyId: Bytes(8),
  dataKey: Bytes(32),
  prefix: Bytes(7),
  root: Hash,
  sealedBytes: Count,
})
export type ReplicaConditions = Static<typeof ReplicaConditions>

/** The storing conditions of one object (S8), inside COSE_Encrypt to the card's agreement key. */
export const Conditions = Type.Object({
  object: Id,
  version: Type.Integer({ minimum: 1 }),
  name: Text(120),
  mediaType: Text(80),
  sizeBytes: Count,
  sha256: Hash,
  takenMs: TimeMs,
  replicas: Type.Array(ReplicaConditions, { minItems: 1, maxItems: 2 }),
})
export type Conditions = Static<typeof Conditions>

/** A member's catalogue: the conditions of all that they keep; a sealed object of its own. */
export const Catalogue = Type.Object({
  member: Id,
  version: Type.Integer({ minimum: 1 }),
  items: Type.Array(Conditions, { maxItems: 100_000 }),
})
export type Catalogue = Static<typeof Catalogue>

/** external_aad of a catalogue while placement keeps it in the making. */
export const catalogueDomain = new TextEncoder().encode('azukari/catalogue/1')

/** The object id of a member's catalogue: the member's id, marked, so that a card needs no other word for it. */
export function catalogueObject(member: Uint8Array): Uint8Array {
  return member.map((byte) => byte ^ 0xca)
}

/** Kept: the device may delete its own copy. */
export const saveKept = contract({
  name: 'save.kept',
  kind: 'event',
  service: 'device',
  authority: 'service',
  title: 'Both replicas stand',
  serves: ['S7', 'S8'],
  /** COSE_Sign1 of a `SaveReceipt`. */
  request: Type.Object({ object: Id, receipt: Bytes(64, 4096) }),
  reply: Nothing,
})

/** How far a save is; only for people to see, never relied on. */
export const saveProgress = contract({
  name: 'save.progress',
  kind: 'event',
  passing: true,
  service: 'device',
  authority: 'service',
  title: 'How far a save is',
  serves: ['S7'],
  request: Type.Object({
    object: Id,
    stage: Type.Union([Type.Literal('choosing'), Type.Literal('sealing'), Type.Literal('waiting')]),
    /** Why it waits: a problem's code. */
    problem: Type.Optional(Text(64)),
  }),
  reply: Nothing,
})

export const saveStatus = contract({
  name: 'save.status',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'How far a save is, asked by the device that offered it',
  serves: ['S7'],
  request: Type.Object({ object: Id, version: Type.Integer({ minimum: 1 }) }),
  reply: Type.Object({
    stage: Type.Union([
      Type.Literal('unknown'),
      Type.Literal('buffered'),
      Type.Literal('waiting'),
      Type.Literal('kept'),
      Type.Literal('refused'),
    ]),
    receipt: Type.Optional(Bytes(64, 4096)),
    problem: Type.Optional(Text(64)),
  }),
})
