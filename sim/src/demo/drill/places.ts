/** The site that a drill is held on: the simulated site's data servers and more where hazards are frequent, and members' homes. */
import type { Ground } from '@azukari/gateway/services/placement/hazards/place'
import type { RiskTerm } from '@azukari/gateway/services/placement/risk/risk'
import type { FixturePlace } from '../../testkit/placement/risks.ts'
import { places as sitePlaces } from '../../testkit/places.ts'

export interface DrillPlace extends FixturePlace {
  name: string
  /** What is known of the ground: tsunamis and shaking depend on it. */
  ground?: Ground
}

/**
 * The same for all, beside what insurers' rates add by themselves: so data lies everywhere at the start, and it is the
 * history alone that decides what moves.
 */
const rates: RiskTerm[] = [
  { peril: 'outage', probability: 0.01, vulnerability: 1, source: 'assumed for the drill, the same for all' },
]

const more: [id: string, name: string, region: string, latitude: number, longitude: number][] = [
  ['sendai', 'Sendai', 'JP-04', 38.27, 140.97],
  ['niigata', 'Niigata', 'JP-15', 37.9, 139.02],
  ['hiroshima', 'Hiroshima', 'JP-34', 34.4, 132.46],
  ['naha', 'Naha', 'JP-47', 26.21, 127.68],
  ['taipei', 'Taipei', 'TW-TPE', 25.03, 121.57],
  ['hualien', 'Hualien', 'TW-TPE', 23.98, 121.6],
  ['seoul', 'Seoul', 'KR-11', 37.57, 126.98],
  ['stockholm', 'Stockholm', 'SE-AB', 59.33, 18.07],
]

/** How high and how far from the sea; where nothing is said, nothing is known and the worst is taken. */
const grounds: Record<string, Ground> = {
  sendai: { elevationM: 4, coastKm: 1 },
  kochi: { elevationM: 3, coastKm: 2 },
  ishikari: { elevationM: 6, coastKm: 4 },
  inzai: { elevationM: 25, coastKm: 30 },
  osaka: { elevationM: 8, coastKm: 6 },
  fukuoka: { elevationM: 8, coastKm: 4 },
  niigata: { elevationM: 8, coastKm: 4 },
  hiroshima: { elevationM: 6, coastKm: 5 },
  naha: { elevationM: 12, coastKm: 2 },
}

export const drillPlaces: readonly DrillPlace[] = [
  ...sitePlaces.map(({ id, name, region, latitude, longitude }) => ({ id, name, region, latitude, longitude })),
  ...more.map(([id, name, region, latitude, longitude]) => ({ id, name, region, latitude, longitude })),
].map((place) => ({ ...place, quake: 0, rates, ...(grounds[place.id] ? { ground: grounds[place.id]! } : {}) }))

/** Where members live, in turn. */
export const drillHomes = ['JP-13', 'JP-27', 'JP-04', 'JP-40', 'TW-TPE']
