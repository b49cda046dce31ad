/** XML of hazard feeds: the limits, and the codes of what goes wrong. */
import { readXml as read, type XmlNode } from '../../../xml/read.ts'
import { limits } from './hazard.ts'

export type { XmlNode } from '../../../xml/read.ts'
export { all, below, find, textOf } from '../../../xml/walk.ts'

/** @throws {Problem} `feed.malformed`, `feed.hostile`, `feed.too-large` */
export function readXml(bytes: Uint8Array): XmlNode {
  return read(bytes, {
    maxBytes: limits.bulletinBytes,
    maxElements: 300_000,
    maxDepth: 64,
    problems: { malformed: 'feed.malformed', hostile: 'feed.hostile', tooLarge: 'feed.too-large' },
  })
}
