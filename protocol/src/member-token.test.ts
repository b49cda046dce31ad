import { readFileSync } from 'node:fs'
import t from 'tap'
import { signerOf } from './cose.ts'
import { signCwt } from './cwt.ts'
import { generateKey, parseCoseKey, publicOf, thumbprint } from './keys.ts'
import { type Member, memberTokenLifeMs, openMemberToken, signMemberToken } from './member-token.ts'
import { isProblem } from './problem.ts'

const golden = JSON.parse(readFileSync(new URL('../vectors/member-token.json', import.meta.url), 'utf8'))
const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))

const key = generateKey('ed25519', { bytes: (n) => new Uint8Array(n).fill(9) })
const member: Member = {
  id: new Uint8Array(16).fill(1),
  level: 2,
  card: new Uint8Array(32).fill(2),
  session: new Uint8Array(16).fill(3),
}
const nowMs = 1_800_000_000_000
const keyOf = (kid: Uint8Array) => (Buffer.compare(kid, thumbprint(key)) === 0 ? publicOf(key) : undefined)
const signed = (device = 'printer', by = key) => signMemberToken({ ...member, device }, nowMs, signerOf(by))
const judged = async (token: Uint8Array, atMs = nowMs, device = 'printer') => {
  try {
    return await openMemberToken(token, keyOf, { device, nowMs: atMs })
  } catch (error) {
    if (isProblem(error)) return error.code
    throw error
  }
}

t.test('S2: a token says who asks, on the device that the card is in, for two minutes', async (t) => {
  t.strictSame(await judged(signed()), member)
  t.strictSame(await judged(signed(), nowMs + memberTokenLifeMs), member, 'clocks may differ a little')
  t.equal(await judged(signed(), nowMs + 120_000), 'session.expired')
  t.equal(await judged(signed(), nowMs, 'camera'), 'session.elsewhere')
  t.ok(memberTokenLifeMs + 10_000 <= 120_000)
})

t.test('S2: what placement did not sign as a token is none', async (t) => {
  const token = signed()
  t.equal(
    await judged(signed('printer', generateKey('ed25519', { bytes: (n) => new Uint8Array(n).fill(4) }))),
    'session.forged',
  )
  for (let at = 0; at < token.length; at += 7) {
    const changed = Uint8Array.from(token)
    changed[at]! ^= 1
    t.match(await judged(changed), /^session\.forged$/, `byte ${at}`)
  }
  t.equal(await judged(token.subarray(0, 40)), 'session.forged')
  const claims = { sub: '01'.repeat(16), iat: nowMs / 1000, exp: nowMs / 1000 + 60, cti: member.session }
  const ours = { [-70_001]: 'printer', [-70_002]: member.card, [-70_003]: 2 }
  const made = (more: object) => signCwt({ ...claims, ...ours, aud: 'azukari/member/1', ...more }, signerOf(key))
  t.type(await judged(made({})), 'object')
  t.equal(await judged(made({ aud: 'site' })), 'session.forged', 'a token for something else')
  t.equal(await judged(made({ exp: undefined })), 'session.forged', 'one that never ends')
  t.equal(await judged(made({ exp: claims.iat + 3_600 })), 'session.forged', 'one that lives too long')
  t.equal(await judged(made({ sub: 'hanako' })), 'session.forged')
  t.equal(await judged(made({ [-70_001]: undefined })), 'session.forged')
})

t.test('S2: the bytes of a token are those of the vector', async (t) => {
  const { placementKey, device, member: id, level, card, session, nowMs: atMs, token } = golden
  const placement = parseCoseKey(bytesOf(placementKey))
  const of = { id: bytesOf(id), level, card: bytesOf(card), session: bytesOf(session) }
  t.equal(Buffer.from(signMemberToken({ ...of, device }, atMs, signerOf(placement))).toString('hex'), token)
  t.strictSame(await openMemberToken(bytesOf(token), () => publicOf(placement), { device, nowMs: atMs }), of)
})
