/**
 * A card company over HTTPS with JSON, as payment companies offer it: POST /authorisations, …/capture, …/void, each with an
 * idempotency key, and GET /reversals?after=n for what it took back. Anything that is not a clear answer rejects, so that the same question is asked again.
 */
import { type Static, Type } from '@azukari/protocol/contract'
import { CurrencyCode } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import { Compile } from 'typebox/compile'
import { guardedFetch, type OutboundAnswer, type OutboundRequest } from '../../../adapters/guarded-fetch.ts'
import { hostAndPort } from '../../../adapters/outbound-address.ts'
import type { CardCompany } from '../payments/card-company.ts'

const Answer = Type.Union([
  Type.Object({ state: Type.Literal('authorised'), authorisation: Type.String({ minLength: 1, maxLength: 64 }) }),
  Type.Object({ state: Type.Literal('declined'), reason: Type.String({ maxLength: 200 }) }),
  Type.Object({ state: Type.Union([Type.Literal('captured'), Type.Literal('voided')]) }),
  Type.Object({ state: Type.Literal('refused'), reason: Type.String({ maxLength: 200 }) }),
])
const check = Compile(Answer)
const Reversals = Type.Object({
  reversals: Type.Array(
    Type.Object({
      n: Type.Integer({ minimum: 1 }),
      authorisation: Type.String({ minLength: 1, maxLength: 64 }),
      minor: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      currency: CurrencyCode,
    }),
    { maxItems: 100 },
  ),
})
const checkReversals = Compile(Reversals)
const answerMaxBytes = 32_768
const answerMs = 60_000
const problems = {
  unreachable: 'topup.unanswered',
  refused: 'topup.unanswered',
  tooLarge: 'topup.unanswered',
  type: 'topup.unanswered',
} as const
type Speech = Pick<OutboundRequest, 'method' | 'headers' | 'body' | 'signal'>

/** @param url where the company answers @param key what it knows us by */
export function httpCardCompany(
  url: string,
  key: string,
  fetch: (request: OutboundRequest) => Promise<OutboundAnswer> = guardedFetch,
): CardCompany {
  const named = [hostAndPort(new URL(url))]
  const speak = async (path: string, more: Speech): Promise<unknown> => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...more.headers }
    const limits = { maxBytes: answerMaxBytes, timeoutMs: answerMs }
    const answer = await fetch({
      url: `${url}${path}`,
      ...more,
      headers,
      named,
      ...limits,
      redirects: 0,
      problems,
    })
    if (answer.status < 200 || answer.status > 299)
      throw new Problem('topup.unanswered', `the card company answers ${answer.status}`)
    return parsed(new TextDecoder().decode(answer.bytes))
  }
  const ask = async (path: string, id: string, body: object, signal: AbortSignal): Promise<Static<typeof Answer>> => {
    const headers = { 'idempotency-key': `${id}${path}` }
    const value = await speak(path, { method: 'POST', headers, body: JSON.stringify(body), signal })
    if (!check.Check(value)) throw new Problem('topup.unanswered', 'an answer of another form')
    return value
  }
  return {
    authorise: async ({ id, token, minor, currency, signal }) => {
      const answer = await ask('/authorisations', id, { id, token, minor, currency }, signal)
      if (answer.state === 'authorised') return { authorisation: answer.authorisation }
      if (answer.state === 'declined') return { declined: answer.reason }
      throw new Problem('topup.unanswered', answer.state)
    },
    capture: async ({ id, authorisation, signal }) => {
      const answer = await ask(`/authorisations/${authorisation}/capture`, id, { id }, signal)
      if (answer.state === 'captured') return { captured: true }
      if (answer.state === 'refused') return { refused: answer.reason }
      throw new Problem('topup.unanswered', answer.state)
    },
    void: async ({ id, authorisation, signal }) => {
      const answer = await ask(`/authorisations/${authorisation}/void`, id, { id }, signal)
      if (answer.state !== 'voided') throw new Problem('topup.unanswered', answer.state)
    },
    reversals: async ({ after, signal }) => {
      const value = await speak(`/reversals?after=${after}`, { signal })
      if (!checkReversals.Check(value)) throw new Problem('topup.unanswered', 'an answer of another form')
      return value.reversals
    },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
