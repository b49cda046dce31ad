import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { putKeyDirectory } from '@azukari/protocol/contracts/keys'
import { signerOf } from '@azukari/protocol/cose'
import { directoryLifeMs, type KeyDirectory, overlapMs, signKeyDirectory } from '@azukari/protocol/key-directory'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { Courier } from '../key-directory/courier.ts'
import { SiteFolder } from '../site-folder.ts'
import { CallClient } from '../transport/client.ts'
import { runDataServer } from './main.ts'
import { RemoteDataServers } from './remote.ts'
import { from, makeReplica } from './test-replica.ts'
import { openTrust } from './trust.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const ports = { clock: systemClock, random: systemRandom, files: systemFiles() }
const made = () => generateKey('ed25519', systemRandom)
const [gateway, first, second] = [made(), made(), made()]
const hourMs = 3_600_000

function directory(version: number, change: Partial<KeyDirectory> = {}, rotatedMs?: number): KeyDirectory {
  const row = { holder: 'placement', use: 'sign' as const }
  const key = (one: typeof first) => coseKey(publicOf(one))
  return {
    contract: 'key-directory@1',
    site: 'tokyo',
    version,
    issuedMs: version,
    expiresMs: version + directoryLifeMs,
    keys:
      rotatedMs === undefined
        ? [{ ...row, key: coseKey(publicOf(first)), fromMs: 0 }]
        : [
            { ...row, key: key(first), fromMs: 0, untilMs: rotatedMs, takenUntilMs: rotatedMs + overlapMs },
            { ...row, key: key(second), fromMs: rotatedMs },
          ],
    ...change,
  }
}
const signed = (body: KeyDirectory, by = gateway) => signKeyDirectory(body, signerOf(by))

t.test(
  'S7 D1: a data server carries out orders by the keys in use, and follows the directory across restarts',
  async (t) => {
    const folder = new SiteFolder(t.testdir(), 'tokyo', ports)
    await folder.writePublicKeys('placement', {
      key: coseKey(publicOf(first)),
      agreement: coseKey(publicOf(generateKey('x25519', systemRandom))),
    })
    const identity = made()
    const open = () => openTrust(folder, 'ds-1', 'tokyo', ports, log)
    const trust = await open()
    const startMs = systemClock.now()
    t.ok(trust.now(thumbprint(first)), 'what the folder came with, before there is a directory')
    await t.rejects(trust.take(signed(directory(startMs))), { code: 'config.invalid' }, 'without site.pub')
    await folder.write('site.pub', coseKey(publicOf(gateway)))

    const tls = (id: string, role: 'gateway' | 'service' | 'data-server') => folder.keyring.identity(id, role)
    const running = await runDataServer({
      id: 'ds-1',
      port: 0,
      disks: [{ path: `${folder.path}/disk`, capacityBytes: 1 << 30 }],
      identity,
      trust,
      log,
      tls: await tls('ds-1', 'data-server'),
    })
    t.teardown(() => running.stop())
    const servers = new RemoteDataServers(await tls('gateway', 'gateway'), ports)
    t.teardown(() => servers.close())
    const server = { id: 'ds-1', url: running.url }
    t.equal(await servers.bringKeys(server, signed(directory(startMs))), startMs)
    for (const [code, bad] of [
      ['keys.stale', signed(directory(startMs - 1))],
      ['keys.stale', signed(directory(startMs))],
      ['keys.forged', signed(directory(startMs + 1), made())],
      ['keys.wrong-site', signed(directory(startMs + 1, { site: 'osaka' }))],
      ['keys.expired', signed(directory(startMs + 1, { issuedMs: 1, expiresMs: startMs }))],
    ] as const)
      await t.rejects(servers.bringKeys(server, bad), { code }, code)
    const service = new CallClient({
      url: running.url,
      tls: await tls('placement', 'service'),
      server: 'ds-1',
      clock: systemClock,
    })
    t.teardown(() => service.close())
    await t.rejects(
      service.call(putKeyDirectory, { directory: signed(directory(startMs + 1)) }),
      { code: 'message.unauthorised' },
      'only the gateway brings it',
    )

    const card = made()
    const put = async (placement: typeof first) => {
      const replica = await makeReplica(systemRandom, { identity, placement, card }, 5, { slot: 1 })
      return running.server.put(replica.signed, new Uint8Array(8), from(replica.segments))
    }
    await put(first)
    await t.rejects(put(second), { code: 'cose.unknown-key' })
    await servers.bringKeys(server, signed(directory(startMs + 1, {}, startMs - hourMs)))
    await put(second)
    await t.rejects(put(first), { code: 'cose.unknown-key' }, 'a former key gives no new orders')
    t.ok(trust.ever(thumbprint(first)), 'and what it signed stays')

    const again = await open()
    t.ok(again.now(thumbprint(second)))
    t.notOk(again.now(thumbprint(first)))
    await folder.write('keys.cose', signed(directory(startMs + 9, {}, startMs + hourMs)))
    t.ok((await open()).now(thumbprint(first)), 'the gateway’s own copy is newer')
  },
)

t.test('D1: the courier brings each version once, and again to whoever was away', async (t) => {
  const hands: { id: string; signed: Uint8Array }[] = []
  const away = new Set(['ds-2'])
  let listener = (_signed: Uint8Array): void => {}
  let wake = () => {}
  const issuer = {
    signed: signed(directory(1)),
    directory: directory(1),
    onChange: (heard: (signed: Uint8Array) => void) => {
      listener = heard
      return () => true
    },
  }
  const kept: Uint8Array[] = []
  const waiting = Promise.withResolvers<void>()
  let onTimer = waiting
  const courier = new Courier({
    issuer,
    servers: async () =>
      ['ds-1', 'ds-2', 'ds-3'].map((id) => ({
        id,
        bring: async (bytes: Uint8Array) => {
          if (away.has(id)) throw new Problem('server.unreachable')
          if (id === 'ds-3') throw new Problem('keys.stale')
          hands.push({ id, signed: bytes })
          return issuer.directory.version
        },
      })),
    keep: async (bytes) => void kept.push(bytes),
    clock: {
      ...systemClock,
      timer: (_ms, fire) => {
        wake = fire
        onTimer.resolve()
        return { cancel() {}, [Symbol.dispose]() {} }
      },
    },
    log,
  })
  const round = async (begin: () => void) => {
    onTimer = Promise.withResolvers<void>()
    begin()
    await onTimer.promise
  }
  await round(() => courier.start())
  t.same(
    hands.map(({ id }) => id),
    ['ds-1'],
  )
  t.same(await courier.behind(), ['ds-2'], 'one that had it before is not behind')
  away.clear()
  await round(() => wake())
  t.same(
    hands.map(({ id }) => id),
    ['ds-1', 'ds-2'],
  )
  t.same(await courier.behind(), [])
  issuer.directory = directory(2)
  issuer.signed = signed(issuer.directory)
  t.same(await courier.behind(), ['ds-1', 'ds-2', 'ds-3'])
  await round(() => listener(issuer.signed))
  t.same(
    hands.slice(2).map(({ id }) => id),
    ['ds-1', 'ds-2'],
  )
  t.same(kept.at(-1), issuer.signed)
  await courier.stop()
})
