/** A site's `placement.json`: how far apart, how safe, how fair, how careful (S5, S11, S12, S16). Everything has a default. */
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'
import type { ImpostorRules } from './audit/impostors.ts'
import type { AuditLimits } from './audit/schedule.ts'
import type { DecideRules } from './moves/decide.ts'

/** One number for every level, or one each for the levels 0 to 3. */
const perLevel = (schema: ReturnType<typeof Type.Number>) =>
  Type.Union([schema, Type.Array(schema, { minItems: 4, maxItems: 4 })])
const km = Type.Number({ minimum: 0, maximum: 5_000 })
const count = Type.Integer({ minimum: 1, maximum: 1_000 })
const days = Type.Number({ minimum: 0.01, maximum: 3_650 })

export const PlacementSettings = Type.Object(
  {
    places: Type.Optional(
      Type.Object(
        {
          /** Least distance between the two replicas, km. */
          apartKm: Type.Optional(perLevel(km)),
          /** Least distance of the second replica from the seat of the home region, km. */
          homeKm: Type.Optional(perLevel(km)),
          /** Share of a server that members up to a level may fill, 0 to 1; never less for a higher level. */
          share: Type.Optional(Type.Array(Type.Number({ minimum: 0, maximum: 1 }), { minItems: 4, maxItems: 4 })),
          /** Risks whose ratio is at most this count as equal. */
          bandRatio: Type.Optional(Type.Number({ minimum: 1, maximum: 10 })),
          /** A place stays good while its risk is at most so many times the best one’s. */
          keepRatio: Type.Optional(Type.Number({ minimum: 1, maximum: 100 })),
          /** A better place is not looked for before this, days. */
          dwellDays: Type.Optional(days),
        },
        { additionalProperties: false },
      ),
    ),
    /** How long the old replica stays after a move, days. */
    graceDays: Type.Optional(days),
    impostors: Type.Optional(
      Type.Object(
        {
          /** From how many of one server on its members are told. */
          told: Type.Optional(count),
          /** From how many on the server is shut off; one that is not ranks last meanwhile. */
          shutOff: Type.Optional(count),
        },
        { additionalProperties: false },
      ),
    ),
    audits: Type.Optional(
      Type.Object(
        {
          bytesPerSecond: Type.Optional(Type.Integer({ minimum: 1_024, maximum: 10_000_000_000 })),
          listedDays: Type.Optional(days),
          leavesDays: Type.Optional(days),
          scannedDays: Type.Optional(days),
          openedDays: Type.Optional(days),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)
export type PlacementSettings = Static<typeof PlacementSettings>

/** What placement is made with. */
export interface PlacementRules {
  rules: Partial<DecideRules>
  audits: Partial<AuditLimits>
  impostors: Partial<ImpostorRules>
  graceMs?: number
}

const check = checker(PlacementSettings, 'placement.json')
const dayMs = 86_400_000

/** @param bytes of the file; undefined when there is none @throws {Problem} `config.invalid` */
export function placementSettings(bytes: Uint8Array | undefined): PlacementRules {
  const settings = bytes ? read(bytes) : {}
  const { apartKm, homeKm, share, bandRatio, keepRatio, dwellDays } = settings.places ?? {}
  const audits = settings.audits ?? {}
  const rules = defined<DecideRules>({
    apartKm: levels(apartKm),
    homeKm: levels(homeKm),
    share: share && Object.fromEntries(share.entries()),
    bandRatio,
    keepRatio,
    dwellMs: milliseconds(dwellDays),
  })
  const found: PlacementRules = {
    rules,
    audits: defined<AuditLimits>({
      bytesPerSecond: audits.bytesPerSecond,
      listedAgeMs: milliseconds(audits.listedDays),
      leavesAgeMs: milliseconds(audits.leavesDays),
      scannedAgeMs: milliseconds(audits.scannedDays),
      openedAgeMs: milliseconds(audits.openedDays),
    }),
    impostors: settings.impostors ?? {},
  }
  if (settings.graceDays !== undefined) found.graceMs = settings.graceDays * dayMs
  return found
}

function read(bytes: Uint8Array): PlacementSettings {
  try {
    const settings = check(JSON.parse(new TextDecoder().decode(bytes)))
    const share = settings.places?.share ?? []
    if (share.some((part, level) => part < (share[level - 1] ?? 0)))
      throw new Problem('config.invalid', 'places.share: a higher level may not have less than a lower one (S16)')
    return settings
  } catch (cause) {
    throw new Problem('config.invalid', `placement.json: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

function levels(given: number | number[] | undefined): number[] | undefined {
  return typeof given === 'number' ? [given, given, given, given] : given
}

function milliseconds(given: number | undefined): number | undefined {
  return given === undefined ? undefined : given * dayMs
}

/** Without what was not said, so that the defaults stand. */
function defined<T extends object>(given: { [K in keyof T]?: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>
}
