import { systemRandom as random } from '@azukari/protocol/adapters/random'
import { type DirectSigner, signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { sealSigned } from '@azukari/protocol/signed-sealed'
import t from 'tap'
import { CheckPool, type CheckPoolOptions } from './check-pool.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
const domain = new TextEncoder().encode('azukari/test/1')
const other = new TextEncoder().encode('azukari/other/1')
const agreement = generateKey('x25519', random)
const signing = generateKey('ed25519', random)
const stranger = generateKey('ed25519', random)

const sealed = (signer: DirectSigner, n: number, use = domain) =>
  sealSigned({ n }, signer, use, publicOf(agreement), random)
const several = (count: number, key = signing) => Array.from({ length: count }, (_, n) => sealed(signerOf(key), n))

function pool(options: Partial<CheckPoolOptions> = {}) {
  const made = new CheckPool({ agreement, log: silent, threads: 1, ...options })
  made.learn(coseKey(publicOf(signing)))
  return made
}

t.test('P4, B6 threads prove signatures under the keys they know, and refuse with the code of the rule', async (t) => {
  const checks = pool({ threads: 2 })
  const good = several(70)
  const found = await Promise.all(good.map((message) => checks.check(message, domain)))
  t.ok(found.every((one) => one?.is === 'proven' && Buffer.compare(one.kid, thumbprint(publicOf(signing))) === 0))
  t.equal(new Set(found.map((one) => one?.is === 'proven' && Buffer.from(one.payload).toString('hex'))).size, 70)
  t.equal(checks.checked, 70)
  t.equal(checks.threads, 2)

  const torn = good[0]!.slice()
  torn[torn.length - 60]! ^= 1
  const claims: DirectSigner = { ...signerOf(stranger), kid: thumbprint(publicOf(signing)) }
  const [unknown, damaged, forged, elsewhere] = await Promise.all([
    checks.check(sealed(signerOf(stranger), 1), domain),
    checks.check(torn, domain),
    checks.check(sealed(claims, 1), domain),
    checks.check(sealed(signerOf(signing), 1, other), domain),
  ])
  t.equal(unknown?.is, 'opened', 'whose key it is, the register knows')
  t.match(damaged, { is: 'refused' })
  t.match(forged, { is: 'refused', code: 'cose.bad-signature' }, 'another key under a known name')
  t.match(elsewhere, { is: 'refused', code: 'cose.decrypt-failed' }, 'sealed for another use')
  await checks.close()
})

t.test('B6 few messages start no thread, and are left to whoever needs them', async (t) => {
  const checks = pool()
  const found = await Promise.all(several(3).map((message) => checks.check(message, domain)))
  t.same(found, [undefined, undefined, undefined])
  t.equal(checks.threads, 0)
  await checks.close()
})

t.test('B6 beyond its bound the pool says so at once, and what waits at the end is answered', async (t) => {
  const checks = pool({ waiting: 5 })
  const messages = several(6)
  const waiting = messages.slice(0, 5).map((message) => checks.check(message, domain))
  try {
    await checks.check(messages[5]!, domain)
    t.fail('the queue has no bound')
  } catch (error) {
    t.ok(isProblem(error, 'service.busy'))
  }
  t.ok(
    (await Promise.all(waiting)).every((one) => one?.is === 'proven'),
    'those that wait are not harmed',
  )
  const late = several(5).map((message) => checks.check(message, domain))
  await checks.close()
  t.same(await Promise.all(late), Array(5).fill(undefined))
  t.equal(await checks.check(messages[0]!, domain), undefined, 'closed')
})

t.test('B6 a thread that takes too long is ended, its messages are answered, and another begins', async (t) => {
  const warned: string[] = []
  const log: Log = { ...silent, warn: (text) => void warned.push(text) }
  // No thread begins within no time at all.
  const checks = pool({ batchMs: 0, log })
  const found = await Promise.all(several(40).map((message) => checks.check(message, domain)))
  t.ok(found.some((one) => one === undefined))
  t.ok(warned.length > 0)
  await checks.close()
})
