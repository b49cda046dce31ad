/** Fetches a feed over HTTP, with a limit on time and on bytes after decompression. */
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { FeedAnswer, FeedRequest } from '../services/placement/hazards/feed-port.ts'

/** @throws {Problem} `feed.unreachable`, `feed.too-large` */
export async function fetchFeed({
  url,
  etag,
  modified,
  maxBytes,
  timeoutMs,
  signal,
}: FeedRequest): Promise<FeedAnswer> {
  try {
    const response = await fetch(url, {
      headers: {
        'user-agent': 'azukari-gateway',
        ...(etag ? { 'if-none-match': etag } : {}),
        ...(modified ? { 'if-modified-since': modified } : {}),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    if (response.status === 304) {
      await response.body?.cancel()
      return { kind: 'same' }
    }
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Problem('feed.unreachable', `${new URL(url).host} answers ${response.status}`)
    }
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body ?? []) {
      size += chunk.length
      if (size > maxBytes) throw new Problem('feed.too-large', `more than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    return {
      kind: 'new',
      bytes: Buffer.concat(chunks),
      etag: response.headers.get('etag') ?? undefined,
      modified: response.headers.get('last-modified') ?? undefined,
    }
  } catch (error) {
    if (isProblem(error)) throw error
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : ''
    throw new Problem('feed.unreachable', `${error instanceof Error ? error.message : error} ${cause}`.trim(), {
      cause: error,
    })
  }
}
