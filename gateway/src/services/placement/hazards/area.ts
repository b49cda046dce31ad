/** Plane geometry on degrees, good enough for areas of some hundred kilometres: inside a ring, and how far from it. */
import { distanceKm, type Position } from '../../../geography.ts'

/** Longitude of `b` brought within 180° of `a`, so that rings across the date line hold together. */
export function unwrap(longitude: number, near: number): number {
  return near + (((((longitude - near) % 360) + 540) % 360) - 180)
}

/** Whether a place lies within a ring (even–odd rule). */
export function inRing({ latitude: y, longitude: x }: Position, ring: readonly Position[]): boolean {
  let inside = false
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const a = ring[i]!
    const b = ring[j]!
    const ax = unwrap(a.longitude, x)
    const bx = unwrap(b.longitude, x)
    if (Math.abs(ax - bx) > 180) continue
    if (a.latitude > y !== b.latitude > y && x < ((bx - ax) * (y - a.latitude)) / (b.latitude - a.latitude) + ax)
      inside = !inside
  }
  return inside
}

/** Distance to the nearest edge of a ring, km. */
export function toRingKm(place: Position, ring: readonly Position[]): number {
  let least = Number.POSITIVE_INFINITY
  const scale = Math.cos((place.latitude * Math.PI) / 180) || 1e-6
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const ax = (unwrap(ring[j]!.longitude, place.longitude) - place.longitude) * scale
    const ay = ring[j]!.latitude - place.latitude
    const bx = (unwrap(ring[i]!.longitude, place.longitude) - place.longitude) * scale
    const by = ring[i]!.latitude - place.latitude
    const length = (bx - ax) ** 2 + (by - ay) ** 2
    const t = length === 0 ? 0 : Math.min(1, Math.max(0, (-ax * (bx - ax) - ay * (by - ay)) / length))
    const nearest = {
      latitude: place.latitude + ay + t * (by - ay),
      longitude: place.longitude + (ax + t * (bx - ax)) / scale,
    }
    least = Math.min(least, distanceKm(place, nearest))
  }
  return least
}
