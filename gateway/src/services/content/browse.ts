/** Looking around (C14): a page at a time, by words, with pictures. It costs nothing and is not recorded. */
import { hex } from '@azukari/protocol/bytes'
import { browseContent, type ContentItem, contentPicture } from '@azukari/protocol/contracts/content'
import { Problem } from '@azukari/protocol/problem'
import { type Handler, memberCall, type ServiceStore } from '../../service/service.ts'
import { contents, type ListedRow } from './store.ts'

export function browseHandlers({ sql }: Pick<ServiceStore, 'sql'>, serviceMinor: number): Handler[] {
  return [
    memberCall(browseContent, async ({ words, after, limit }) => {
      const rows = await contents.page(sql, words, placeOf(after), limit + 1)
      const items = rows.slice(0, limit).map((row) => itemOf(row, serviceMinor))
      const last = rows[limit - 1]
      return rows.length > limit && last ? { items, next: `${hex(last.id)}${last.search}` } : { items }
    }),
    memberCall(contentPicture, async ({ content }) => {
      const found = await contents.picture(sql, content)
      if (!found?.picture || !found.picture_media) throw new Problem('content.unknown', 'no such picture')
      if (found.state !== 'offered') throw new Problem('content.withdrawn')
      return { mediaType: found.picture_media, picture: new Uint8Array(found.picture) }
    }),
  ]
}

function itemOf(row: ListedRow, serviceMinor: number): ContentItem {
  return {
    content: row.id,
    version: row.version,
    title: row.title,
    mediaType: row.media,
    sizeBytes: row.size,
    provider: row.provider,
    terms: row.terms,
    serviceMinor,
    contentMinor: row.price,
    currency: row.currency,
    hasPicture: row.has_picture === 1,
  }
}

/** Where the page before ended: the id of its last item, and what it is sorted by. @throws {Problem} `message.invalid` */
function placeOf(after: string | undefined): { search: string; id: Uint8Array } {
  if (after === undefined) return { search: '', id: new Uint8Array(0) }
  if (!/^[0-9a-f]{32}/.test(after)) throw new Problem('message.invalid', 'no place in the list')
  return { search: after.slice(32), id: new Uint8Array(Buffer.from(after.slice(0, 32), 'hex')) }
}
