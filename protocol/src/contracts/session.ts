/** A member's session: the card and placement authenticate each other through the device (S1–S3, S8). */
import { createHash } from 'node:crypto'
import {
  Bytes,
  Count,
  contract,
  Hash,
  Id,
  MemberToken,
  Nothing,
  Region,
  Slug,
  type Static,
  Text,
  TimeMs,
  Type,
} from '../contract.ts'
import { bySession } from './by-session.ts'

export const sessionDomain = new TextEncoder().encode('azukari/session/1')

/** What the card's authentication key signs (COSE_Sign1, kid = its thumbprint), so that no device can reuse it elsewhere. */
export const SessionProof = Type.Object({
  session: Id,
  challenge: Hash,
  /** Thumbprint of placement's key. */
  verifier: Hash,
  device: Slug,
  operation: Text(16),
  /** As recorded on the card (S3). */
  level: Type.Integer({ minimum: 0, maximum: 9 }),
  /** The card's counter, which only grows: an older one is a copied or restored card. */
  counter: Count,
})
export type SessionProof = Static<typeof SessionProof>

export const Operation = Type.Union([Type.Literal('save'), Type.Literal('print'), Type.Literal('look')])

export const openSession = contract({
  name: 'session.open',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'A card is in: open a session and challenge it',
  serves: ['S1', 'S2'],
  request: Type.Object({ card: Hash, operation: Operation }),
  reply: Type.Object({ session: Id, challenge: Hash, verifier: Hash, expiresMs: TimeMs }),
  problems: ['card.unknown', 'member.suspended', 'service.busy', 'card.lost'],
})

/** Conditions wait at placement until a card has them; `record` is COSE_Encrypt to the card's agreement key. */
export const PendingConditions = Type.Object({ object: Id, version: Count, record: Bytes(64, 1600) })
export type PendingConditions = Static<typeof PendingConditions>

/** `lifeMs`: for how long it is taken from now on, whatever the device's clock says. */
export const SessionToken = Type.Object({ token: MemberToken, lifeMs: Count })
export type SessionToken = Static<typeof SessionToken>

export const proveSession = contract({
  name: 'session.prove',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'The card answers the challenge; placement answers the card',
  serves: ['S2', 'S3', 'S8'],
  request: Type.Object({
    session: Id,
    proof: Bytes(64, 1024),
    /** The card's own challenge, which placement signs so that the card lets it write (EXTERNAL AUTHENTICATE). */
    cardChallenge: Type.Optional(Bytes(8, 32)),
  }),
  reply: Type.Object({
    member: Id,
    name: Text(100),
    level: Type.Integer({ minimum: 0, maximum: 9 }),
    home: Region,
    expiresMs: TimeMs,
    /** Shown to services; another one is got by `session.renew` while the card is in. */
    token: Type.Optional(SessionToken),
    /** D8: false when the member does not agree that places are kept; then cameras leave theirs out. */
    location: Type.Optional(Type.Boolean()),
    cardProof: Type.Optional(Bytes(64, 512)),
    pending: Type.Array(PendingConditions, { maxItems: 16 }),
    morePending: Type.Boolean(),
    /** The catalogue's place and key, COSE_Encrypt to the card; absent before the first save. */
    catalogue: Type.Optional(Bytes(64, 1600)),
  }),
  problems: [
    'session.unknown',
    'session.expired',
    'card.rejected',
    'level.mismatch',
    'act.replayed',
    'card.unknown',
    'card.lost',
    'member.suspended',
  ],
})

export const renewSession = contract({
  name: 'session.renew',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'A new token for a session whose card is still in',
  serves: ['S1', 'S2'],
  request: Type.Object({ session: Id }),
  reply: SessionToken,
  problems: ['session.unknown', 'session.expired', 'card.unknown', 'card.lost', 'member.suspended'],
})

export const pendingConditions = contract({
  name: 'session.conditions',
  version: 2,
  kind: 'call',
  service: 'placement',
  authority: 'member',
  title: 'Conditions that the card does not have yet',
  serves: ['S8'],
  request: Nothing,
  reply: Type.Object({
    pending: Type.Array(PendingConditions, { maxItems: 16 }),
    morePending: Type.Boolean(),
    catalogue: Type.Optional(Bytes(64, 1600)),
  }),
})

/** As devices of the release before ask, which have no token. */
export const pendingConditionsBySession = bySession(pendingConditions)

/** What names a record of conditions: the first 16 bytes of its SHA-256. */
export function conditionsDigest(record: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(record).digest().subarray(0, 16))
}

export const conditionsWritten = contract({
  name: 'session.written',
  kind: 'act',
  service: 'placement',
  authority: 'device',
  title: 'The card has these conditions, read back and compared',
  serves: ['S8'],
  request: Type.Object({
    session: Id,
    written: Type.Array(
      Type.Object({
        object: Id,
        version: Count,
        /** Of the record that was written (`conditionsDigest`): data may have moved again since it was handed out. */
        digest: Type.Optional(Bytes(16)),
      }),
      { minItems: 1, maxItems: 16 },
    ),
    counter: Count,
  }),
  reply: Nothing,
  problems: ['session.unknown', 'session.expired'],
})

export const closeSession = contract({
  name: 'session.close',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'The card is out',
  serves: ['S1'],
  request: Type.Object({ session: Id }),
  reply: Nothing,
  problems: ['session.unknown', 'session.expired'],
})
