/** A file by a signed link: piece by piece, as fast as it is taken, all of it or the one range that is asked for (RFC 9110 §14). */
import { byteRange } from '@azukari/protocol/byte-range'
import { type FilePiece, pieceMaxBytes } from '@azukari/protocol/contracts/https'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { HttpsRequest, HttpsResponse } from '../transport/https-listener.ts'
import { fileHead } from './answer.ts'

/**
 * @param ask gives a piece of the file, judged anew each time
 * @param of.silentMs how long a reader may take nothing
 * @throws {Problem} of the service, `url.range`; `link.offline` when the reader has gone, or takes nothing
 */
export async function sendFile(
  request: HttpsRequest,
  response: HttpsResponse,
  ask: (from: number, count: number) => Promise<FilePiece>,
  of: { clock: Clock; silentMs: number },
): Promise<void> {
  const { range } = request.headers
  const first = await ask(0, range === undefined ? pieceMaxBytes : 0)
  const wanted = range === undefined ? undefined : byteRange(range, first.sizeBytes)
  const isWhole = wanted === undefined || (request.headers['if-range'] ?? `"${first.version}"`) !== `"${first.version}"`
  const [from, to] = isWhole ? [0, first.sizeBytes] : wanted
  const head: Record<string, string | number> = {
    ...fileHead,
    'content-type': first.mediaType,
    'content-length': to - from,
    'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(first.name)}`,
    'accept-ranges': 'bytes',
    etag: `"${first.version}"`,
  }
  if (!isWhole) head['content-range'] = `bytes ${from}-${to - 1}/${first.sizeBytes}`
  let piece = first
  let at = from
  // Asked before the head goes out, so that what is refused is still told as a problem.
  if (first.bytes.length === 0 && at < to) piece = await ask(at, Math.min(pieceMaxBytes, to - at))
  response.writeHead(isWhole ? 200 : 206, head)
  for (;;) {
    const bytes = piece.bytes.subarray(0, to - at)
    // What goes on is the same file, or nothing: a reader must not keep halves of two.
    if (piece.version !== first.version || (bytes.length === 0 && at < to)) return void response.stream.close()
    if (bytes.length > 0) await written(response, bytes, of)
    at += bytes.length
    if (at >= to) break
    piece = await ask(at, Math.min(pieceMaxBytes, to - at))
  }
  response.end()
}

/** Waits while the reader is slow. @throws {Problem} `link.offline` when it has gone, or takes nothing */
async function written(
  response: HttpsResponse,
  bytes: Uint8Array,
  { clock, silentMs }: { clock: Clock; silentMs: number },
): Promise<void> {
  if (response.destroyed || response.writableEnded) throw new Problem('link.offline', 'the reader went away')
  if (response.write(bytes)) return
  const room = Promise.withResolvers<void>()
  const gone = () => room.reject(new Problem('link.offline', 'the reader takes nothing'))
  using _ = clock.timer(silentMs, gone)
  response.once('drain', room.resolve)
  response.once('close', gone)
  try {
    await room.promise
  } finally {
    response.off('drain', room.resolve)
    response.off('close', gone)
  }
}
