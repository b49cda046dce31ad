/**
 * What insurers expect to pay for earthquakes per region: the base rates of residential earthquake insurance in Japan
 * (基準料率・基本料率), General Insurance Rating Organization of Japan, in force from 1 October 2022, yen per year for
 * 10 million yen insured; structure class イ (fire-resistant) and ロ (other). Published in the ministry's table
 * 「地震保険の基本料率」. A base rate covers earthquake, eruption and tsunami, and holds the insurers' costs too, so it
 * is rather too high than too low a probability of loss.
 */
const tiers: { i: number; ro: number; regions: string }[] = [
  {
    i: 7_300,
    ro: 11_200,
    regions: '01 02 03 05 06 09 10 15 16 17 18 20 21 25 26 28 29 31 32 33 34 35 40 41 42 43 44 46',
  },
  { i: 11_600, ro: 19_500, regions: '04 07 19 23 24 27 30 37 38 45 47' },
  { i: 23_000, ro: 41_100, regions: '08 36 39' },
  { i: 26_500, ro: 41_100, regions: '11' },
  { i: 27_500, ro: 41_100, regions: '12 13 14 22' },
]

const rates: ReadonlyMap<string, { i: number; ro: number }> = new Map(
  tiers.flatMap(({ i, ro, regions }) =>
    regions.split(' ').map((code) => [`JP-${code}`, { i: i / 10_000_000, ro: ro / 10_000_000 }] as const),
  ),
)

export const insuranceSource = 'earthquake insurance base rate, October 2022'

/** Expected loss per year as a share of the insured value; undefined where no such rate is known. */
export function insuranceRate(region: string, structure: 'i' | 'ro'): number | undefined {
  return rates.get(region)?.[structure]
}
