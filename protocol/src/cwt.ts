/** Tokens (CWT, RFC 8392): claims in a COSE_Sign1, for whoever must judge a right without asking. */
import type { KeyObject } from 'node:crypto'
import { decodeMap, encodeDeterministic } from './codec.ts'
import { type DirectSigner, peek1, sign1, verify1 } from './cose.ts'
import { InternalError, Problem } from './problem.ts'

/** Claims of a token; other claims under their integer label (RFC 8392 §3, IANA "CBOR Web Token Claims"). */
export interface Claims {
  iss?: string
  sub?: string
  aud?: string
  /** Not valid from then on, seconds since the epoch. */
  exp?: number
  /** Not valid before, seconds since the epoch. */
  nbf?: number
  iat?: number
  /** Names this token. */
  cti?: Uint8Array
  [label: number]: unknown
}

const labels = { iss: 1, sub: 2, aud: 3, exp: 4, nbf: 5, iat: 6, cti: 7 } as const
type Name = keyof typeof labels
const names = new Map(Object.entries(labels).map(([name, label]) => [label as number, name as Name]))

const isText = (value: unknown) => typeof value === 'string'
const isTime = (value: unknown) => typeof value === 'number' && Number.isFinite(value)
const fits: Record<Name, (value: unknown) => boolean> = {
  iss: isText,
  sub: isText,
  aud: isText,
  exp: isTime,
  nbf: isTime,
  iat: isTime,
  cti: (value) => value instanceof Uint8Array,
}

/** Tag 61, written before the COSE tag. */
const cwtTag = Uint8Array.of(0xd8, 0x3d)
/** Tokens have no domain string, as the RFC has none; every other signature of ours has one, so they never mix. */
const noAad = new Uint8Array(0)
/** How far clocks may differ unless said otherwise. */
const skewDefaultMs = 60_000

/** A signed token, tagged 61. */
export function signCwt(claims: Claims, signer: DirectSigner): Uint8Array {
  const payload = new Map<number, unknown>()
  for (const [key, value] of Object.entries(claims)) {
    if (value === undefined) continue
    const name = key as Name
    const label = Object.hasOwn(labels, key) ? labels[name] : Number(key)
    if (!Number.isSafeInteger(label) || payload.has(label)) throw new InternalError(`claim ${key}`)
    if (names.has(label) && !fits[names.get(label)!](value)) throw new InternalError(`claim ${key} has a wrong type`)
    payload.set(label, value)
  }
  const message = sign1(encodeDeterministic(payload), signer, noAad)
  const token = new Uint8Array(cwtTag.length + message.length)
  token.set(cwtTag)
  token.set(message, cwtTag.length)
  return token
}

/**
 * Checks a token, with or without tag 61. A token for somebody is refused by everybody else, also by a caller who does
 * not say who they are (RFC 7519 §4.1.3).
 * @param expect.skewMs how far clocks may differ; one minute unless given
 * @throws {Problem} `cbor.*`, `cose.*`; `cose.expired` outside `nbf` … `exp`, `cose.wrong-audience`
 */
export function verifyCwt(
  token: Uint8Array,
  keyFor: (kid: Uint8Array) => KeyObject | undefined,
  expect: { aud?: string; nowMs: number; skewMs?: number },
): Claims {
  const { payload } = verify1(untagged(token), keyFor, noAad)
  const claims: Claims = {}
  for (const [label, value] of decodeMap(payload)) {
    const name = names.get(label as number)
    if (name === undefined) {
      // Claims under text labels are for private use: not ours.
      if (typeof label === 'number') claims[label] = value
    } else if (fits[name](value)) Object.assign(claims, { [name]: value })
    else throw new Problem('cose.malformed', `claim ${name}`)
  }
  const skewMs = expect.skewMs ?? skewDefaultMs
  if (claims.exp !== undefined && expect.nowMs - skewMs >= claims.exp * 1000) throw new Problem('cose.expired', 'exp')
  if (claims.nbf !== undefined && expect.nowMs + skewMs < claims.nbf * 1000) throw new Problem('cose.expired', 'nbf')
  if (claims.aud !== expect.aud) throw new Problem('cose.wrong-audience')
  return claims
}

/** The key that a token names, unchecked: only to find it. @throws {Problem} `cbor.*`, `cose.malformed` */
export function peekCwt(token: Uint8Array): { kid: Uint8Array } {
  return { kid: peek1(untagged(token)).kid }
}

function untagged(token: Uint8Array): Uint8Array {
  return token[0] === cwtTag[0] && token[1] === cwtTag[1] ? token.subarray(cwtTag.length) : token
}
