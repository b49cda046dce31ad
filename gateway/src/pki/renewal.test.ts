/** Certificates renew while their processes run (D6): new connections show and trust the new one, none has to be started anew. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { contract, Nothing } from '@azukari/protocol/contract'
import t from 'tap'
import { throwUnlisted } from '../service/unlisted.ts'
import { silent } from '../test-contracts.ts'
import { CallClient } from '../transport/client.ts'
import { answers, startCallServer } from '../transport/server.ts'
import { requestCertificate } from './authority.ts'
import { expiries, judgeExpiries } from './expiry.ts'
import { Keyring } from './keyring.ts'
import { renewCertificate } from './renewal.ts'
import { validityOf } from './validity.ts'

const dayMs = 86_400_000
const hello = contract({
  name: 'test.hello',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'test',
  serves: ['D6'],
  request: Nothing,
  reply: Nothing,
})

t.test('D6: what is due is renewed while it runs, on both sides of a line', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  // Two months ago; TLS itself goes by the real clock.
  let shiftMs = -61 * dayMs
  const clock = { ...systemClock, now: () => Date.now() + shiftMs }
  const keyring = new Keyring({ folder, site: 'tokyo', files: systemFiles(), clock, random: systemRandom })
  const shown = await keyring.identity('gateway', 'gateway')
  const own = await keyring.identity('placement', 'service')
  const server = await startCallServer({
    tls: shown,
    clock,
    log: silent,
    unlisted: throwUnlisted,
    port: 0,
    handlers: [answers(hello, ['placement'], async () => ({ reply: {} }))],
  })
  const renewed = [
    renewCertificate({
      keyring,
      id: 'gateway',
      role: 'gateway',
      tls: shown,
      servers: () => [server],
      clock,
      log: silent,
    }),
    renewCertificate({ keyring, id: 'placement', role: 'service', tls: own, servers: () => [], clock, log: silent }),
  ]
  t.teardown(async () => {
    for (const rounds of renewed) await rounds.stop()
    await server.stop(0)
  })
  const greet = async () => {
    const client = new CallClient({ url: `https://127.0.0.1:${server.port}`, tls: own, server: 'gateway', clock })
    await client.call(hello, {})
    await client.close()
  }
  for (const rounds of renewed) await rounds.idle()
  await greet()
  const before = { shown: shown.cert, own: own.cert }
  shiftMs = -2 * dayMs
  for (const rounds of renewed) rounds.wake()
  for (const rounds of renewed) await rounds.idle()
  t.same({ shown: shown.cert, own: own.cert }, before, 'not before it is due')
  shiftMs = 0
  for (const rounds of renewed) rounds.wake()
  for (const rounds of renewed) await rounds.idle()
  for (const [name, cert] of Object.entries({ shown: shown.cert, own: own.cert })) {
    t.not(cert, before[name as 'own'], `${name} is new`)
    t.ok(validityOf(cert).untilMs > Date.now() + 80 * dayMs)
  }
  await greet()
})

t.test('D6: doctor tells of a certificate that should have been renewed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const files = systemFiles()
  t.match(judgeExpiries(await expiries(files, folder), Date.now()), 'none yet')
  await new Keyring({ folder, site: 'tokyo', files, clock: systemClock, random: systemRandom }).identity(
    'gateway',
    'gateway',
  )
  const all = await expiries(files, folder)
  t.same(all.map(({ certificate }) => certificate).sort(), ['authority', 'gateway'])
  t.match(judgeExpiries(all, Date.now() + 74 * dayMs), 'the first of 2 ends on')
  t.throws(() => judgeExpiries(all, Date.now() + 76 * dayMs), { code: 'certificate.ending', detail: /^gateway: until/ })
})

t.test('D6: what another host’s authority made is kept whole or not at all', async (t) => {
  const [home, away] = [mkdtempSync(join(tmpdir(), 'azukari-')), mkdtempSync(join(tmpdir(), 'azukari-'))]
  t.teardown(() => {
    for (const folder of [home, away]) rmSync(folder, { recursive: true, force: true })
  })
  const ringIn = (folder: string) =>
    new Keyring({ folder, site: 'tokyo', files: systemFiles(), clock: systemClock, random: systemRandom })
  const [authority, host] = [ringIn(home), ringIn(away)]
  const { key, request } = await requestCertificate('naha')
  const { certificate, authority: trusted } = await authority.certify('naha', 'data-server', request)
  const other = await requestCertificate('naha')
  for (const [what, id, cert, ownKey] of [
    ['another key', 'naha', certificate, other.key],
    ['another name', 'kobe', certificate, key],
    ['no certificate', 'naha', 'nothing', key],
  ] as const)
    await t.rejects(host.keepCertified(id, { cert, key: ownKey }, trusted), { code: 'certificate.invalid' }, what)
  t.equal(await host.certified('naha'), undefined)
  await host.keepCertified('naha', { cert: certificate, key }, trusted)
  t.match(await host.certified('naha'), { cert: certificate.trim(), key: key.trim() })
  await t.rejects(host.authority(), { code: 'certificate.invalid' }, 'no second authority is made beside it')
  await t.rejects(authority.certify('naha', 'data-server', request.with(80, request[80]! ^ 1)), {
    code: 'certificate.invalid',
  })
})
