/**
 * Every parameter of the risk formulas (docs/risk.md), with what it means and where it is from. A site changes them in
 * `hazards.json`; what is not given stands as here.
 */
import { type Static, Type } from '@azukari/protocol/contract'

const num = (standard: number, minimum: number, maximum: number, description: string) =>
  Type.Number({ minimum, maximum, default: standard, description })

export const HazardRules = Type.Object(
  {
    quake: Type.Object(
      {
        amplification: num(
          1.2,
          0.3,
          5,
          'amplification of peak velocity by the ground, against Vs 400 m/s, where a server gives none',
        ),
        lossIntensity: num(6.8, 4, 8, 'JMA intensity at which half of all data servers lose their data (assumed)'),
        lossSpread: num(0.5, 0.1, 2, 'spread of that curve, in units of intensity (assumed)'),
        feltIntensity: num(4.5, 2, 7, 'least intensity that counts as the event reaching the place: 5 lower'),
        leastMagnitude: num(5, 3, 8, 'weaker earthquakes are passed over'),
        ownHalfLifeHours: num(
          24,
          1,
          720,
          'after this long without a word of loss, half of the main shock’s own term is gone',
        ),
        aftershockA: num(-1.67, -4, 1, 'Reasenberg & Jones 1989: productivity a'),
        aftershockB: num(0.91, 0.5, 1.5, 'Reasenberg & Jones 1989: Gutenberg–Richter b'),
        aftershockP: num(1.08, 0.7, 1.8, 'Reasenberg & Jones 1989: decay p'),
        aftershockCDays: num(0.05, 0.001, 1, 'Reasenberg & Jones 1989: c, days'),
        horizonDays: num(7, 1, 60, 'aftershocks are counted this far ahead'),
        watchDays: num(30, 1, 365, 'an earthquake is forgotten after this long'),
      },
      { additionalProperties: false },
    ),
    cyclone: Type.Object(
      {
        lossWindFrom: num(25.7, 10, 60, 'Emanuel 2011: wind below which nothing is lost, m/s (50 kn)'),
        lossWindHalf: num(74.7, 30, 150, 'Emanuel 2011: wind at which half is lost, m/s'),
        coreKm: num(45, 5, 200, 'radius of greatest wind, where the forecast does not give wind radii'),
        windExponent: num(0.6, 0.3, 1, 'modified Rankine profile: wind falls with distance to this power'),
        driftKmPerHour: num(5, 1, 30, 'growth of the 70 % circle, where the forecast gives none'),
        aheadHours: num(48, 1, 240, 'a cyclone without a forecast is assumed to stay near this long'),
        leastProbability: num(0.01, 0, 0.5, 'places that damaging wind reaches less likely than this are not at risk'),
      },
      { additionalProperties: false },
    ),
    tsunami: Type.Object(
      {
        lossDepthM: num(2.5, 0.2, 20, 'depth of water at which half of all data servers lose their data (assumed)'),
        lossSpread: num(0.7, 0.1, 2, 'spread of that curve, in natural logarithms (assumed)'),
        inlandM: num(1, 0, 10, 'metres of height that a tsunami loses per kilometre inland (assumed)'),
        exposed: num(1, 0, 1, 'probability that a server of a coastal region without `ground` stands on the shore'),
        leastHeightM: num(0.3, 0, 5, 'lower than this is no danger'),
        hours: num(24, 1, 168, 'how long a warning counts after the first arrival'),
      },
      { additionalProperties: false },
    ),
    area: Type.Object(
      {
        extreme: num(0.2, 0, 1, 'probability of loss within an area of extreme severity (assumed)'),
        severe: num(0.05, 0, 1, 'of severe'),
        moderate: num(0.01, 0, 1, 'of moderate'),
        minor: num(0.001, 0, 1, 'of minor'),
        fringeKm: num(25, 0.1, 500, 'outside an area the probability falls by e per this many km'),
      },
      { additionalProperties: false },
    ),
    standing: Type.Object(
      {
        insuredToLost: num(1, 0, 2, 'share of an insurer’s rate that counts as loss of a data server'),
        structure: Type.Union([Type.Literal('i'), Type.Literal('ro')], {
          default: 'i',
          description: 'structure class of earthquake insurance where a server gives none: i (fire-resistant) or ro',
        }),
      },
      { additionalProperties: false },
    ),
    changeRatio: num(1.05, 1, 2, 'a risk that changes by less than this factor is no change worth telling'),
    everywhereShare: num(0.8, 0.1, 1, 'a feed that endangers more than this share of all servers is reported'),
    holdHours: num(48, 0, 720, 'how long hazards of a feed that fell silent are held beyond their end'),
    historyPerServer: num(2_000, 10, 1_000_000, 'changes of risk kept per server'),
  },
  { additionalProperties: false },
)
export type HazardRules = Static<typeof HazardRules>

type Schema = { default?: unknown; properties?: Record<string, Schema> }

/** The rules as they stand here. */
export const standardRules: HazardRules = standards(HazardRules as unknown as Schema) as HazardRules

function standards({ default: standard, properties }: Schema): unknown {
  if (!properties) return standard
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, standards(schema)]))
}
