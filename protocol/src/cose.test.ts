import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { decodeMaps, encodeDeterministic, Tagged } from './codec.ts'
import {
  decrypt0,
  decryptFrom,
  encrypt0,
  encryptTo,
  encryptToRsa,
  ephemeralOf,
  peek1,
  type Signer,
  sign1,
  sign1With,
  signerOf,
  verify1,
} from './cose.ts'
import { rsaDecrypt } from './cose-algorithms.ts'
import { signCwt, verifyCwt } from './cwt.ts'
import { agree, generateKey, generateRsaKey, publicOf, type RandomSource, thumbprint } from './keys.ts'
import { InternalError, isProblem } from './problem.ts'
import fc from './test-properties.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const utf8 = (text: string) => new TextEncoder().encode(text)
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

const domain = utf8('azukari/test/1')
const payload = utf8('This is the content.')
const rsa = generateRsaKey()
const ed = generateKey('ed25519', seeded('ed'))
const p256 = generateKey('p256', seeded('p256'))
const x = generateKey('x25519', seeded('x'))
const secret = seeded('secret').bytes(32)
const iv = seeded('iv').bytes(12)
const signers = { EdDSA: ed, ES256: p256, PS256: rsa }

/** Every message of ours: how it is made the same way each time, and how it is opened. */
const messages: Record<
  string,
  { message: Uint8Array; open: (message: Uint8Array, aad?: Uint8Array) => Uint8Array; replays: boolean }
> = {
  ...Object.fromEntries(
    Object.entries(signers).map(([algorithm, key]) => [
      `sign1 ${algorithm}`,
      {
        message: sign1(payload, signerOf(key), domain),
        open: (message: Uint8Array, aad = domain) => verify1(message, () => publicOf(key), aad).payload,
        replays: algorithm === 'EdDSA',
      },
    ]),
  ),
  ...Object.fromEntries(
    (['A256GCM', 'ChaCha20Poly1305'] as const).flatMap((algorithm) =>
      [undefined, hex('0102030405060708'), new Uint8Array(32).fill(5)].map((kid) => [
        `encrypt0 ${algorithm} ${kid?.length ?? 'no'} kid`,
        {
          message: encrypt0(payload, secret, iv, domain, kid ? { algorithm, kid } : { algorithm }),
          open: (message: Uint8Array, aad = domain) => decrypt0(message, secret, aad),
          replays: true,
        },
      ]),
    ),
  ),
  ...Object.fromEntries(
    [x, p256].map((key) => [
      `encryptTo ${key.asymmetricKeyType}`,
      {
        message: encryptTo(publicOf(key), payload, domain, seeded('to'), { kid: thumbprint(key) }),
        open: (message: Uint8Array, aad = domain) => decryptFrom(message, key, aad),
        replays: true,
      },
    ]),
  ),
  encryptToRsa: {
    message: encryptToRsa(publicOf(rsa), payload, domain, seeded('to')),
    open: (message, aad = domain) => decryptFrom(message, rsa, aad),
    replays: false,
  },
  cwt: {
    message: signCwt({ iss: 'a', exp: 2000, [-70000]: payload }, signerOf(ed)),
    open: (message) => verifyCwt(message, () => publicOf(ed), { nowMs: 1000_000 })[-70000] as Uint8Array,
    replays: true,
  },
}

t.test('golden vectors: our messages have not changed', (t) => {
  const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../vectors/cose.json'), 'utf8')) as Record<
    string,
    string
  >
  for (const [name, { message, open, replays }] of Object.entries(messages)) {
    t.strictSame(open(message), payload, `${name} opens`)
    t.strictSame(open(Buffer.from(message)), payload, `${name} opens from a Buffer`)
    if (replays) t.equal(toHex(message), golden[name], name)
  }
  t.equal(Object.keys(golden).length, Object.values(messages).filter(({ replays }) => replays).length)
  t.end()
})

t.test('a change of any single bit, and a cut at any byte, is refused; so are other domains', (t) => {
  for (const [name, { message, open }] of Object.entries(messages)) {
    let accepted = 0
    // Each RSA decryption takes milliseconds: there, one bit of each byte of the long middle.
    const step = (bit: number) => (name === 'encryptToRsa' && bit > 800 && bit < message.length * 8 - 64 ? 9 : 1)
    for (let bit = 0; bit < message.length * 8; bit += step(bit)) {
      const changed = message.slice()
      changed[bit >> 3]! ^= 1 << (bit & 7)
      if (outcome(() => open(changed)) === 'accepted') accepted++
    }
    t.equal(accepted, 0, `${name}: bits`)
    accepted = 0
    for (let length = 0; length < message.length; length++)
      if (outcome(() => open(message.subarray(0, length))) === 'accepted') accepted++
    t.equal(accepted, 0, `${name}: cuts`)
    t.not(
      outcome(() => open(Uint8Array.from([...message, 0]))),
      'accepted',
      `${name}: a byte more`,
    )
    if (name !== 'cwt')
      t.match(
        outcome(() => open(message, utf8('azukari/other/1'))),
        /^cose\.(bad-signature|decrypt-failed)$/,
        `${name}: other domain`,
      )
  }
  t.end()
})

t.test('garbage never throws anything but a problem', (t) => {
  const readers = [
    (bytes: Uint8Array) => verify1(bytes, () => publicOf(ed), domain),
    (bytes: Uint8Array) => peek1(bytes),
    (bytes: Uint8Array) => decrypt0(bytes, secret, domain),
    (bytes: Uint8Array) => decryptFrom(bytes, x, domain),
    (bytes: Uint8Array) => decryptFrom(bytes, { agreed: secret }, domain),
    (bytes: Uint8Array) => ephemeralOf(bytes),
    (bytes: Uint8Array) => verifyCwt(bytes, () => publicOf(ed), { nowMs: 0 }),
  ]
  const originals = Object.values(messages).map(({ message }) => message)
  const spliced = fc
    .tuple(fc.constantFrom(...originals), fc.nat(), fc.nat(40), fc.uint8Array({ maxLength: 40 }))
    .map(([message, at, cut, patch]) => {
      const from = at % message.length
      return Uint8Array.from([
        ...message.subarray(0, from),
        ...patch,
        ...message.subarray(Math.min(message.length, from + cut)),
      ])
    })
  // Well-formed arrays of the right length under the right tag, with parts of the wrong kinds.
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom<unknown>(
      new Map(),
      new Map([[1, -7]]),
      new Map<number, unknown>([
        [1, 3],
        [5, iv],
      ]),
      null,
      1,
      'x',
      [],
      [[]],
      [[new Uint8Array(0), new Map([[1, -31]]), new Uint8Array(40)]],
      hex('a10103'),
      hex('a10126'),
      hex('a101381e'),
      hex('a1011818'),
    ),
  )
  const shaped = fc
    .tuple(fc.constantFrom(16, 17, 18, 96, 97, 98, 61), fc.array(part, { maxLength: 5 }))
    .map(([tag, parts]) => encodeDeterministic(new Tagged(tag, parts)))
  fc.assert(
    fc.property(fc.oneof(spliced, shaped, fc.uint8Array({ maxLength: 80 })), (bytes) => {
      for (const read of readers) {
        try {
          read(bytes)
        } catch (error) {
          if (!isProblem(error)) throw error
        }
      }
    }),
    { numRuns: 3000 },
  )
  t.end()
})

t.test('the quick way and the general way read the same encrypt0 messages', (t) => {
  const length = fc.oneof(fc.nat(300), fc.constantFrom(23, 24, 255, 256, 65_519, 65_520, 70_000))
  fc.assert(
    fc.property(
      length,
      fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom('A256GCM' as const, 'ChaCha20Poly1305' as const),
      (bytes, kid, aad, algorithm) => {
        const plaintext = new Uint8Array(bytes).fill(7)
        const message = encrypt0(plaintext, secret, iv, aad, kid ? { kid, algorithm } : { algorithm })
        const layers = decodeMaps(message, { maxBytes: 1 << 20 }) as Tagged
        // An unknown unprotected header makes it a shape of its own, which only the general way reads.
        const [header, unprotected, sealed] = layers.value as [Uint8Array, Map<number, unknown>, Uint8Array]
        const other = encodeDeterministic(new Tagged(16, [header, new Map([...unprotected, [-70_000, 1]]), sealed]))
        t.strictSame(encodeDeterministic(layers), message, 'deterministic')
        const seen: (Uint8Array | undefined)[] = []
        const find = (named: Uint8Array | undefined) => {
          seen.push(named)
          return secret
        }
        for (const form of [message, other, Buffer.from(message)])
          if (toHex(decrypt0(form, find, aad)) !== toHex(plaintext)) throw new Error('different')
        t.strictSame(seen, [kid, kid, kid])
      },
    ),
    { numRuns: 150 },
  )
  t.end()
})

t.test('keys are found by kid, and refused when unknown or of another kind', (t) => {
  const message = sign1(payload, signerOf(ed), domain)
  t.strictSame(peek1(message), { payload, kid: thumbprint(ed) })
  t.strictSame(
    verify1(message, (kid) => (toHex(kid) === toHex(thumbprint(ed)) ? publicOf(ed) : undefined), domain),
    { payload, kid: thumbprint(ed), algorithm: 'EdDSA' },
  )
  t.equal(
    outcome(() => verify1(message, () => undefined, domain)),
    'cose.unknown-key',
  )
  t.equal(
    outcome(() => verify1(message, () => publicOf(p256), domain)),
    'cose.wrong-algorithm',
  )
  t.equal(
    outcome(() => verify1(message, () => publicOf(x), domain)),
    'cose.wrong-algorithm',
  )
  t.equal(
    outcome(() => verify1(message, () => publicOf(generateKey('ed25519', seeded('other'))), domain)),
    'cose.bad-signature',
  )
  t.equal(
    outcome(() => signerOf(x)),
    'cose.wrong-algorithm',
  )
  t.throws(() => signerOf(publicOf(ed)), InternalError)
  t.equal(
    outcome(() => decrypt0(messages['encrypt0 A256GCM no kid']!.message, () => undefined, domain)),
    'cose.unknown-key',
  )
  t.equal(
    outcome(() => decrypt0(messages['encrypt0 A256GCM no kid']!.message, seeded('x').bytes(32), domain)),
    'cose.decrypt-failed',
  )
  t.equal(
    outcome(() => decrypt0(messages['encrypt0 A256GCM no kid']!.message, secret.subarray(0, 16), domain)),
    'cose.decrypt-failed',
  )
  t.throws(() => encrypt0(payload, secret.subarray(0, 16), iv, domain), InternalError)
  t.throws(() => encrypt0(payload, secret, iv.subarray(1), domain), InternalError)
  t.equal(
    outcome(() => encryptTo(publicOf(ed), payload, domain, seeded('x'))),
    'cose.wrong-algorithm',
  )
  t.equal(
    outcome(() => encryptToRsa(publicOf(ed), payload, domain, seeded('x'))),
    'cose.wrong-algorithm',
  )
  const toX = messages['encryptTo x25519']!.message
  for (const other of [p256, rsa, publicOf(x), { decipher: () => secret }])
    t.equal(
      outcome(() => decryptFrom(toX, other, domain)),
      'cose.wrong-algorithm',
    )
  t.equal(
    outcome(() => decryptFrom(messages.encryptToRsa!.message, { agreed: secret }, domain)),
    'cose.wrong-algorithm',
  )
  t.equal(
    outcome(() => decryptFrom(toX, generateKey('x25519', seeded('other')), domain)),
    'cose.decrypt-failed',
  )
  t.end()
})

t.test('a key array whose bytes change in place is another key', (t) => {
  const reused = secret.slice()
  const first = encrypt0(payload, reused, iv, domain)
  reused.fill(9)
  t.equal(
    outcome(() => decrypt0(first, reused, domain)),
    'cose.decrypt-failed',
  )
  t.notSame(encrypt0(payload, reused, iv, domain), first)
  reused.set(secret)
  t.strictSame(decrypt0(first, reused, domain), payload)
  t.end()
})

t.test('headers: the algorithm is protected, none is doubled, none critical is ignored', (t) => {
  const [, , body, signature] = (decodeMaps(messages['sign1 ES256']!.message) as Tagged).value as [
    Uint8Array,
    Map<number, unknown>,
    Uint8Array,
    Uint8Array,
  ]
  const made = (header: Uint8Array, unprotected: Map<unknown, unknown>, tag = 18) =>
    encodeDeterministic(new Tagged(tag, [header, unprotected, body, signature]))
  const read = (message: Uint8Array) => outcome(() => verify1(message, () => publicOf(p256), domain))
  t.equal(read(made(new Uint8Array(0), new Map([[1, -7]]))), 'cose.wrong-algorithm')
  t.equal(read(made(hex('a10126'), new Map([[1, -7]]))), 'cose.malformed')
  t.equal(read(made(hex('a2012602 8101'.replace(' ', '')), new Map())), 'cose.wrong-algorithm')
  t.equal(read(made(hex('a10126'), new Map([[2, [1]]]))), 'cose.wrong-algorithm')
  t.equal(read(made(hex('a201260126'), new Map())), 'cbor.duplicate-key')
  t.equal(read(made(hex('80'), new Map())), 'cbor.malformed')
  t.equal(read(made(hex('a10126'), new Map(), 98)), 'cose.wrong-algorithm')
  t.equal(read(encodeDeterministic([hex('a10126'), new Map(), body, signature])), 'cose.malformed', 'untagged')
  t.equal(
    read(encodeDeterministic(new Tagged(18, [hex('a10126'), new Map(), null, signature]))),
    'cose.malformed',
    'detached',
  )
  t.end()
})

t.test('a card signs, agrees and deciphers in place of a key in memory', async (t) => {
  const direct = signerOf(p256)
  const card: Signer = { algorithm: 'ES256', kid: direct.kid, sign: async (bytes) => direct.sign(bytes) }
  t.strictSame(verify1(await sign1With(payload, card, domain), () => publicOf(p256), domain).payload, payload)
  for (const key of [x, p256]) {
    const message = encryptTo(publicOf(key), payload, domain, seeded('card'))
    t.strictSame(decryptFrom(message, { agreed: agree(key, ephemeralOf(message)) }, domain), payload)
    t.equal(
      outcome(() => decryptFrom(message, { agreed: secret }, domain)),
      'cose.decrypt-failed',
    )
    t.throws(() => decryptFrom(message, { agreed: new Uint8Array(31) }, domain), InternalError)
  }
  const message = encryptToRsa(publicOf(rsa), payload, domain, seeded('card'))
  t.strictSame(
    decryptFrom(message, { decipher: (wrapped) => rsaDecrypt(rsa, 'sha256', wrapped, 3072) }, domain),
    payload,
  )
  t.equal(
    outcome(() => decryptFrom(message, { decipher: () => new Uint8Array(31) }, domain)),
    'cose.decrypt-failed',
  )
  t.equal(
    outcome(() => ephemeralOf(message)),
    'cose.wrong-algorithm',
  )
})

t.test('weak ephemeral keys are refused, whoever agrees', (t) => {
  const original = decodeMaps(messages['encryptTo x25519']!.message) as Tagged
  const [header, unprotected, sealed, [[, , wrapped]]] = original.value as [
    Uint8Array,
    Map<number, unknown>,
    Uint8Array,
    [[Uint8Array, Map<number, unknown>, Uint8Array]],
  ]
  const weak = new Map<number, unknown>([
    [1, 1],
    [-1, 4],
    [-2, new Uint8Array(32)],
  ])
  const message = encodeDeterministic(
    new Tagged(96, [
      header,
      unprotected,
      sealed,
      [
        [
          encodeDeterministic(
            new Map<number, unknown>([
              [1, -31],
              [-1, weak],
            ]),
          ),
          new Map(),
          wrapped,
        ],
      ],
    ]),
  )
  t.equal(
    outcome(() => decryptFrom(message, x, domain)),
    'cose.malformed',
  )
  t.equal(
    outcome(() => decryptFrom(message, { agreed: secret }, domain)),
    'cose.malformed',
  )
  t.equal(
    outcome(() => ephemeralOf(message)),
    'cose.malformed',
  )
  t.end()
})

t.test('large messages pass: the limits of headers are not those of content', (t) => {
  const large = new Uint8Array(randomBytes(2 << 20))
  t.ok(Buffer.from(decrypt0(encrypt0(large, secret, iv, domain), secret, domain)).equals(large))
  t.ok(Buffer.from(decryptFrom(encryptTo(publicOf(x), large, domain, seeded('l')), x, domain)).equals(large))
  t.ok(Buffer.from(verify1(sign1(large, signerOf(ed), domain), () => publicOf(ed), domain).payload).equals(large))
  t.strictSame(decrypt0(encrypt0(new Uint8Array(0), secret, iv, domain), secret, domain), new Uint8Array(0))
  const huge = encrypt0(new Uint8Array(16 << 20), secret, iv, domain)
  t.equal(
    outcome(() => decrypt0(huge, secret, domain)),
    'cbor.too-large',
  )
  t.end()
})
