/** Which data server is nearest (C1): the pure part. */
import { distanceKm, type Position } from '../../geography.ts'

export interface ServerAt extends Position {
  id: string
}

/**
 * Servers from the nearest on; equally near ones in the order of their ids, so that everybody finds the same.
 * @param place of who asks; unknown: in the order of their ids
 */
export function nearestFirst<S extends ServerAt>(servers: readonly S[], place: Position | undefined): S[] {
  const far = (server: S) => (place ? distanceKm(place, server) : 0)
  return [...servers].sort((a, b) => far(a) - far(b) || (a.id < b.id ? -1 : 1))
}
