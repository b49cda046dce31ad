/**
 * Plain text holds what somebody wrote, and nothing beside it: it passes (D8). Text that is a form for places or for other
 * files (GPX, KML, GeoJSON, NMEA, vCard, SVG, mail) is no plain text.
 */
import { notRemovable } from './source.ts'

const formMark = /^\s*(<|\{|\[|BEGIN:V|\$G[NP]|%!PS)/
const formLine = /^(GEO[:;]|MIME-Version:|X-APPLE-STRUCTURED-LOCATION|\$G[NPLA][A-Z]{3},)|;base64,|\bgeo:-?\d/im
/** Text is looked at whole. */
export const textMaxBytes = 16 << 20

/** @throws {Problem} `place.not-removable` when it is no plain text */
export function checkPlainText(bytes: Uint8Array): void {
  let text: string
  try {
    text = new TextDecoder(isUtf16(bytes) ? 'utf-16' : 'utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw notRemovable('a kind of file that is not known', error)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what text does not have is looked for
  if (/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text)) throw notRemovable('a kind of file that is not known')
  if (formMark.test(text) || formLine.test(text)) throw notRemovable('text of a form that may hold places')
}

function isUtf16(bytes: Uint8Array): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
}
