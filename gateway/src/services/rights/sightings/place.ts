/** Addresses of copies, and what lies below what (R5). */

/** What a picture was that a site itself offers: `content:` and its id. */
const offered = /^content:[0-9a-f]{32}$/
/** Where a sighting has no address: of what a member keeps for themselves. */
export const noLocation = ''
/** Host of what the site itself offers, which is no address on the web. */
export const ownHost = 'content'

/**
 * An address as it is compared and kept: without fragment, user, default port, and the dot that ends a full name. Undefined for what is
 * neither an http address nor a content of the site.
 */
export function locationOf(text: string): string | undefined {
  if (offered.test(text)) return text
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) return undefined
  url.hostname = nameOf(url)
  if (nameOf(url) === '') return undefined
  url.hash = ''
  url.username = ''
  url.password = ''
  return url.href
}

/** Whether a copy can be fetched from there, and somebody beyond the site be written to about it. */
export function isOnTheWeb(location: string): boolean {
  return /^https?:/.test(location)
}

/** Name and port of the host at an address, as it is compared. */
export function hostOf(location: string): string {
  if (!isOnTheWeb(location)) return ownHost
  const url = new URL(location)
  return url.port === '' ? nameOf(url) : `${nameOf(url)}:${url.port}`
}

/**
 * Whether a location is a place or lies below it: the same host and port, and the path begins with the place's at a whole segment. With
 * or without TLS is the same place.
 */
export function isBelow(location: string, place: string): boolean {
  if (!isOnTheWeb(location) || offered.test(place)) return location === place
  const [at, below] = [URL.parse(location), URL.parse(place)]
  if (!at || !below || hostAndPort(at) !== hostAndPort(below)) return false
  const path = below.pathname.replace(/\/$/, '')
  return at.pathname === path || at.pathname.startsWith(`${path}/`)
}

function hostAndPort(url: URL): string {
  return `${nameOf(url)}:${url.port}`
}

/** `a.example.` is `a.example` (RFC 1034 §3.1); the URL has brought it to lower case and to ASCII. */
function nameOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, '')
}
