/** What proves the two sides of a data server's enrolment to each other: both know the claim's secret, which never travels. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { enrolServer } from '@azukari/protocol/contracts/server-enrolment'

type Asked = RequestOf<typeof enrolServer>
type Answered = ReplyOf<typeof enrolServer>

const domain = 'azukari server enrolment 1'

export function requestProof(secret: Uint8Array, asked: Omit<Asked, 'proof'>): Uint8Array {
  const { claim, key, request, url, capacityBytes } = asked
  return hmac(secret, [domain, 'request', claim, key, request, url, capacityBytes])
}

/** @param asked the proof of the request that is answered */
export function replyProof(secret: Uint8Array, asked: Uint8Array, answer: Omit<Answered, 'proof'>): Uint8Array {
  // The whole of it: a field that comes later is proved, too.
  return hmac(secret, [domain, 'reply', asked, answer])
}

export function isSameProof(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

function hmac(secret: Uint8Array, parts: unknown[]): Uint8Array {
  return new Uint8Array(createHmac('sha256', secret).update(encodeDeterministic(parts)).digest())
}
