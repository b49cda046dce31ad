import { systemRandom } from '@azukari/protocol/adapters/random'
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import { directoryLifeMs, openKeyDirectory } from '@azukari/protocol/key-directory'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { migrate } from '../storage/migrate.ts'
import { testEngines } from '../test-database.ts'
import { DirectoryIssuer, type KeySource } from './issuer.ts'
import { kidOf, nextKeys } from './model.ts'
import { heldVersions, keyDirectoryMigrations, noteHeld } from './store.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const publicKey = (kind: 'ed25519' | 'x25519') => coseKey(publicOf(generateKey(kind, systemRandom)))
const [signing, nextSigning, agreement, nextAgreement] = [
  publicKey('ed25519'),
  publicKey('ed25519'),
  publicKey('x25519'),
  publicKey('x25519'),
]
const key = generateKey('ed25519', systemRandom)
const startMs = 1_790_000_000_000

/** A clock that stands where it was put, and never wakes anybody. */
class StillClock implements Clock {
  ms = startMs
  now(): number {
    return this.ms
  }
  monotonicMs(): number {
    return this.ms
  }
  async sleep(): Promise<void> {}
  timer(): { cancel(): void; [Symbol.dispose](): void } {
    return { cancel() {}, [Symbol.dispose]() {} }
  }
}

class FakePlacement implements KeySource {
  readonly holder = 'placement'
  keys: HeldKey[] = [
    { use: 'sign', key: signing, fromMs: 0 },
    { use: 'agree', key: agreement, fromMs: 0 },
  ]
  isUp = true
  async held(): Promise<HeldKey[]> {
    if (!this.isUp) throw new Problem('server.unreachable')
    return this.keys
  }
  async rotate({ fromMs, takenUntilMs }: { fromMs: number; takenUntilMs: number }): Promise<HeldKey[]> {
    this.keys = [
      ...this.keys.map((row) => ({ ...row, untilMs: fromMs, takenUntilMs })),
      { use: 'sign', key: nextSigning, fromMs },
      { use: 'agree', key: nextAgreement, fromMs },
    ]
    return this.keys
  }
}

for (const [engine, openTestDatabase] of Object.entries(testEngines())) {
  t.test(`D1: a site’s directory is signed, kept, and only ever rises (${engine})`, async (t) => {
    const database = await openTestDatabase()
    t.teardown(() => database.close())
    await migrate(database, [keyDirectoryMigrations], startMs)
    const clock = new StillClock()
    const placement = new FakePlacement()
    const ports = { site: 'tokyo', key, database, clock, log, sources: [placement] }
    const issuer = await DirectoryIssuer.open(ports)
    const first = openKeyDirectory(issuer.signed, { site: 'tokyo', siteKey: publicOf(key) })
    t.equal(first.version, startMs)
    t.same(
      first.keys.map(({ holder, use }) => `${holder} ${use}`),
      ['gateway sign', 'placement agree', 'placement sign'],
    )
    t.equal(issuer.newerThan(first.version), undefined)
    t.ok(issuer.newerThan(first.version - 1))

    await issuer.refresh()
    t.equal(issuer.directory.version, first.version, 'nothing new is no new version')
    clock.ms += directoryLifeMs / 3
    const heard: Uint8Array[] = []
    issuer.onChange((signed) => heard.push(signed))
    await issuer.refresh()
    t.equal(issuer.directory.expiresMs, clock.ms + directoryLifeMs, 'renewed long before it ends')
    t.same(heard, [issuer.signed])

    const again = await DirectoryIssuer.open(ports)
    t.same(again.signed, issuer.signed, 'a restart goes on with the same')
    clock.ms -= directoryLifeMs
    placement.keys = [...placement.keys, { use: 'card', key: signing, fromMs: 0 }]
    await again.refresh()
    t.equal(again.directory.version, issuer.directory.version + 1, 'it rises also when the clock was put back')

    const other = await DirectoryIssuer.open({ ...ports, key: generateKey('ed25519', systemRandom) })
    t.not(other.signed, issuer.signed, 'what another key signed is made anew')
  })

  t.test(`D1: a rotation is in the directory at once, with both keys and their times (${engine})`, async (t) => {
    const database = await openTestDatabase()
    t.teardown(() => database.close())
    await migrate(database, [keyDirectoryMigrations], startMs)
    const clock = new StillClock()
    const placement = new FakePlacement()
    const issuer = await DirectoryIssuer.open({ site: 'tokyo', key, database, clock, log, sources: [placement] })
    await t.rejects(issuer.rotate('content', 0), { code: 'keys.missing' })
    const [one, two] = await Promise.all([issuer.rotate('placement', 60_000), issuer.refresh()])
    t.equal(two, undefined)
    t.equal(one.keys.filter(({ holder }) => holder === 'placement').length, 4)
    t.ok(one.keys.every(({ fromMs }) => fromMs === 0 || fromMs === startMs + 60_000))

    placement.isUp = false
    clock.ms += directoryLifeMs / 2
    await issuer.refresh()
    t.same(issuer.directory.keys, one.keys, 'a service that does not answer keeps its keys')
    t.ok(issuer.directory.version > one.version)
    placement.isUp = true
    clock.ms += 4 * directoryLifeMs
    await issuer.refresh()
    const uses = issuer.directory.keys.filter(({ holder }) => holder === 'placement').map(({ use }) => use)
    t.same(uses, ['agree', 'sign', 'sign'], 'nobody may be sealed to a retired key; signatures are verified on')
  })

  t.test(`D1: a revocation is in the directory at once, and stays whatever its holder says (${engine})`, async (t) => {
    const database = await openTestDatabase()
    t.teardown(() => database.close())
    await migrate(database, [keyDirectoryMigrations], startMs)
    const clock = new StillClock()
    const placement = new FakePlacement()
    const ports = { site: 'tokyo', key, database, clock, log, sources: [placement] }
    const issuer = await DirectoryIssuer.open(ports)
    const kid = kidOf({ key: signing })
    await t.rejects(issuer.revoke('placement', kid, startMs), { code: 'keys.in-use' }, 'before there is another one')
    await t.rejects(issuer.revoke('gateway', kidOf({ key: coseKey(publicOf(key)) }), startMs), { code: 'keys.fixed' })
    await t.rejects(issuer.revoke('placement', '00000000', startMs), { code: 'keys.missing' })
    await t.rejects(issuer.revoke('placement', kid.slice(0, 7), startMs), { code: 'keys.missing' }, 'too little of it')
    const before = await issuer.rotate('placement', 1)
    const made = await issuer.revoke('placement', kid.slice(0, 16), startMs - 5)
    t.ok(made.version > before.version)
    const revoked = ({ keys }: typeof made) =>
      keys.flatMap((row) => (row.revokedMs === undefined ? [] : [row.revokedMs]))
    t.same(revoked(made), [startMs - 5])
    await issuer.revoke('placement', kid, startMs)
    t.same(revoked(issuer.directory), [startMs - 5], 'the earlier time counts')
    clock.ms += directoryLifeMs / 2
    await issuer.refresh()
    placement.isUp = false
    const again = await DirectoryIssuer.open(ports)
    clock.ms += directoryLifeMs / 2
    await again.refresh()
    t.same(revoked(again.directory), [startMs - 5], 'in every later one')
  })

  t.test(`D6: what devices say that they hold is kept (${engine})`, async (t) => {
    const database = await openTestDatabase()
    t.teardown(() => database.close())
    await migrate(database, [keyDirectoryMigrations], startMs)
    await noteHeld(database, 'one', 0, 1)
    await noteHeld(database, 'one', 7, 2)
    await noteHeld(database, 'two', 5, 2)
    t.same(
      [...(await heldVersions(database))],
      [
        ['one', 7],
        ['two', 5],
      ],
    )
  })
}

t.test('S7: a data server has the key that the site’s list names, and the one before to verify', async (t) => {
  const told = (dataServers: [string, Uint8Array][]) => ({ services: new Map(), dataServers: new Map(dataServers) })
  const first = nextKeys([], told([['osaka', signing]]), 10)
  t.same(first, [{ holder: 'data-server/osaka', use: 'sign', key: signing, fromMs: 0 }])
  t.same(nextKeys(first, told([['osaka', signing]]), 20), first)
  const second = nextKeys(first, told([['osaka', nextSigning]]), 30)
  t.same(second, [
    { holder: 'data-server/osaka', use: 'sign', key: signing, fromMs: 0, untilMs: 30 },
    { holder: 'data-server/osaka', use: 'sign', key: nextSigning, fromMs: 30 },
  ])
  t.same(nextKeys(second, told([]), 40), [], 'one that is not in use any more has none')
})
