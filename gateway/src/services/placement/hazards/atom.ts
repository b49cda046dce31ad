/** Atom indexes (RFC 4287), with which agencies such as JMA and weather services name their newest documents. */
import { isProblem } from '@azukari/protocol/problem'
import { all, readXml } from './xml.ts'

/**
 * Addresses of the documents that an index names, oldest first; undefined when the text is no index. Only addresses of
 * the index's own host count: an index must not send us elsewhere.
 */
export function atomLinks(bytes: Uint8Array, from: string): string[] | undefined {
  const start = new TextDecoder().decode(bytes.subarray(0, 2048))
  if (!/http:\/\/www\.w3\.org\/2005\/Atom/.test(start) || /<rss[\s>]/.test(start)) return undefined
  try {
    const root = readXml(bytes)
    if (root.name !== 'feed') return undefined
    const host = new URL(from).host
    return all(root, 'entry')
      .flatMap((entry) => {
        const href = all(entry, 'link')[0]?.attributes['href']
        const url = href === undefined ? null : URL.parse(href, from)
        return url && url.host === host && /^https?:$/.test(url.protocol) ? [url.href] : []
      })
      .reverse()
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}
