/**
 * What boards tell the rights service (R4): which works they met in normal use. No member is named, no moment, and nothing is told
 * without the member's consent (D8).
 */
import { Count, contract, Id, type Static, Type } from '../contract.ts'
import { WorkId } from './rights.ts'

/** Sightings in one message. */
export const maxSightings = 64

export const Sighting = Type.Object({
  work: WorkId,
  /** Which offered content the picture was; absent for what a member keeps for themselves, which has no address. */
  content: Type.Optional(Id),
  /** Day in UTC, such as 2026-12-01. */
  day: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }),
})
export type Sighting = Static<typeof Sighting>

export const tellSightings = contract({
  name: 'rights.seen',
  kind: 'act',
  service: 'rights',
  authority: 'device',
  title: 'Works that a board met in normal use, each once for a day and place',
  serves: ['R4', 'R5'],
  request: Type.Object({ sightings: Type.Array(Sighting, { minItems: 1, maxItems: maxSightings }) }),
  /** Those that were new, of works that are registered here. */
  reply: Type.Object({ taken: Count }),
})

export const sightingConsent = contract({
  name: 'rights.consent',
  kind: 'call',
  service: 'rights',
  authority: 'member',
  title: 'Whether boards may tell authors that a work was met while this member used them; says it anew when asked to',
  serves: ['R4', 'D8'],
  request: Type.Object({ allows: Type.Optional(Type.Boolean()) }),
  reply: Type.Object({ allows: Type.Boolean() }),
})
