/** Outlines of the land (Natural Earth, public domain), for maps. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { feature } from 'topojson-client'

const known = new Map<string, string>()

/** One SVG path in degrees, longitude first, north up: y is the latitude, not turned over. */
export function landPath(scale: '50m' | '110m'): string {
  const before = known.get(scale)
  if (before) return before
  const file = createRequire(import.meta.url).resolve(`world-atlas/land-${scale}.json`)
  const topology = JSON.parse(readFileSync(file, 'utf8'))
  const shape = feature(topology, topology.objects.land)
  const parts: string[] = []
  const polygons =
    shape.type === 'FeatureCollection' ? shape.features.flatMap((one) => rings(one.geometry)) : rings(shape.geometry)
  for (const ring of polygons.map(unwrapped))
    parts.push(`M${ring.map(([x, y]) => `${x!.toFixed(2)} ${y!.toFixed(2)}`).join('L')}Z`)
  const land = parts.join('')
  known.set(scale, land)
  return land
}

/** A ring that crosses the antimeridian goes on beyond 180° instead of back across the whole map. */
function unwrapped(ring: number[][]): number[][] {
  let turns = 0
  const whole = ring.map(([x, y], at) => {
    const before = ring[at - 1]?.[0] ?? x!
    if (x! - before > 180) turns -= 360
    else if (x! - before < -180) turns += 360
    return [x! + turns, y!]
  })
  // Most of it lies where it belongs, wherever the ring began.
  const middle = whole.reduce((sum, [x]) => sum + x!, 0) / whole.length
  const back = 360 * Math.round(middle / 360)
  return whole.map(([x, y]) => [x! - back, y!])
}

function rings(geometry: { type: string; coordinates?: unknown }): number[][][] {
  if (geometry.type === 'Polygon') return geometry.coordinates as number[][][]
  if (geometry.type === 'MultiPolygon') return (geometry.coordinates as number[][][][]).flat()
  return []
}
