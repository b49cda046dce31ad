import t from 'tap'
import { encodeDeterministic } from './codec.ts'
import { sign1, signerOf } from './cose.ts'
import { type Claims, signCwt, verifyCwt } from './cwt.ts'
import { generateKey, publicOf } from './keys.ts'
import { InternalError, isProblem } from './problem.ts'

const key = generateKey('ed25519', { bytes: (n) => new Uint8Array(n).fill(3) })
const keyFor = () => publicOf(key)
const claims: Claims = {
  iss: 'settlement',
  sub: 'm-1',
  aud: 'tokyo',
  exp: 2000,
  nbf: 1000,
  iat: 1000,
  cti: Uint8Array.of(1, 2),
  8: new Map([[1, 2]]),
  [-70001]: 'x',
}
const outcome = (token: Uint8Array, expect: Parameters<typeof verifyCwt>[2]): string => {
  try {
    verifyCwt(token, keyFor, expect)
    return 'accepted'
  } catch (error) {
    if (isProblem(error)) return error.code
    throw error
  }
}

t.test('claims go through a token and back, with or without its tag', (t) => {
  const token = signCwt(claims, signerOf(key))
  t.equal(Buffer.from(token.subarray(0, 3)).toString('hex'), 'd83dd2')
  t.strictSame(verifyCwt(token, keyFor, { aud: 'tokyo', nowMs: 1_500_000 }), claims)
  t.strictSame(verifyCwt(token.subarray(2), keyFor, { aud: 'tokyo', nowMs: 1_500_000 }), claims)
  t.strictSame(verifyCwt(signCwt({}, signerOf(key)), keyFor, { nowMs: 0 }), {})
  t.end()
})

t.test('a token holds from nbf until exp, to within the skew', (t) => {
  const token = signCwt(claims, signerOf(key))
  const at = (nowMs: number, skewMs?: number) =>
    outcome(token, { aud: 'tokyo', nowMs, ...(skewMs === undefined ? {} : { skewMs }) })
  t.equal(at(1_000_000, 0), 'accepted')
  t.equal(at(999_999, 0), 'cose.expired')
  t.equal(at(1_999_999, 0), 'accepted')
  t.equal(at(2_000_000, 0), 'cose.expired')
  t.equal(at(2_059_999), 'accepted', 'a minute unless said otherwise')
  t.equal(at(2_060_000), 'cose.expired')
  t.equal(at(940_000), 'accepted')
  t.equal(at(939_999), 'cose.expired')
  t.end()
})

t.test('a token for somebody is for nobody else', (t) => {
  const token = signCwt(claims, signerOf(key))
  t.equal(outcome(token, { aud: 'osaka', nowMs: 1_500_000 }), 'cose.wrong-audience')
  t.equal(outcome(token, { nowMs: 1_500_000 }), 'cose.wrong-audience')
  t.equal(outcome(signCwt({ exp: 2000 }, signerOf(key)), { aud: 'tokyo', nowMs: 1_500_000 }), 'cose.wrong-audience')
  t.end()
})

t.test('claims of wrong types are refused, from us as from others', (t) => {
  const none = new Uint8Array(0)
  for (const [label, value] of [
    [1, 5],
    [2, null],
    [3, ['tokyo']],
    [4, '2000'],
    [4, Number.NaN],
    [5, 2n ** 60n],
    [6, {}],
    [7, 'x'],
  ] as const) {
    const token = sign1(encodeDeterministic(new Map<number, unknown>([[label, value]])), signerOf(key), none)
    t.equal(outcome(token, { nowMs: 0 }), 'cose.malformed', `${label}`)
    t.throws(() => signCwt({ [label]: value }, signerOf(key)), InternalError)
  }
  t.throws(() => signCwt({ note: 1 } as unknown as Claims, signerOf(key)), InternalError)
  t.throws(() => signCwt({ iss: 'a', 1: 'b' }, signerOf(key)), InternalError)
  t.equal(outcome(sign1(encodeDeterministic(['x']), signerOf(key), none), { nowMs: 0 }), 'cbor.malformed')
  t.equal(
    outcome(sign1(encodeDeterministic({ iss: 'a' }), signerOf(key), none), { nowMs: 0 }),
    'accepted',
    'text labels are not ours',
  )
  t.equal(
    outcome(sign1(encodeDeterministic(new Map([[4, 2000]])), signerOf(key), Uint8Array.of(1)), { nowMs: 0 }),
    'cose.bad-signature',
    'signed for another use',
  )
  t.end()
})
