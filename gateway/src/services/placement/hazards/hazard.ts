/**
 * What every source of hazards is turned into (S14): one kind of event, where and how strong, how certain, and from when
 * until when it counts. Sources differ; what is decided from them must not.
 */
import { Problem } from '@azukari/protocol/problem'
import { distanceKm, type Position, regions } from '../../../geography.ts'
import type { Peril } from '../risk/risk.ts'

/** An earthquake that has happened. Intensities are of the Japan Meteorological Agency's scale, 0 … 7. */
export interface Quake {
  kind: 'quake'
  at: Position
  depthKm: number
  magnitude: number
  /** Greatest intensity that was measured per region (ISO 3166-2). */
  felt?: readonly { region: string; intensity: number }[]
}

export interface TrackPoint extends Position {
  atMs: number
  /** Radius of the circle in which the centre is found with 70 %, km; 0 when observed. */
  radiusKm: number
  /** Greatest sustained wind near the centre, m/s. */
  windMs: number
  /** Radius of winds of at least 25 m/s, km. */
  stormKm?: number
}

/** A tropical cyclone: where it is and where it will be. */
export interface Track {
  kind: 'track'
  name: string
  points: readonly TrackPoint[]
}

/** Coasts that a tsunami reaches. */
export interface Coasts {
  kind: 'coasts'
  coasts: readonly { name: string; regions: readonly string[]; heightM: number; arrivesMs?: number }[]
}

/** An alert for areas: rings and circles on the map, or regions by code. */
export interface Area {
  kind: 'area'
  severity: Severity
  rings?: readonly (readonly Position[])[]
  circles?: readonly (Position & { radiusKm: number })[]
  regions?: readonly string[]
}

/** How often an intensity (JMA) is reached within a ring on the map: a standing rate. */
export interface Exceedance {
  kind: 'exceedance'
  ring: readonly Position[]
  /** Ascending by intensity. */
  rates: readonly { intensity: number; perYear: number }[]
}

export type Severity = 'extreme' | 'severe' | 'moderate' | 'minor'
export type Shape = Quake | Track | Coasts | Area | Exceedance

export interface Hazard {
  /** Stable over updates of the same event by the same agency: `usgs:us7000abcd`; parts of one message end in `#n`. */
  id: string
  /** Hazards of one message that count once at a place, the worst of them: an alert in several languages. */
  event?: string
  /** Kind of report that told it. Several kinds tell of one hazard, and each can be withdrawn alone. */
  telegram?: string
  /** It says only a part: what it does not speak of stays as it was known. */
  partial?: boolean
  peril: Peril
  /** What people are shown; the agency's own words. */
  title: string
  /** Probability that it comes as it is told, 0 … 1. */
  certainty: number
  /** When this telling of it was made; a later one replaces it. */
  issuedMs: number
  /** From when until when it counts. */
  fromMs: number
  untilMs: number
  shape: Shape
}

/** What an agency ended: the whole of a message, or only what one kind of report told of it. */
export interface Cancellation {
  id: string
  atMs: number
  telegram?: string
}

/** A message that replaces others but could not be used: they are held until one comes that can, or that ends them. */
export interface Hold {
  /** Of the message that could not be used; whatever ends or replaces it ends or replaces those. */
  id: string
  /** Ids of the messages that are held. */
  predecessors: string[]
  atMs: number
  /** Until when, at least. */
  untilMs: number
}

/** What one document of a feed said. */
export interface Bulletin {
  hazards: Hazard[]
  cancelled: Cancellation[]
  held: Hold[]
  /** What could not be used, and why: never dropped without a word. */
  problems: Problem[]
  /** Entries that are no danger to data (droughts, drills, tests, small shocks). */
  passed: number
}

export const emptyBulletin = (): Bulletin => ({
  hazards: [],
  cancelled: [],
  held: [],
  problems: [],
  passed: 0,
})

/** Limits of one hazard and one bulletin; beyond them is an error or an attack, not an event. */
export const limits = {
  bulletinBytes: 16 * 1024 * 1024,
  hazards: 5_000,
  /** Cyclones, tsunamis and alerts together: they cost more to weigh. */
  forecasts: 500,
  ringPoints: 2_000,
  rings: 200,
  trackPoints: 200,
  coasts: 200,
  idLength: 120,
  titleLength: 300,
  /** How far ahead of the clock a bulletin may be dated. */
  clockSkewMs: 3_600_000,
  /** How far ahead an event may be forecast. */
  forecastMs: 30 * 86_400_000,
  /** Greatest radius of one circle and extent of one ring, km: half a continent. */
  extentKm: 3_000,
}

/**
 * Checks a hazard for what no honest source says; the first fault is told.
 * @throws {Problem} `hazard.invalid` with id and place of the fault
 */
export function checkHazard(hazard: Hazard, nowMs: number): Hazard {
  const fail = (what: string): never => {
    throw new Problem('hazard.invalid', `${hazard.id.slice(0, limits.idLength)}: ${what}`)
  }
  const { id, shape } = hazard
  if (!/^[\x21-\x7e]+$/.test(id) || id.length > limits.idLength) fail('the id is not short printable text')
  if (!(hazard.certainty >= 0 && hazard.certainty <= 1)) fail(`certainty ${hazard.certainty}`)
  for (const name of ['issuedMs', 'fromMs', 'untilMs'] as const)
    if (!Number.isSafeInteger(hazard[name]) || hazard[name] < 0) fail(`${name} is no time`)
  if (hazard.issuedMs > nowMs + limits.clockSkewMs)
    fail(`it was issued in the future, ${new Date(hazard.issuedMs).toISOString()}`)
  if (hazard.fromMs > nowMs + limits.forecastMs)
    fail(`it begins ${new Date(hazard.fromMs).toISOString()}, too far ahead`)
  if (hazard.untilMs < hazard.fromMs) fail('it ends before it begins')
  hazard.title = hazard.title.slice(0, limits.titleLength)
  if (shape.kind !== 'exceedance')
    hazard.untilMs = Math.min(hazard.untilMs, Math.max(hazard.fromMs, nowMs) + limits.forecastMs)
  switch (shape.kind) {
    case 'quake':
      place(shape.at, fail)
      if (!(shape.magnitude >= -2 && shape.magnitude <= 10)) fail(`magnitude ${shape.magnitude}`)
      if (!(shape.depthKm >= 0 && shape.depthKm <= 800)) fail(`depth ${shape.depthKm} km`)
      for (const { region, intensity } of shape.felt ?? []) {
        checkRegion(region, fail)
        if (!(intensity >= 0 && intensity <= 7.5)) fail(`intensity ${intensity}`)
      }
      break
    case 'track':
      track(shape.points, fail)
      break
    case 'coasts':
      if (shape.coasts.length > limits.coasts) fail(`${shape.coasts.length} coasts`)
      for (const { regions: named, heightM } of shape.coasts) {
        for (const region of named) checkRegion(region, fail)
        if (!(heightM >= 0 && heightM <= 100)) fail(`height ${heightM} m`)
      }
      break
    case 'area':
      area(shape, fail)
      break
    case 'exceedance':
      area({ kind: 'area', severity: 'minor', rings: [shape.ring] }, fail)
  }
  return hazard
}

/** Throws a problem that names the fault. */
export type Fail = (what: string) => never

/** A position on the earth. Latitude and longitude are often swapped, and then the latitude gives it away. */
function place({ latitude, longitude }: Position, fail: Fail): void {
  if (Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180) return
  const swapped = Math.abs(longitude) <= 90 && Math.abs(latitude) <= 180
  fail(`position ${latitude}, ${longitude}${swapped ? ': latitude and longitude are swapped' : ''}`)
}

export function checkRegion(region: string, fail: Fail): void {
  if (!/^[A-Z]{2}(-[A-Z0-9]{1,3})?$/.test(region)) fail(`region ${region}`)
}

function track(points: readonly TrackPoint[], fail: Fail): void {
  if (points.length === 0 || points.length > limits.trackPoints) fail(`${points.length} points`)
  for (const [i, point] of points.entries()) {
    place(point, fail)
    const before = points[i - 1]
    if (before && point.atMs <= before.atMs) fail('points are not in order of time')
    // Faster than any cyclone ever moved: swapped or mixed-up coordinates. Known records are below 120 km/h.
    if (before && distanceKm(before, point) > 50 + (250 * (point.atMs - before.atMs)) / 3_600_000)
      fail(`it would move ${Math.round(distanceKm(before, point))} km between two points`)
    if (!(point.radiusKm >= 0 && point.radiusKm <= limits.extentKm)) fail(`circle of ${point.radiusKm} km`)
    if (!(point.windMs >= 0 && point.windMs <= 150)) fail(`wind of ${point.windMs} m/s`)
    if (point.stormKm !== undefined && !(point.stormKm >= 0 && point.stormKm <= limits.extentKm))
      fail(`storm radius of ${point.stormKm} km`)
  }
}

function area({ rings = [], circles = [], regions: named = [] }: Area, fail: Fail): void {
  if (rings.length + circles.length > limits.rings) fail(`${rings.length + circles.length} areas`)
  if (rings.length + circles.length + named.length === 0) fail('no area')
  if (named.length > regions.size + 300) fail(`${named.length} regions`)
  for (const region of named) checkRegion(region, fail)
  for (const circle of circles) checkCircle(circle, fail)
  for (const ring of rings) checkRing(ring, fail)
}

export function checkCircle(circle: Position & { radiusKm: number }, fail: Fail): void {
  place(circle, fail)
  if (!(circle.radiusKm >= 0 && circle.radiusKm <= limits.extentKm)) fail(`circle of ${circle.radiusKm} km`)
}

export function checkRing(ring: readonly Position[], fail: Fail): void {
  if (ring.length < 3 || ring.length > limits.ringPoints) fail(`a ring of ${ring.length} points`)
  for (const point of ring) place(point, fail)
  const first = ring[0]!
  if (ring.some((point) => distanceKm(first, point) > 2 * limits.extentKm)) fail('a ring around half the world')
}
