/** Hazard documents as agencies send them, made for a place and a time. */

const hourMs = 3_600_000

interface At {
  latitude: number
  longitude: number
}

/** A cyclone's forecast track that passes over a place. @param inMs until its centre is there */
export function cycloneOver(id: string, place: At, nowMs: number, inMs: number, windMs = 50): string {
  const point = (at: At, ms: number, radiusKm: number) => ({
    type: 'Feature',
    properties: { time: new Date(ms).toISOString(), windMs, stormKm: 120, radiusKm },
    geometry: { type: 'Point', coordinates: [at.longitude, at.latitude] },
  })
  // It comes from the south-west at about 40 km/h.
  const degrees = (40 * (inMs / hourMs)) / 111 / Math.SQRT2
  const from = { latitude: place.latitude - degrees, longitude: place.longitude - degrees }
  const on = { latitude: place.latitude + 2, longitude: place.longitude + 2 }
  return JSON.stringify({
    type: 'FeatureCollection',
    id,
    name: `Cyclone ${id}`,
    issued: new Date(nowMs).toISOString(),
    features: [
      point(from, nowMs, 0),
      point(place, nowMs + inMs, 15 + (5 * inMs) / hourMs),
      point(on, nowMs + inMs + 8 * hourMs, 60),
    ],
  })
}

/** The same cyclone taken back by its agency. */
export function cycloneGone(id: string, nowMs: number): string {
  return JSON.stringify({
    type: 'FeatureCollection',
    id,
    issued: new Date(nowMs).toISOString(),
    cancelled: true,
    features: [{}],
  })
}

/** An entity bomb dressed as an alert. */
export const hostileAlert = `<?xml version="1.0"?><!DOCTYPE alert [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>&b;</identifier></alert>`
