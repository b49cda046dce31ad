/** What members decide over their data (D8): erasure with receipts, retention, consent, and what is told to them of it. */
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
import { bySession } from './by-session.ts'

export const memberRequestDomain = new TextEncoder().encode('azukari/wish/1')
export const erasureDomain = new TextEncoder().encode('azukari/erasure/1')
export const closingDomain = new TextEncoder().encode('azukari/closing/1')

/** Objects of one wish. */
export const maxRequestObjects = 64

export const Wish = Type.Union([
  /** Objects are destroyed wherever they lie. */
  Type.Object({
    kind: Type.Literal('erase'),
    objects: Type.Array(Id, { minItems: 1, maxItems: maxRequestObjects }),
  }),
  /** The account, with all objects, keys and the catalogue. */
  Type.Object({ kind: Type.Literal('close') }),
  Type.Object({
    kind: Type.Literal('consent'),
    /** Where the asking device stands may decide where data lies. */
    location: Type.Boolean(),
    /** Replicas may lie in other countries than the home region's. */
    abroad: Type.Boolean(),
  }),
  /** Objects are erased so many days after they were kept; 0: kept for ever. */
  Type.Object({ kind: Type.Literal('retention'), days: Type.Integer({ minimum: 0, maximum: 36_500 }) }),
])
export type Wish = Static<typeof Wish>

/** What the member's card signs with its key for acts. */
export const MemberRequest = Type.Object({
  contract: Type.Literal('wish.make@1'),
  audience: Hash,
  act: Id,
  issuedMs: TimeMs,
  expiresMs: TimeMs,
  member: Id,
  wish: Wish,
})
export type MemberRequest = Static<typeof MemberRequest>

export const makeRequest = contract({
  name: 'wish.make',
  kind: 'act',
  service: 'placement',
  authority: 'signed',
  signed: { in: 'wish', body: MemberRequest, domain: memberRequestDomain, sealed: false },
  title: 'A member decides over what is kept: erase, close, consent, retention',
  serves: ['D8', 'S9'],
  /** COSE_Sign1 of a `MemberWish`. */
  request: Type.Object({ wish: Bytes(64, 4096) }),
  /** From here on it is done, however long servers take. `objects`: how many are to be erased. */
  reply: Type.Object({ act: Id, acceptedMs: TimeMs, objects: Count }),
  problems: ['card.unknown', 'keys.retired', 'member.suspended', 'object.unknown', 'card.lost'],
})

/** One replica of what was erased. `lost`: its server is gone for good; should it come back, it is destroyed there. */
export const ErasedPlace = Type.Object({
  version: Count,
  slot: Type.Integer({ minimum: 1, maximum: 2 }),
  server: Slug,
  region: Region,
  outcome: Type.Union([Type.Literal('destroyed'), Type.Literal('absent'), Type.Literal('lost')]),
  atMs: TimeMs,
  /** The data server's own signed word (`RemovalReceipt`). */
  receipt: Type.Optional(Bytes(64, 1024)),
})
export type ErasedPlace = Static<typeof ErasedPlace>

/** What placement signs when nothing of an object is left: what was destroyed where. */
export const ErasureReceipt = Type.Object({
  object: Id,
  member: Id,
  act: Id,
  cause: Type.Union([Type.Literal('member'), Type.Literal('closing'), Type.Literal('retention')]),
  askedMs: TimeMs,
  doneMs: TimeMs,
  /** Wrapped data keys destroyed with the records. */
  keys: Count,
  places: Type.Array(ErasedPlace, { maxItems: 256 }),
})
export type ErasureReceipt = Static<typeof ErasureReceipt>

/** What placement signs when an account is gone. */
export const ClosingReceipt = Type.Object({
  member: Id,
  act: Id,
  askedMs: TimeMs,
  doneMs: TimeMs,
  objects: Count,
  /** SHA-256 over the erasure receipts of this wish, in order of object. */
  receipts: Hash,
})
export type ClosingReceipt = Static<typeof ClosingReceipt>

export const readErasures = contract({
  name: 'wish.erasures',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'How far a wish to erase is, with receipts; asked by the device that carried it',
  serves: ['D8'],
  request: Type.Object({ act: Id, after: Type.Optional(Id), limit: Type.Integer({ minimum: 1, maximum: 8 }) }),
  reply: Type.Object({
    askedMs: TimeMs,
    /** Objects that are not destroyed everywhere yet. */
    open: Count,
    erasures: Type.Array(
      Type.Object({
        object: Id,
        /** Servers that hold something still; they are asked until it is done. */
        waiting: Type.Array(Slug, { maxItems: 256 }),
        /** COSE_Sign1 of an `ErasureReceipt`. */
        receipt: Type.Optional(Bytes(64, 65_536)),
      }),
      { maxItems: 8 },
    ),
    /** COSE_Sign1 of a `ClosingReceipt`. */
    closing: Type.Optional(Bytes(64, 1024)),
  }),
  problems: ['object.unknown'],
})

export const readSettings = contract({
  name: 'wish.settings',
  version: 2,
  kind: 'call',
  service: 'placement',
  authority: 'member',
  title: 'What the member has agreed to, and how long things are kept',
  serves: ['D8'],
  request: Nothing,
  reply: Type.Object({ location: Type.Boolean(), abroad: Type.Boolean(), retentionDays: Count }),
})

/** As devices of the release before ask, which have no token. */
export const readSettingsBySession = bySession(readSettings)

/** What placement knows of one object, for its member. */
export const HistoryItem = Type.Object({
  object: Id,
  version: Count,
  name: Text(120),
  mediaType: Text(80),
  sizeBytes: Count,
  takenMs: TimeMs,
  keptMs: TimeMs,
  device: Text(32),
  /** COSE_Sign1 of the `SaveReceipt`. */
  receipt: Bytes(64, 4096),
  places: Type.Array(
    Type.Object({
      slot: Type.Integer({ minimum: 1, maximum: 2 }),
      server: Slug,
      region: Region,
      algorithm: Text(32),
      /** How often it has been moved or made anew, and one. */
      epoch: Count,
      en: Text(1000),
      ja: Text(1000),
    }),
    { maxItems: 2 },
  ),
})
export type HistoryItem = Static<typeof HistoryItem>

export const readHistory = contract({
  name: 'wish.history',
  version: 2,
  kind: 'call',
  service: 'placement',
  authority: 'member',
  title: 'What is kept for the member: when, where, why there; for the export',
  serves: ['D8'],
  request: Type.Object({ after: Type.Optional(Id), limit: Type.Integer({ minimum: 1, maximum: 8 }) }),
  reply: Type.Object({ items: Type.Array(HistoryItem, { maxItems: 8 }) }),
})

/** As devices of the release before ask, which have no token. */
export const readHistoryBySession = bySession(readHistory)
