/** Where a CAP information counts: polygons, circles and ISO 3166 codes of all of its areas. */
import { Problem } from '@azukari/protocol/problem'
import type { Position } from '../../../geography.ts'
import { type Area, checkCircle, checkRegion, checkRing, type Fail, type Severity } from './hazard.ts'
import { collect } from './parse.ts'
import { all, textOf, type XmlNode } from './xml.ts'

const severities: Record<string, Severity> = {
  Extreme: 'extreme',
  Severe: 'severe',
  Moderate: 'moderate',
  Minor: 'minor',
}

/**
 * @param problems faults of single polygons, circles and codes: the others still count
 * @throws {Problem} `hazard.invalid` when no part can be used
 */
export function areaOf(info: XmlNode, id: string, problems: Problem[]): Area {
  const rings: Position[][] = []
  const circles: (Position & { radiusKm: number })[] = []
  const regions = new Set<string>()
  const faults: Problem[] = []
  const fail: Fail = (what) => {
    throw new Problem('hazard.invalid', `${id}: ${what}`)
  }
  const count = () => rings.length + circles.length + regions.size + faults.length
  for (const area of all(info, 'area')) {
    const before = count()
    // A region that another area names, too, is no more than one.
    let coded = false
    // Empty elements say nothing.
    for (const text of textsOf(area, 'polygon'))
      collect(faults, () => {
        const ring = text.split(/\s+/).map((pair) => positionOf(pair, fail))
        checkRing(ring, fail)
        rings.push(ring)
      })
    for (const text of textsOf(area, 'circle'))
      collect(faults, () => {
        const [centre = '', radius] = text.split(/\s+/)
        const circle = { ...positionOf(centre, fail), radiusKm: Number(radius) }
        checkCircle(circle, fail)
        circles.push(circle)
      })
    for (const code of all(area, 'geocode')) {
      if (!/^(ISO ?3166(-2)?)$/i.test(textOf(code, 'valueName') ?? '')) continue
      collect(faults, () => {
        const region = (textOf(code, 'value') ?? '').replace('_', '-')
        checkRegion(region, fail)
        regions.add(region)
        coded = true
      })
    }
    if (!coded && count() === before)
      faults.push(
        new Problem(
          'hazard.invalid',
          `${id}: where ${(textOf(area, 'areaDesc') ?? '?').slice(0, 60)} is cannot be read`,
        ),
      )
  }
  if (count() === faults.length && faults[0]) throw faults[0]
  problems.push(...faults)
  return {
    kind: 'area',
    severity: severities[textOf(info, 'severity') ?? ''] ?? 'severe',
    ...(rings.length > 0 ? { rings } : {}),
    ...(circles.length > 0 ? { circles } : {}),
    ...(regions.size > 0 ? { regions: [...regions] } : {}),
  }
}

function textsOf(area: XmlNode, name: string): string[] {
  return all(area, name).flatMap(({ text }) => text.trim() || [])
}

function positionOf(pair: string, fail: Fail): Position {
  const [latitude, longitude] = pair.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  if (latitude === undefined || longitude === undefined || !Number.isFinite(latitude) || !Number.isFinite(longitude))
    return fail(`${pair.slice(0, 40)} is no position`)
  return { latitude, longitude }
}
