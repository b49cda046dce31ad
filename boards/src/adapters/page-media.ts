/** What plays on a board's local page, as browsers fetch it: all of it, or the range that they ask for (RFC 9110 §14). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { byteRange } from '@azukari/protocol/byte-range'
import { isProblem } from '@azukari/protocol/problem'

/** While `signal` is not aborted; afterwards nothing of it is sent any more. */
export interface PageMedium {
  mediaType: string
  sizeBytes: number
  /** Up to `length` bytes from a place on. */
  read(at: number, length: number): Promise<Uint8Array>
  signal: AbortSignal
}

const pieceMaxBytes = 64 * 1024

/** @param headers that every answer has */
export function sendMedium(
  request: IncomingMessage,
  response: ServerResponse,
  medium: PageMedium | undefined,
  headers: Readonly<Record<string, string>>,
): void {
  if (!medium || medium.signal.aborted) return void response.writeHead(404, headers).end()
  const { mediaType, sizeBytes, signal } = medium
  try {
    const range = request.headers.range === undefined ? undefined : byteRange(request.headers.range, sizeBytes)
    const [from, to] = range ?? [0, sizeBytes]
    const head: Record<string, string | number> = {
      ...headers,
      'content-type': mediaType,
      'accept-ranges': 'bytes',
      // Opened by itself it is no page of this board's.
      'content-security-policy': "default-src 'none'; sandbox",
      'content-length': to - from,
    }
    if (range) head['content-range'] = `bytes ${from}-${to - 1}/${sizeBytes}`
    response.writeHead(range ? 206 : 200, head)
    const leave = () => response.destroy()
    signal.addEventListener('abort', leave, { once: true })
    response.once('close', () => signal.removeEventListener('abort', leave))
    // The browser asks again where it was broken off; why, the player knows.
    sendBytes(response, medium, from, to).catch(leave)
  } catch (error) {
    if (!isProblem(error, 'url.range')) throw error
    response.writeHead(416, { ...headers, 'content-range': `bytes */${sizeBytes}` }).end()
  }
}

/** As fast as it is taken; no more once the browser has gone, as it does when a person seeks. */
async function sendBytes(response: ServerResponse, medium: PageMedium, from: number, to: number): Promise<void> {
  for (let at = from; at < to; ) {
    const bytes = await medium.read(at, Math.min(pieceMaxBytes, to - at))
    if (response.destroyed) return
    if (bytes.length === 0) return void response.destroy()
    at += bytes.length
    if (!response.write(bytes)) await taken(response)
    if (response.destroyed) return
  }
  response.end()
}

function taken(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
