/** A request's JSON body: bounded in size and in time, and read only when it is known who asks. */
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { HttpsRequest } from '../transport/https-listener.ts'

export interface BodyLimits {
  maxBytes: number
  /** How long it may take to come. */
  bodyMs: number
}

/** @throws {Problem} `message.invalid`, `message.too-large`, `message.expired` when it does not come in time */
export async function readJson(
  request: HttpsRequest,
  { maxBytes, bodyMs }: BodyLimits,
  clock: Clock,
): Promise<unknown> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') throw new Problem('message.invalid', 'content-type must be application/json')
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const late = Promise.withResolvers<never>()
  using _ = clock.timer(bodyMs, () => late.reject(new Problem('message.expired', `nothing whole within ${bodyMs} ms`)))
  const chunks: Uint8Array[] = []
  let length = 0
  const whole = (async () => {
    for await (const chunk of request as AsyncIterable<Uint8Array>) {
      length += chunk.length
      if (length > maxBytes) throw tooLarge(maxBytes)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  })()
  whole.catch(() => undefined)
  const text = await Promise.race([whole, late.promise])
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem('message.invalid', 'the body is not JSON')
  }
}

function tooLarge(maxBytes: number): Problem {
  return new Problem('message.too-large', `a body has at most ${maxBytes} bytes`)
}
