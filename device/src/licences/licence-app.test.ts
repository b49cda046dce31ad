import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { decode } from '@azukari/protocol/codec'
import { enrolForApp } from '@azukari/protocol/contracts/work-licences'
import { peek1 } from '@azukari/protocol/cose'
import { generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { LicenceProof } from '@azukari/protocol/licence'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { openDeviceDatabase } from '../adapters/database.ts'
import type { Link } from '../link.ts'
import { LicenceApp } from './licence-app.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const never = new AbortController().signal
const nonce = new Uint8Array(16)
const code = 'a'.repeat(16)
const user = { app: 'film-look', name: 'Anna', contact: 'x' }
const minuteMs = 60_000

async function board(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-licence-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const now = { wallMs: 1_000 * minuteMs, monotonicMs: 0 }
  const identity = { key: generateKey('ed25519', systemRandom) }
  const asked: string[] = []
  const site = { up: true, refusal: undefined as Problem | undefined }
  const call: Pick<Link, 'call'>['call'] = async (contract, request) => {
    asked.push(contract.name)
    if (site.refusal) throw site.refusal
    if (contract.id === enrolForApp.id) return { title: 'Film look', key: 'b'.repeat(16) } as never
    return { lease: (request as unknown as { kid: Uint8Array }).kid } as never
  }
  const link = {
    get up() {
      return site.up
    },
    call,
  }
  const clock = { ...systemClock, now: () => now.wallMs, monotonicMs: () => now.monotonicMs }
  const setting = (of: object) => writeFileSync(`${folder}/work.json`, JSON.stringify({ isPaused: false, ...of }))
  setting({ code })
  /** As at a start of the board. */
  const start = async () => {
    const database = await openDeviceDatabase(`${folder}/device.db`)
    t.teardown(() => database.close())
    return LicenceApp.open({ folder, files: systemFiles(), clock, log, database, link, identity })
  }
  return { now, identity, asked, site, setting, start, app: await start() }
}

const timeOf = ({ proof }: { proof: Uint8Array }) => (decode(peek1(proof).payload) as LicenceProof).atMs

t.test('W8 W9: the licence app keeps the key, renews the lease, and supplies it without a line', async (t) => {
  const { app, asked, site, now } = await board(t)
  t.same(await app.enrol(user, never), { title: 'Film look' })
  t.same(asked, ['work.licence.enrol', 'work.licence.renew'])
  await app.renewDue(never)
  t.equal(asked.length, 2, 'not before it is due')
  now.wallMs += 10 * minuteMs
  site.up = false
  await app.renewDue(never)
  t.equal(asked.length, 2)
  t.ok(await app.prove(user.app, nonce))
  site.up = true
  await app.renewDue(never)
  t.equal(asked.length, 3)
  await t.rejects(app.prove('other', nonce), { code: 'licence.unknown' })
})

t.test('W9: running is what counts: who takes no part, or pauses, has no licence and no renewal', async (t) => {
  const { app, asked, setting, now } = await board(t)
  await app.enrol(user, never)
  for (const given of [{}, { code, isPaused: true }]) {
    setting(given)
    now.wallMs += 10 * minuteMs
    await t.rejects(app.prove(user.app, nonce), { code: 'licence.idle' })
    await app.renewDue(never)
  }
  t.equal(asked.length, 2)
  setting({ code })
  t.ok(await app.prove(user.app, nonce))
})

t.test('W9: time never goes back, and passes while the board runs, whatever the clock says', async (t) => {
  const { app, now, start } = await board(t)
  await app.enrol(user, never)
  const before = timeOf(await app.prove(user.app, nonce))
  now.wallMs -= 500 * minuteMs
  now.monotonicMs += 5 * minuteMs
  t.equal(timeOf(await app.prove(user.app, nonce)), before + 5 * minuteMs)
  t.equal(timeOf(await (await start()).prove(user.app, nonce)), before + 5 * minuteMs, 'also after a restart')
})

t.test('W9: a board that has a new key gets a lease for it at once', async (t) => {
  const { app, identity } = await board(t)
  await app.enrol(user, never)
  identity.key = generateKey('ed25519', systemRandom)
  await app.renewDue(never)
  const { lease } = await app.prove(user.app, nonce)
  t.same(lease, thumbprint(publicOf(identity.key)))
})

t.test('W9: what the site says of a licence is shown, and the others go on', async (t) => {
  const { app, site, now } = await board(t)
  await app.enrol(user, never)
  now.wallMs += 10 * minuteMs
  site.refusal = new Problem('licence.revoked')
  await app.renewDue(never)
  t.match(await app.list(), [{ app: user.app, title: 'Film look', problem: 'licence.revoked' }])
})
