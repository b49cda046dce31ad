/** The wire that feeds come over, as a port. */
export interface FeedRequest {
  url: string
  /** Of the last good answer: what has not changed is not sent again. */
  etag?: string | undefined
  modified?: string | undefined
  /** `host:port` that the operator named; any other address must be a public one. */
  named: readonly string[]
  maxBytes: number
  timeoutMs: number
  signal: AbortSignal
}

export type FeedAnswer =
  | { kind: 'same' }
  | { kind: 'new'; bytes: Uint8Array; etag?: string | undefined; modified?: string | undefined }

/** @throws {Problem} `feed.unreachable`, `feed.refused`, `feed.too-large`, `feed.malformed` */
export type FetchFeed = (request: FeedRequest) => Promise<FeedAnswer>
