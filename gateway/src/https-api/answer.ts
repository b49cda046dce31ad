/** Answers of the HTTPS API: JSON, and problems as RFC 9457 has them, with our code. */
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import type { HttpsRequest, HttpsResponse } from '../transport/https-listener.ts'

/** What every answer says: nobody keeps it, nobody guesses its type, no page shows it in a frame. */
const guarded = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const

const statuses: Readonly<Record<string, number>> = {
  'api.key-required': 401,
  'api.key-refused': 401,
  'api.key-ended': 401,
  'api.scope': 403,
  'api.wait': 429,
  'api.idempotency-key': 400,
  'api.idempotency-conflict': 409,
  'url.refused': 403,
  'url.expired': 410,
  'url.range': 416,
  'message.invalid': 400,
  'message.too-large': 413,
  'message.expired': 408,
  'message.unknown-contract': 404,
  'message.unauthorised': 403,
  'object.unknown': 404,
  'pay.order-unknown': 404,
  'quota.exceeded': 429,
  'service.busy': 503,
  'service.unavailable': 503,
  'link.offline': 503,
  'link.timeout': 504,
  internal: 500,
}

/** The status of a problem: storage is ours to mend, what else a service refuses is a conflict with how things stand. */
export function statusOf(code: string): number {
  return statuses[code] ?? (code.startsWith('storage.') ? 503 : 422)
}

export function answerJson(response: HttpsResponse, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(200, { ...guarded, 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes)
}

/** The head of a file. */
export const fileHead = guarded

export function answerProblem(request: HttpsRequest, response: HttpsResponse, error: unknown): void {
  if (response.headersSent || response.writableEnded) return void response.stream?.close()
  const { code, detail, retry, data } = (isProblem(error) ? error : new Problem('internal')).toWire()
  const language = /^\s*ja\b/i.test(request.headers['accept-language'] ?? '') ? 'ja' : 'en'
  const { title, todo } = describe(code, language)
  const status = statusOf(code)
  const body: Record<string, unknown> = { type: `urn:azukari:problem:${code}`, title, status, code, retry, todo }
  if (detail !== undefined) body['detail'] = detail
  const bytes = Buffer.from(JSON.stringify(body))
  const head: Record<string, string | number> = {
    ...guarded,
    'content-type': 'application/problem+json',
    'content-language': language,
    'content-length': bytes.length,
  }
  const { waitS, sizeBytes } = data ?? {}
  if (typeof waitS === 'number') head['retry-after'] = waitS
  if (typeof sizeBytes === 'number') head['content-range'] = `bytes */${sizeBytes}`
  if (status === 401) head['www-authenticate'] = 'Bearer'
  response.writeHead(status, head).end(bytes)
}
