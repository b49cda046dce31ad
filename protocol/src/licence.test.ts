import t from 'tap'
import { systemRandom } from './adapters/random.ts'
import { encodeDeterministic } from './codec.ts'
import { sign1, signerOf } from './cose.ts'
import type { KeyDirectory } from './key-directory.ts'
import { coseKey, generateKey, publicOf } from './keys.ts'
import { judgeLicence, type Lease, leaseDomain, proofDomain, proveLicence } from './licence.ts'

const key = () => generateKey('ed25519', systemRandom)
const [work, device, other] = [key(), key(), key()]
const nonce = systemRandom.bytes(16)
const challenge = { app: 'film-look', nonce, markMs: 0 }
const directory: KeyDirectory = {
  contract: 'key-directory@1',
  site: 'home',
  version: 1,
  issuedMs: 0,
  expiresMs: 1e9,
  keys: [{ holder: 'work', use: 'sign', key: coseKey(publicOf(work)), fromMs: 0 }],
}

function leased(more: Partial<Lease> = {}, signing = work): Uint8Array {
  const lease: Lease = {
    contract: 'work.licence.renew@1',
    licence: new Uint8Array(16),
    app: 'film-look',
    device: 'board',
    key: coseKey(publicOf(device)),
    issuedMs: 1_000,
    expiresMs: 9_000,
    ...more,
  }
  return sign1(encodeDeterministic(lease), signerOf(signing), leaseDomain)
}

const proven = (lease: Uint8Array, atMs = 2_000, by = device) => ({
  lease,
  proof: proveLicence(lease, nonce, atMs, signerOf(by)),
})

t.test('W9: a lease counts with the word of the board that it was given to', async (t) => {
  t.equal(judgeLicence(proven(leased()), challenge, directory), 2_000)
})

t.test('W9: a lease that was copied to another device is refused', async (t) => {
  t.throws(() => judgeLicence(proven(leased(), 2_000, other), challenge, directory), { code: 'licence.other-device' })
})

t.test('W9: a lease ends, also for a clock that was put back', async (t) => {
  t.throws(() => judgeLicence(proven(leased(), 9_000), challenge, directory), { code: 'licence.expired' })
  const late = { ...challenge, markMs: 9_000 }
  t.throws(() => judgeLicence(proven(leased()), late, directory), { code: 'licence.expired' })
  t.equal(judgeLicence(proven(leased()), { ...challenge, markMs: 5_000 }, directory), 5_000, 'time stays at the mark')
})

t.test('W9: another app’s lease, one that work did not sign, and an old answer are refused', async (t) => {
  t.throws(() => judgeLicence(proven(leased({ app: 'book' })), challenge, directory), { code: 'licence.other-app' })
  t.throws(() => judgeLicence(proven(leased({}, other)), challenge, directory), { code: 'licence.forged' })
  const again = { ...challenge, nonce: systemRandom.bytes(16) }
  t.throws(() => judgeLicence(proven(leased()), again, directory), { code: 'licence.forged' }, 'a replayed answer')
  const mixed = { ...proven(leased({ expiresMs: 2_500 })), lease: leased() }
  t.throws(() => judgeLicence(mixed, challenge, directory), { code: 'licence.forged' }, 'the word upon another lease')
  const revoked = { ...directory, keys: [{ ...directory.keys[0]!, revokedMs: 500 }] }
  t.throws(() => judgeLicence(proven(leased()), challenge, revoked), { code: 'licence.forged' }, 'a revoked key')
  const unlike = sign1(encodeDeterministic({ nonce }), signerOf(device), proofDomain)
  t.throws(() => judgeLicence({ lease: leased(), proof: unlike }, challenge, directory), { code: 'licence.forged' })
})
