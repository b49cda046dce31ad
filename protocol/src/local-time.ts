/** Times as people on the spot write them: of the zone that the system is set to. */

/** `2026-11-30 18:06` */
export function localMinute(ms: number): string {
  const at = new Date(ms)
  return `${localDay(at)} ${two(at.getHours())}:${two(at.getMinutes())}`
}

/** For names of files, without colons: `2026-11-30T180612` */
export function localStamp(ms: number): string {
  const at = new Date(ms)
  return `${localDay(at)}T${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`
}

function localDay(at: Date): string {
  return `${String(at.getFullYear()).padStart(4, '0')}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}
