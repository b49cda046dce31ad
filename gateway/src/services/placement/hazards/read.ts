/** The formats of hazards, and how one is told from another. */

import { Problem } from '@azukari/protocol/problem'
import { startOf } from '../../../xml/read.ts'
import { readCap } from './cap.ts'
import { readGdacs } from './gdacs.ts'
import { type Bulletin, limits } from './hazard.ts'
import { readJma } from './jma.ts'
import { readJshis } from './jshis.ts'
import type { ReadOptions } from './read-options.ts'
import { readTrack } from './track.ts'
import { readUsgs } from './usgs.ts'

export const formats = {
  usgs: readUsgs,
  gdacs: readGdacs,
  jma: readJma,
  cap: readCap,
  track: readTrack,
  jshis: readJshis,
} as const
export type Format = keyof typeof formats

/**
 * Reads one document. Entries that cannot be used are among the problems; the others count.
 * @param format undefined: told from the text itself
 * @throws {Problem} `feed.malformed`, `feed.hostile`, `feed.too-large` when the document as a whole is of no use
 */
export function readBulletin(bytes: Uint8Array, format: Format | undefined, options: ReadOptions): Bulletin {
  if (bytes.length > limits.bulletinBytes)
    throw new Problem('feed.too-large', `${bytes.length} bytes, ${limits.bulletinBytes} are allowed`)
  const bulletin = formats[format ?? formatOf(bytes)](bytes, options)
  const forecasts = bulletin.hazards.filter(({ shape }) => shape.kind !== 'quake').length
  if (bulletin.hazards.length > limits.hazards || forecasts > limits.forecasts)
    throw new Problem('feed.too-large', `${bulletin.hazards.length} hazards, ${forecasts} of them forecasts`)
  // An end that is dated ahead would also end what is told until then.
  const ahead = (atMs: number) => atMs > options.nowMs + limits.clockSkewMs
  for (const { id, atMs } of bulletin.cancelled)
    if (ahead(atMs)) bulletin.problems.push(new Problem('hazard.invalid', `${id} is ended in the future`))
  bulletin.cancelled = bulletin.cancelled.filter(({ atMs }) => !ahead(atMs))
  bulletin.held = bulletin.held.filter(({ atMs }) => !ahead(atMs))
  return bulletin
}

/** Tells a document's format from its beginning. @throws {Problem} `feed.malformed` */
export function formatOf(bytes: Uint8Array): Format {
  const start = startOf(bytes, 4096)
  const trimmed = start.trimStart()
  if (trimmed.startsWith('{')) {
    if (/"T30_I\d\d_PS"/.test(start)) return 'jshis'
    if (/"mag"|earthquake\.usgs\.gov/.test(start)) return 'usgs'
    return 'track'
  }
  if (/xml\.kishou\.go\.jp/.test(start)) return 'jma'
  if (/<rss[\s>]/.test(start) && /gdacs/i.test(start)) return 'gdacs'
  if (/urn:oasis:names:tc:emergency:cap/.test(start)) return 'cap'
  // A document type before the root hides what it is; the XML reader refuses it by name.
  if (/<!DOCTYPE/i.test(start)) return 'cap'
  throw new Problem('feed.malformed', 'neither USGS, GDACS, JMA, CAP, J-SHIS nor a track')
}
