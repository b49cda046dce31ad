/**
 * The places of the simulated site. Earthquake terms of Japanese servers are the base rates of residential earthquake
 * insurance per year (standard full rates of October 2022, structure class イ: 0.73 to 2.75 per 1,000); they are
 * expected losses, so vulnerability is 1. All other terms are round assumptions for simulation and say so.
 */

import { regions } from '@azukari/gateway/geography'
import type { RiskTerm } from '@azukari/gateway/services/placement/risk/risk'

const insurance = 'earthquake insurance base rate, October 2022, class イ'
const assumed = 'assumed for simulation'

function japan(ratePerMille: number, storm: number): RiskTerm[] {
  return [
    { peril: 'earthquake', probability: ratePerMille / 1000, vulnerability: 1, source: insurance },
    { peril: 'storm', probability: storm, vulnerability: 0.002, source: assumed },
    { peril: 'fire', probability: 0.001, vulnerability: 0.05, source: assumed },
  ]
}

function elsewhere(earthquake: number, storm: number, flood: number): RiskTerm[] {
  return [
    { peril: 'earthquake', probability: earthquake, vulnerability: 0.1, source: assumed },
    { peril: 'storm', probability: storm, vulnerability: 0.002, source: assumed },
    { peril: 'flood', probability: flood, vulnerability: 0.02, source: assumed },
    { peril: 'fire', probability: 0.001, vulnerability: 0.05, source: assumed },
  ]
}

export interface Place {
  id: string
  name: string
  region: string
  latitude: number
  longitude: number
  domain: string
  capacityBytes: number
  rates: RiskTerm[]
}

const rows: [id: string, name: string, region: string, latitude: number, longitude: number, rates: RiskTerm[]][] = [
  ['ishikari', 'Ishikari', 'JP-01', 43.17, 141.32, japan(0.73, 0.02)],
  ['inzai', 'Inzai', 'JP-12', 35.83, 140.15, japan(2.75, 0.05)],
  ['nagano', 'Nagano', 'JP-20', 36.65, 138.18, japan(0.73, 0.03)],
  ['osaka', 'Osaka', 'JP-27', 34.69, 135.5, japan(1.16, 0.05)],
  ['kochi', 'Kochi', 'JP-39', 33.56, 133.53, japan(2.3, 0.08)],
  ['fukuoka', 'Fukuoka', 'JP-40', 33.59, 130.4, japan(0.73, 0.07)],
  ['singapore', 'Singapore', 'SG', 1.35, 103.82, elsewhere(0.0005, 0.001, 0.034)],
  ['hillsboro', 'Hillsboro', 'US-OR', 45.54, -122.94, elsewhere(0.006, 0.01, 0.01)],
  ['frankfurt', 'Frankfurt', 'DE-HE', 50.11, 8.68, elsewhere(0.001, 0.01, 0.031)],
]

/** Every data server of the simulated world. */
export const places: readonly Place[] = rows.map(([id, name, region, latitude, longitude, rates]) => ({
  id,
  name,
  region,
  latitude,
  longitude,
  domain: id,
  capacityBytes: 20e9,
  rates,
}))

export interface BoardPlace {
  id: string
  role: 'camera' | 'printer' | 'terminal'
  name: string
  region: string
}

/** Where the boards of the simulated site stand. */
export const boardPlaces: readonly BoardPlace[] = [
  { id: 'camera', role: 'camera', name: 'Camera', region: 'JP-13' },
  { id: 'printer', role: 'printer', name: 'Printer', region: 'JP-27' },
  { id: 'terminal', role: 'terminal', name: 'Terminal', region: 'JP-01' },
]

export function positionOf(region: string): { latitude: number; longitude: number; name: string } {
  const { latitude, longitude, name } = regions.get(region)!
  return { latitude, longitude, name }
}
