/** Fetches a feed over HTTP, through the guarded way out. */
import { Problem } from '@azukari/protocol/problem'
import { guardedFetch, type OutboundAnswer, type OutboundRequest } from '../../../adapters/guarded-fetch.ts'
import type { FeedAnswer, FeedRequest } from '../hazards/feed-port.ts'

const problems = {
  unreachable: 'feed.unreachable',
  refused: 'feed.refused',
  tooLarge: 'feed.too-large',
  type: 'feed.malformed',
} as const

/** @throws {Problem} `feed.unreachable`, `feed.refused`, `feed.too-large`, `feed.malformed` */
export async function fetchFeed(
  request: FeedRequest,
  fetch: (request: OutboundRequest) => Promise<OutboundAnswer> = guardedFetch,
): Promise<FeedAnswer> {
  const { url, etag, modified, named, maxBytes, timeoutMs, signal } = request
  const headers = {
    ...(etag ? { 'if-none-match': etag } : {}),
    ...(modified ? { 'if-modified-since': modified } : {}),
  }
  // Some agencies serve their documents as plain text or as bytes.
  const types = /xml|json|text\/plain|octet-stream/i
  const answer = await fetch({ url, headers, named, types, maxBytes, timeoutMs, signal, problems })
  if (answer.status === 304) return { kind: 'same' }
  if (answer.status !== 200) throw new Problem('feed.unreachable', `${new URL(url).host} answers ${answer.status}`)
  const { etag: newEtag, 'last-modified': newModified } = answer.headers
  return { kind: 'new', bytes: answer.bytes, etag: newEtag, modified: newModified }
}
