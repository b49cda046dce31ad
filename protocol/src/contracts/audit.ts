/** What a member is told about the care for their data (S11, S12): at the next session, in words and byte ranges. */
import { Count, contract, Id, Nothing, Slug, type Static, Text, TimeMs, Type } from '../contract.ts'
import { VerdictKindSchema } from '../verdict.ts'
import { bySession } from './by-session.ts'

/** One thing that happened and was dealt with. */
export const Finding = Type.Object({
  /** Placement's number of the verdict. */
  id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  kind: VerdictKindSchema,
  atMs: TimeMs,
  server: Slug,
  /** Absent when it is about the server as a whole. */
  object: Type.Optional(Id),
  version: Type.Optional(Count),
  name: Type.Optional(Text(120)),
  sizeBytes: Type.Optional(Count),
  /** Where the copy differed, in bytes of the object; at most so many of them. */
  ranges: Type.Array(Type.Object({ from: Count, to: Count }), { maxItems: 16 }),
  /** Bytes that differed in all. */
  differs: Count,
  /** The copy is good again. */
  restored: Type.Boolean(),
})
export type Finding = Static<typeof Finding>

export const findings = contract({
  name: 'care.findings',
  version: 2,
  kind: 'call',
  service: 'placement',
  authority: 'member',
  title: 'What the member has not been told yet about their data',
  serves: ['S11', 'S12'],
  request: Nothing,
  reply: Type.Object({ findings: Type.Array(Finding, { maxItems: 8 }), more: Type.Boolean() }),
})

/** As devices of the release before ask, which have no token. */
export const findingsBySession = bySession(findings)

export const findingsTold = contract({
  name: 'care.told',
  kind: 'act',
  service: 'placement',
  authority: 'device',
  title: 'The member has been told',
  serves: ['S11', 'S12'],
  request: Type.Object({ session: Id, findings: Type.Array(Count, { minItems: 1, maxItems: 8 }) }),
  reply: Nothing,
  problems: ['session.unknown', 'session.expired'],
})

/** S12: somebody answered in a data server's name while this member's data was to be kept: the card is to prove itself again. */
export const recallSession = contract({
  name: 'session.recall',
  kind: 'event',
  passing: true,
  service: 'device',
  authority: 'service',
  title: 'The session is called up: the card is authenticated again',
  serves: ['S12'],
  request: Type.Object({ session: Id, reason: Text(64) }),
  reply: Nothing,
})
