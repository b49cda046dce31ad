/** The wire that feeds come over, as a port. */
export interface FeedRequest {
  url: string
  /** Of the last good answer: what has not changed is not sent again. */
  etag?: string | undefined
  modified?: string | undefined
  maxBytes: number
  timeoutMs: number
  signal: AbortSignal
}

export type FeedAnswer =
  | { kind: 'same' }
  | { kind: 'new'; bytes: Uint8Array; etag?: string | undefined; modified?: string | undefined }

/** @throws {Problem} `feed.unreachable`, `feed.too-large` */
export type FetchFeed = (request: FeedRequest) => Promise<FeedAnswer>
