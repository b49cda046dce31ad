/** Hazards handed to placement by an operator or a gateway, and what placement makes of them (S9, S14). */
import { Bytes, Count, contract, Slug, Text, TimeMs, Type } from '../contract.ts'

const Probability = Type.Number({ minimum: 0, maximum: 1 })

/** One document of any format that placement reads: USGS, GDACS, JMA, CAP, track, J-SHIS. */
export const pushHazards = contract({
  name: 'hazard.push',
  kind: 'internal',
  service: 'placement',
  authority: 'service',
  title: 'A hazard document for placement',
  serves: ['S9', 'S14'],
  request: Type.Object({
    /** Whose it is; the operator’s when it is not given. */
    feed: Type.Optional(Slug),
    format: Type.Optional(Text(16)),
    document: Bytes(1, 900_000),
  }),
  reply: Type.Object({
    added: Count,
    changed: Count,
    cancelled: Count,
    ignored: Count,
    /** Entries that could not be used. */
    problems: Type.Array(Type.Object({ code: Text(64), detail: Type.Optional(Text(2000)) }), { maxItems: 100 }),
  }),
  problems: ['feed.malformed', 'feed.hostile', 'feed.too-large'],
})

export const readRisks = contract({
  name: 'risk.read',
  kind: 'internal',
  service: 'placement',
  authority: 'service',
  title: 'What every data server risks now, and why',
  serves: ['S5', 'S9'],
  request: Type.Object({ server: Type.Optional(Slug) }),
  reply: Type.Object({
    atMs: TimeMs,
    servers: Type.Array(
      Type.Object({
        server: Slug,
        risk: Probability,
        band: Type.Integer({ minimum: 1, maximum: 5 }),
        sinceMs: Type.Optional(TimeMs),
        terms: Type.Array(
          Type.Object({
            peril: Text(16),
            probability: Probability,
            vulnerability: Probability,
            source: Text(400),
            hazard: Type.Optional(Text(120)),
            arrivesMs: Type.Optional(TimeMs),
            untilMs: Type.Optional(TimeMs),
            en: Text(1000),
            ja: Text(1000),
          }),
          { maxItems: 200 },
        ),
      }),
      { maxItems: 1000 },
    ),
  }),
})
