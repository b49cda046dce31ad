/** Addresses of copies, and what lies below what (R5). */

/** An address as it is compared and kept: without fragment, user or default port. Undefined for what is no http address. */
export function locationOf(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '') return undefined
  url.hash = ''
  url.username = ''
  url.password = ''
  return url.href
}

/** Name and port of the host at an address. */
export function hostOf(location: string): string {
  return new URL(location).host
}

/**
 * Whether a location is a place or lies below it: the same host and port, and the path begins with the place's at a whole segment. With
 * or without TLS is the same place.
 */
export function isBelow(location: string, place: string): boolean {
  const [at, below] = [URL.parse(location), URL.parse(place)]
  if (!at || !below || hostAndPort(at) !== hostAndPort(below)) return false
  const path = below.pathname.replace(/\/$/, '')
  return at.pathname === path || at.pathname.startsWith(`${path}/`)
}

function hostAndPort({ hostname, port }: URL): string {
  return `${hostname}:${port}`
}
