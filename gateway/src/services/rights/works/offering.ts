/** A work among what the site offers to members (R3): with its published conditions, and a small picture for the list. */
import { hex } from '@azukari/protocol/bytes'
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { contentPictureMaxBytes } from '@azukari/protocol/contracts/content'
import type { offerMade } from '@azukari/protocol/contracts/rights-copies'
import { Problem } from '@azukari/protocol/problem'
import { smallJpeg } from '../marks/picture-file.ts'
import type { RightsShared } from '../shared.ts'
import { addPlace, findWork, type WorkRow } from './store.ts'

export type OfferMade = (offer: RequestOf<typeof offerMade>) => Promise<ReplyOf<typeof offerMade>>

export interface OfferedWork {
  work: string
  content: string
  version: number
  terms: string
}

/**
 * Offers it, or what is offered anew under today's words. Where it is shown there is a place of the work from then on.
 * @param provider who is paid, by member number
 * @throws {Problem} `rights.work-unknown`, `content.unsuitable`, `content.withdrawn`, `mark.unreadable`, `storage.*`
 */
export async function offerWorkAsContent(
  { store, pictures }: Pick<RightsShared, 'store' | 'pictures'>,
  offer: OfferMade,
  { work, provider }: { work: string; provider: string },
): Promise<OfferedWork> {
  const row = await findWork(store.sql, work)
  if (!row) throw new Problem('rights.work-unknown', work)
  const master = await pictures.read('master', work)
  const { bytes: picture, mediaType } = await smallJpeg(master)
  if (picture.length > contentPictureMaxBytes) throw new Problem('content.unsuitable', 'its small picture is too large')
  const terms = termsOf(row)
  const asked = { work, provider, title: titleOf(row), terms, mediaType, sizeBytes: master.length, picture }
  const { content, version } = await offer({ ...asked, priceMinor: row.price, currency: row.currency })
  const id = hex(content)
  await store.transaction(({ sql }) => addPlace(sql, work, `content:${id}`))
  return { work, content: id, version, terms }
}

function titleOf({ title, author }: WorkRow): string {
  return `${title}, ${author}`.slice(0, 200)
}

/** What a member agrees to at a board, Japanese first. */
function termsOf({ max_days: days }: WorkRow): string {
  return `あなた専用の電子透かし入りの複製です。購入から${days}日間、ご自身で表示・印刷できます。公開や再販売はできません。 / A marked copy of your own, to show and print for yourself for ${days} days; not to be published or sold on.`
}
