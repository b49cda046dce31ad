/** Whether bytes are valid UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF. */

/** Where valid UTF-8 stops: `end` when all of `start..end` is valid, else the place of the first bad sequence. */
export function utf8End(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end) {
    const first = bytes[at]!
    if (first < 0x80) {
      at++
      continue
    }
    // The second byte's range excludes overlong forms, surrogates and what lies past the last plane.
    let low = 0x80
    let high = 0xbf
    let more: number
    if (first >= 0xc2 && first <= 0xdf) more = 1
    else if (first >= 0xe0 && first <= 0xef) {
      more = 2
      if (first === 0xe0) low = 0xa0
      else if (first === 0xed) high = 0x9f
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3
      if (first === 0xf0) low = 0x90
      else if (first === 0xf4) high = 0x8f
    } else return at
    if (at + more >= end) return at
    const second = bytes[at + 1]!
    if (second < low || second > high) return at
    for (let i = 2; i <= more; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return at
    at += more + 1
  }
  return at
}
