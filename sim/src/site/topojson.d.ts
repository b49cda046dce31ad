/** The part of `topojson-client` that is used here; it ships no types. */
declare module 'topojson-client' {
  type Shape = { type: 'Feature'; geometry: { type: string; coordinates?: unknown } }
  export function feature(topology: unknown, object: unknown): Shape | { type: 'FeatureCollection'; features: Shape[] }
}
