/** One HTTP POST with limits; what Node's own `fetch` does, without following anybody elsewhere. */
export interface PostOptions {
  url: string
  contentType: string
  body: Uint8Array
  signal: AbortSignal
  limitMs: number
  replyMaxBytes: number
}

/** @throws whatever the network does; `RangeError` for a reply that is too large */
export async function httpPost({
  url,
  contentType,
  body,
  signal,
  limitMs,
  replyMaxBytes,
}: PostOptions): Promise<Uint8Array> {
  const reply = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body: Uint8Array.from(body),
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
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
