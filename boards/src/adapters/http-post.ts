/** One HTTP POST with limits; what Node's own `fetch` does, without following anybody elsewhere. */
import type { Clock } from '@azukari/protocol/ports'

export interface PostOptions {
  url: string
  contentType: string
  body: Uint8Array
  signal: AbortSignal
  clock: Pick<Clock, 'timer'>
  limitMs: number
  replyMaxBytes: number
}

/** @throws whatever the network does; `RangeError` for a reply that is too large */
export async function httpPost({
  url,
  contentType,
  body,
  signal,
  clock,
  limitMs,
  replyMaxBytes,
}: PostOptions): Promise<Uint8Array> {
  const limit = new AbortController()
  using _limit = clock.timer(limitMs, () => limit.abort(new Error(`no reply within ${limitMs} ms`)))
  const reply = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body: Uint8Array.from(body),
    redirect: 'error',
    signal: AbortSignal.any([signal, limit.signal]),
  })
  if (!reply.ok) throw new Error(`HTTP ${reply.status}`)
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of reply.body ?? []) {
    bytes += part.length
    if (bytes > replyMaxBytes) throw new RangeError(`a reply of more than ${replyMaxBytes} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}
