import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { decodeMap, encodeDeterministic } from './codec.ts'
import {
  agree,
  coseKey,
  generateKey,
  generateRsaKey,
  kindOf,
  parseCoseKey,
  privateCoseKey,
  publicOf,
  type RandomSource,
  thumbprint,
} from './keys.ts'
import { InternalError, isProblem } from './problem.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const outcome = (act: () => unknown): string => {
  try {
    act()
    return 'accepted'
  } catch (error) {
    if (isProblem(error)) return error.code
    throw error
  }
}
/** Different bytes at each call, the same in each run. */
const seeded = (seed: string): RandomSource => {
  let calls = 0
  return {
    bytes: (n) => new Uint8Array(createHash('shake256', { outputLength: n }).update(`${seed}/${calls++}`).digest()),
  }
}
const rsa = generateRsaKey()
const kinds = ['ed25519', 'x25519', 'p256'] as const
const okp = (crv: number, x: Uint8Array, more: [number, unknown][] = []) =>
  encodeDeterministic(new Map<number, unknown>([[1, 1], [-1, crv], [-2, x], ...more]))

t.test('keys come from the given randomness alone, and go through COSE_Key and back', (t) => {
  for (const kind of kinds) {
    const key = generateKey(kind, seeded('a'))
    t.equal(kindOf(key), kind)
    t.strictSame(privateCoseKey(key), privateCoseKey(generateKey(kind, seeded('a'))), `${kind} replays`)
    t.notSame(coseKey(key), coseKey(generateKey(kind, seeded('b'))))
  }
  for (const key of [...kinds.map((kind) => generateKey(kind, seeded('c'))), rsa]) {
    const open = parseCoseKey(coseKey(key))
    t.equal(open.type, 'public')
    t.ok(open.equals(publicOf(key)))
    t.strictSame(coseKey(open), coseKey(key))
    t.notOk(decodeMap(coseKey(key)).has(kindOf(key) === 'rsa' ? -3 : -4), 'no private part')
    const secret = parseCoseKey(privateCoseKey(key))
    t.equal(secret.type, 'private')
    t.ok(secret.equals(key))
    t.strictSame(thumbprint(secret), thumbprint(open))
    t.equal(thumbprint(key).length, 32)
    t.throws(() => privateCoseKey(open), InternalError)
  }
  t.throws(() => generateRsaKey(2048), InternalError)
  t.throws(() => generateKey('p256', { bytes: (n) => new Uint8Array(n) }), InternalError)
  t.end()
})

t.test('P-256 scalars outside the group are drawn again', (t) => {
  const draws = [new Uint8Array(32).fill(255), new Uint8Array(32), new Uint8Array(32).fill(7)]
  const key = generateKey('p256', { bytes: () => draws.shift()! })
  t.equal(toHex(decodeMap(privateCoseKey(key)).get(-4) as Uint8Array), '07'.repeat(32))
  t.end()
})

t.test('RFC 9679 §6.1: the thumbprint of its example', (t) => {
  const key = parseCoseKey(
    encodeDeterministic(
      new Map<number, unknown>([
        [1, 2],
        [-1, 1],
        [-2, hex('65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d')],
        [-3, hex('1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c')],
        [2, new TextEncoder().encode('meriadoc.brandybuck@buckland.example')],
      ]),
    ),
  )
  t.equal(toHex(thumbprint(key)), '496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec')
  t.end()
})

t.test('weak and false keys are refused', (t) => {
  const ed = generateKey('ed25519', seeded('d'))
  const x = generateKey('x25519', seeded('d'))
  const p256 = decodeMap(coseKey(generateKey('p256', seeded('d'))))
  const small = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    'ff'.repeat(32),
    `00${'00'.repeat(30)}80`,
    `01${'00'.repeat(30)}80`,
  ]
  for (const point of [
    ...small,
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  ])
    t.equal(
      outcome(() => parseCoseKey(okp(6, hex(point)))),
      'cose.malformed',
      `Ed25519 ${point}`,
    )
  for (const point of [
    ...small,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  ])
    t.equal(
      outcome(() => parseCoseKey(okp(4, hex(point)))),
      'cose.malformed',
      `X25519 ${point}`,
    )
  let offCurve = 0
  for (let y = 2; y < 66; y++)
    if (outcome(() => parseCoseKey(okp(6, Uint8Array.from([y, ...new Uint8Array(31)])))) === 'cose.malformed')
      offCurve++
  t.ok(offCurve > 16 && offCurve < 48, 'about half of all bytes are no points of Ed25519')
  const change = (labels: ReadonlyMap<unknown, unknown>, label: number, value: unknown) =>
    encodeDeterministic(new Map([...labels, [label, value]]))
  const flipped = (p256.get(-3) as Uint8Array).slice()
  flipped[5]! ^= 1
  t.equal(
    outcome(() => parseCoseKey(change(p256, -3, flipped))),
    'cose.malformed',
    'P-256 off the curve',
  )
  t.equal(
    outcome(() => parseCoseKey(change(p256, -3, new Uint8Array(32)))),
    'cose.malformed',
  )
  t.equal(
    outcome(() => parseCoseKey(change(p256, -1, 2))),
    'cose.wrong-algorithm',
    'P-384',
  )
  t.equal(
    outcome(() => parseCoseKey(change(p256, 1, 4))),
    'cose.wrong-algorithm',
    'symmetric',
  )
  for (const label of [1, -1, -2, -3])
    t.not(
      outcome(() => parseCoseKey(change(p256, label, null))),
      'accepted',
    )

  // A private part of another key.
  for (const [key, other] of [
    [ed, generateKey('ed25519', seeded('e'))],
    [x, generateKey('x25519', seeded('e'))],
    [generateKey('p256', seeded('d')), generateKey('p256', seeded('e'))],
    [rsa, generateRsaKey()],
  ] as [KeyObject, KeyObject][]) {
    const label = kindOf(key) === 'rsa' ? -1 : -2
    t.equal(
      outcome(() => parseCoseKey(change(decodeMap(privateCoseKey(key)), label, decodeMap(coseKey(other)).get(label)))),
      'cose.malformed',
      kindOf(key),
    )
  }
  const compressed = new Map([...p256, [-3, ((p256.get(-3) as Uint8Array).at(-1)! & 1) === 1]])
  t.strictSame(
    coseKey(parseCoseKey(encodeDeterministic(compressed))),
    encodeDeterministic(p256),
    'a compressed point is the same key',
  )

  const rsaLabels = decodeMap(coseKey(rsa))
  const n = rsaLabels.get(-1) as Uint8Array
  t.equal(
    outcome(() => parseCoseKey(coseKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey))),
    'cose.wrong-algorithm',
  )
  t.equal(
    outcome(() => parseCoseKey(change(rsaLabels, -1, Uint8Array.from([0, ...n])))),
    'cose.malformed',
  )
  t.equal(
    outcome(() => parseCoseKey(change(rsaLabels, -2, Uint8Array.from([3])))),
    'cose.malformed',
    'e = 3',
  )
  t.equal(
    outcome(() => parseCoseKey(change(rsaLabels, -2, Uint8Array.from([1, 0, 0])))),
    'cose.malformed',
    'e even',
  )
  for (const bytes of ['', '80', 'a0', 'a10101', 'a2010120', 'f6'])
    t.not(
      outcome(() => parseCoseKey(hex(bytes))),
      'accepted',
      bytes,
    )
  t.throws(() => kindOf(generateKeyPairSync('ed448').publicKey), { code: 'cose.wrong-algorithm' })
  t.end()
})

t.test('RFC 7748 §6.1, and both sides agree; different kinds and weak keys do not', (t) => {
  const fixed = (bytes: string): RandomSource => ({ bytes: () => hex(bytes) })
  const alice = generateKey('x25519', fixed('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'))
  const bob = generateKey('x25519', fixed('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'))
  t.equal(toHex(agree(alice, bob)), '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742')
  for (const kind of ['x25519', 'p256'] as const) {
    const a = generateKey(kind, seeded('1'))
    const b = generateKey(kind, seeded('2'))
    t.strictSame(agree(a, publicOf(b)), agree(b, publicOf(a)))
    t.equal(agree(a, publicOf(b)).length, 32)
    t.strictSame(agree(a, b), agree(b, a), 'a private key stands for its public one')
  }
  t.equal(
    outcome(() => agree(generateKey('x25519', seeded('1')), generateKey('p256', seeded('1')))),
    'cose.wrong-algorithm',
  )
  t.equal(
    outcome(() => agree(generateKey('ed25519', seeded('1')), generateKey('ed25519', seeded('2')))),
    'cose.wrong-algorithm',
  )
  t.end()
})

const data = process.env.AZUKARI_DATA ?? join(import.meta.dirname, '../../../shared/data')
const wycheproof = join(data, 'vectors/wycheproof/x25519_test.json')
t.test('Wycheproof X25519', { skip: !existsSync(wycheproof) && 'no vectors here' }, (t) => {
  interface Case {
    tcId: number
    public: string
    private: string
    shared: string
    result: string
    flags: string[]
    comment: string
  }
  const { testGroups } = JSON.parse(readFileSync(wycheproof, 'utf8')) as { testGroups: { tests: Case[] }[] }
  const counts: Record<string, number> = {}
  for (const one of testGroups.flatMap((group) => group.tests)) {
    const own = generateKey('x25519', { bytes: () => hex(one.private) })
    let shared: string
    try {
      shared = toHex(agree(own, parseCoseKey(okp(4, hex(one.public)))))
    } catch (error) {
      if (!isProblem(error)) throw error
      shared = error.code
    }
    // "Acceptable" are keys that RFC 7748 lets an implementation take or refuse: weak and non-canonical ones. We refuse.
    if (one.result === 'valid' || shared === one.shared) t.equal(shared, one.shared, `${one.tcId} ${one.comment}`)
    else t.match(shared, 'cose.', `${one.tcId} ${one.comment}`)
    const key = `${one.result} ${shared === one.shared ? 'agreed' : 'refused'}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  t.comment(JSON.stringify(counts))
  t.equal(
    Object.values(counts).reduce((a, b) => a + b),
    518,
  )
  t.end()
})
