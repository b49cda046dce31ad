/** `work.json` of the site's folder: what work costs and earns, and how long devices may be silent. */
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'

const whole = (minimum: number, maximum: number, description: string) => Type.Integer({ minimum, maximum, description })

export const WorkSettings = Type.Object(
  {
    currency: Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217 code of prices' }),
    priceMinorPerGigafuel: whole(0, 1_000_000, 'minor units for 10⁹ of validated fuel'),
    pointsPerGigafuel: whole(0, 1_000_000, 'points that an owner earns for as much'),
    minorPerPoint: whole(0, 1_000_000, 'minor units that a redeemed point is worth'),
    licenceMs: whole(1_000, 31 * 86_400_000, 'how long an app runs by its licence without a line to the site'),
    leaseMs: whole(1_000, 86_400_000, 'a device that is silent for so long loses its unit'),
    againMs: whole(100, 3_600_000, 'when a device without a unit asks again'),
  },
  { additionalProperties: false },
)
export type WorkSettings = Static<typeof WorkSettings>

const standard: WorkSettings = {
  currency: 'JPY',
  priceMinorPerGigafuel: 10,
  pointsPerGigafuel: 5,
  minorPerPoint: 1,
  licenceMs: 3 * 86_400_000,
  leaseMs: 60_000,
  againMs: 30_000,
}
const check = checker(Type.Partial(WorkSettings, { additionalProperties: false }), 'work.json')

/** @throws {Problem} `config.invalid` */
export function workSettings(bytes: Uint8Array | undefined): WorkSettings {
  if (!bytes) return standard
  try {
    return { ...standard, ...check(JSON.parse(new TextDecoder().decode(bytes))) }
  } catch (cause) {
    throw new Problem('config.invalid', `work.json: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
