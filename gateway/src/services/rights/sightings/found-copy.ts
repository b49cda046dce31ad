/** Fetches a copy from where it was seen, through the guarded way out: bounded in size, time, redirects and types, public addresses alone. */
import { Problem } from '@azukari/protocol/problem'
import type { OutboundAnswer, OutboundRequest } from '../../../adapters/guarded-fetch.ts'

export interface FoundCopy {
  bytes: Uint8Array
  media: string
}

const copyMaxBytes = 32 << 20
const copyMs = 60_000
const problems = {
  unreachable: 'copy.unreachable',
  refused: 'copy.refused',
  tooLarge: 'copy.too-large',
  type: 'copy.no-picture',
} as const

/** @param named `host:port` that the site's settings name. @throws {Problem} `copy.*` */
export async function fetchCopy(
  url: string,
  fetch: (request: OutboundRequest) => Promise<OutboundAnswer>,
  named: readonly string[],
  signal: AbortSignal,
): Promise<FoundCopy> {
  const types = /^(image\/|application\/octet-stream)/i
  const answer = await fetch({ url, named, types, maxBytes: copyMaxBytes, timeoutMs: copyMs, signal, problems })
  if (answer.status === 404 || answer.status === 410) throw new Problem('copy.gone', url)
  if (answer.status !== 200) throw new Problem('copy.unreachable', `it answers ${answer.status}`)
  return { bytes: answer.bytes, media: answer.headers['content-type'] ?? '' }
}
