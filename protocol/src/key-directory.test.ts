import { readFileSync } from 'node:fs'
import t from 'tap'
import { encodeDeterministic } from './codec.ts'
import { sign1, signerOf } from './cose.ts'
import {
  directoryLifeMs,
  isRevoked,
  type KeyDirectory,
  keyDirectoryDomain,
  keyDirectoryMaxBytes,
  keyInUse,
  openKeyDirectory,
  overlapMs,
  sealingKey,
  signersAt,
  signersEver,
  signKeyDirectory,
  takeKeyDirectory,
} from './key-directory.ts'
import { coseKey, generateKey, publicOf, thumbprint } from './keys.ts'

/** A key whose private bytes are all `byte`: for vectors only. */
const keyOf = (kind: 'ed25519' | 'x25519', byte: number) =>
  generateKey(kind, { bytes: (n) => new Uint8Array(n).fill(byte) })
const site = keyOf('ed25519', 1)
const [signing, nextSigning] = [keyOf('ed25519', 2), keyOf('ed25519', 3)]
const [agreement, nextAgreement] = [keyOf('x25519', 4), keyOf('x25519', 5)]
const server = keyOf('ed25519', 6)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const dayMs = 86_400_000
const issuedMs = 1_790_000_000_000
const fromMs = issuedMs + 60_000
const trust = { site: 'tokyo', siteKey: publicOf(site) }

const former = { untilMs: fromMs, takenUntilMs: fromMs + overlapMs }
const directory: KeyDirectory = {
  contract: 'key-directory@1',
  site: 'tokyo',
  version: issuedMs,
  issuedMs,
  expiresMs: issuedMs + directoryLifeMs,
  keys: [
    { holder: 'placement', use: 'sign', key: coseKey(publicOf(signing)), fromMs: 0, ...former },
    { holder: 'placement', use: 'sign', key: coseKey(publicOf(nextSigning)), fromMs },
    { holder: 'placement', use: 'agree', key: coseKey(publicOf(agreement)), fromMs: 0, ...former },
    { holder: 'placement', use: 'agree', key: coseKey(publicOf(nextAgreement)), fromMs },
    { holder: 'placement', use: 'card', key: coseKey(publicOf(signing)), fromMs: 0 },
    { holder: 'data-server/osaka-1', use: 'sign', key: coseKey(publicOf(server)), fromMs: 0 },
  ],
}
const signed = signKeyDirectory(directory, signerOf(site))

t.test('D1: golden vector of a key directory', async (t) => {
  const golden = JSON.parse(readFileSync(new URL('../vectors/key-directory.json', import.meta.url), 'utf8'))
  t.equal(hex(signed), golden.signed)
  t.equal(hex(coseKey(trust.siteKey)), golden.siteKey)
  t.same(openKeyDirectory(signed, trust), directory)
})

t.test('D1: a directory that the site’s key did not sign is refused', async (t) => {
  const forged = signKeyDirectory(directory, signerOf(signing))
  t.throws(() => openKeyDirectory(forged, trust), { code: 'keys.forged' }, 'another key')
  const asSite = signKeyDirectory(directory, signerOf(signing, thumbprint(site)))
  t.throws(() => openKeyDirectory(asSite, trust), { code: 'keys.forged' }, 'another key under the site’s name')
  for (const at of [20, 60, signed.length - 70, signed.length - 1]) {
    const changed = Uint8Array.from(signed)
    changed[at]! ^= 1
    t.throws(() => openKeyDirectory(changed, trust), `byte ${at} changed`)
  }
  const elsewhere = sign1(encodeDeterministic(directory), signerOf(site), new TextEncoder().encode('azukari/site/1'))
  t.throws(() => openKeyDirectory(elsewhere, trust), { code: 'keys.forged' }, 'signed for another use')
})

t.test('D1: a directory of another site is refused, also when the same key signed it', async (t) => {
  const other = signKeyDirectory({ ...directory, site: 'osaka' }, signerOf(site))
  t.throws(() => openKeyDirectory(other, trust), { code: 'keys.wrong-site' })
})

t.test(
  'D1: an older directory, or another one of the same version, never takes the place of a newer one',
  async (t) => {
    const next = signKeyDirectory({ ...directory, version: directory.version + 1 }, signerOf(site))
    const held = takeKeyDirectory(next, trust, directory, issuedMs)
    t.equal(held.version, directory.version + 1)
    t.throws(() => takeKeyDirectory(signed, trust, held, issuedMs), { code: 'keys.stale' })
    const twin = signKeyDirectory({ ...directory, version: held.version, keys: [] }, signerOf(site))
    t.throws(() => takeKeyDirectory(twin, trust, held, issuedMs), { code: 'keys.stale' })
  },
)

t.test('D1: an expired directory is neither taken nor sealed by', async (t) => {
  const { expiresMs } = directory
  t.equal(takeKeyDirectory(signed, trust, undefined, expiresMs - 1).version, directory.version)
  t.throws(() => takeKeyDirectory(signed, trust, undefined, expiresMs), { code: 'keys.expired' })
  t.ok(sealingKey(directory, 'placement', expiresMs - 1).equals(publicOf(nextAgreement)))
  t.throws(() => sealingKey(directory, 'placement', expiresMs), { code: 'keys.expired' })
})

t.test('D1: what is sealed goes to the key of that time', async (t) => {
  const to = (ms: number) => sealingKey(directory, 'placement', ms)
  t.ok(to(fromMs - 1).equals(publicOf(agreement)))
  t.ok(to(fromMs).equals(publicOf(nextAgreement)))
  t.ok(to(0).equals(publicOf(agreement)), 'a clock that was never set counts as the time of the directory')
  t.ok(keyInUse(directory, 'placement', 'card', fromMs).equals(publicOf(signing)))
  t.throws(() => sealingKey(directory, 'content', fromMs), { code: 'keys.missing' }, 'no such service')
  t.throws(
    () => sealingKey(directory, 'data-server/osaka-1', fromMs),
    { code: 'keys.missing' },
    'a key for another use',
  )
})

t.test('D1: a signature is judged by the keys of the time that it states', async (t) => {
  const knows = (ms: number, key = signing) => signersAt(directory, 'placement', ms)(thumbprint(key)) !== undefined
  t.ok(knows(fromMs - dayMs), 'made before the rotation')
  t.ok(knows(fromMs + 4 * 60_000), 'by a clock that is behind')
  t.notOk(knows(fromMs + dayMs), 'a former key signs nothing new')
  t.notOk(knows(fromMs - dayMs, nextSigning), 'nor a new one before its time')
  t.ok(knows(fromMs + dayMs, nextSigning))
  t.notOk(knows(fromMs, server), 'another holder’s key')
  t.ok(signersEver(directory, 'placement')(thumbprint(signing)), 'documents stay good')
  t.ok(signersEver(directory, 'placement')(thumbprint(nextSigning)))
  t.notOk(signersEver(directory, 'settlement')(thumbprint(signing)))
})

t.test('D1: a revoked key is refused from its time on, and nothing is sealed to it', async (t) => {
  const revokedMs = fromMs - dayMs
  const [first, ...others] = directory.keys
  if (!first) throw new Error('no keys')
  const told = { ...directory, keys: [{ ...first, revokedMs }, ...others] }
  const revoked = openKeyDirectory(signKeyDirectory(told, signerOf(site)), trust)
  const kid = thumbprint(signing)
  const knows = (ms: number) => signersAt(revoked, 'placement', ms)(kid) !== undefined
  t.ok(knows(revokedMs - 1), 'what it signed before stays good')
  t.notOk(knows(revokedMs), 'no clock is given five minutes here')
  t.notOk(knows(fromMs + 60_000))
  t.ok(signersEver(revoked, 'placement')(kid), 'documents from before are judged by their time')
  t.throws(() => keyInUse(revoked, 'placement', 'sign', fromMs - 1), { code: 'keys.revoked' })
  t.ok(keyInUse(revoked, 'placement', 'sign', fromMs).equals(publicOf(nextSigning)), 'its successor is used')
  t.ok(isRevoked(revoked, 'placement', kid, revokedMs))
  t.notOk(isRevoked(revoked, 'placement', kid, revokedMs - 1))
  t.notOk(isRevoked(revoked, 'placement', thumbprint(nextSigning), fromMs))
  const wholly = { ...directory, keys: [{ ...first, revokedMs: 0 }, ...others] }
  t.notOk(signersEver(wholly, 'placement')(kid), 'one that never counted')
  const sealed = directory.keys.map((row) => (row.use === 'agree' ? { ...row, revokedMs } : row))
  t.throws(() => sealingKey({ ...directory, keys: sealed }, 'placement', fromMs - 1), { code: 'keys.revoked' })
})

t.test('D5: what a device made by any directory is taken as long as it is good', async (t) => {
  const offerMs = 30 * dayMs
  t.ok(directoryLifeMs + offerMs < overlapMs)
})

t.test('D1: a directory that says two things at once is none', async (t) => {
  const [first, second] = directory.keys
  const invalid = (keys: KeyDirectory['keys'], why: string) =>
    t.throws(() => signKeyDirectory({ ...directory, keys }, signerOf(site)), { code: 'message.invalid' }, why)
  invalid([{ ...first!, untilMs: fromMs + 1 }, second!], 'two keys at one time')
  invalid([second!, second!], 'twice the same')
  invalid([{ ...first!, untilMs: 0 }], 'a key that ends before it begins')
  invalid([{ ...first!, holder: 'Placement' }], 'no such holder')
  const unchecked = sign1(
    encodeDeterministic({ ...directory, keys: [second!, second!] }),
    signerOf(site),
    keyDirectoryDomain,
  )
  t.throws(() => openKeyDirectory(unchecked, trust), { code: 'message.invalid' }, 'also when the site signed it')
  const endless = { ...directory, expiresMs: issuedMs }
  t.throws(() => signKeyDirectory(endless, signerOf(site)), { code: 'message.invalid' })
})

t.test('D1: a weak, foreign or private key in a directory is not used', async (t) => {
  const keys: KeyDirectory['keys'] = [
    { holder: 'placement', use: 'agree', key: coseKey(publicOf(signing)), fromMs: 0 },
    {
      holder: 'content',
      use: 'agree',
      key: encodeDeterministic(
        new Map<number, unknown>([
          [1, 1],
          [-1, 4],
          [-2, new Uint8Array(32)],
        ]),
      ),
      fromMs: 0,
    },
  ]
  const odd = { ...directory, keys }
  t.throws(() => sealingKey(odd, 'placement', issuedMs), { code: 'cose.wrong-algorithm' })
  t.throws(() => sealingKey(odd, 'content', issuedMs), { code: 'cose.malformed' })
})

t.test('D1: the directory of 1,000 data servers fits, and one byte more than the bound does not', async (t) => {
  const row = directory.keys[5]!
  const many = {
    ...directory,
    keys: Array.from({ length: 1_000 }, (_, at) => ({ ...row, holder: `data-server/ds-${at}` })),
  }
  const large = signKeyDirectory(many, signerOf(site))
  t.equal(openKeyDirectory(large, trust).keys.length, 1_000)
  t.throws(() => openKeyDirectory(new Uint8Array(keyDirectoryMaxBytes + 1), trust), { code: 'message.too-large' })
})
