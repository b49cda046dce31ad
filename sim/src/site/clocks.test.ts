/** Boards without a clock, or with a wrong one, at a real gateway: they come on line, and what they write has the site's time (D1, D5). */

import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { KnownTime } from '@azukari/device/known-time'
import { Runtime } from '@azukari/device/runtime'
import { TestDevice } from '@azukari/gateway/test-client'
import { note } from '@azukari/gateway/test-contracts'
import { site, startTestSite } from '@azukari/gateway/test-site'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { readState } from '@azukari/protocol/contracts/fleet'
import { signerOf } from '@azukari/protocol/cose'
import { signCwt } from '@azukari/protocol/cwt'
import type { Clock } from '@azukari/protocol/ports'
import t from 'tap'
import { quietLog } from '../testkit/log.ts'

/** The clock of a board that is off by so much. */
function offBy(ms: number): Clock {
  return {
    now: () => systemClock.now() + ms,
    monotonicMs: () => systemClock.monotonicMs(),
    sleep: (forMs, signal) => systemClock.sleep(forMs, signal),
    timer: (forMs, fire) => systemClock.timer(forMs, fire),
  }
}

/** How far two clocks of one machine may be apart in these tests, on a slow one. */
const near = 20_000
const years26 = -26 * 365 * 86_400_000

for (const [what, ms] of [
  ['26 years slow, as after a power cut', years26],
  ['an hour slow', -3_600_000],
  ['two days fast', 2 * 86_400_000],
] as const)
  t.test(`D1: a board whose clock is ${what} enrols, comes on line, and writes the site’s time`, async (t) => {
    const world = await startTestSite()
    t.teardown(() => world.stop())
    const folder = t.testdir()
    const database = await openDeviceDatabase(`${folder}/device.db`)
    const clock = offBy(ms)
    const runtime = new Runtime(
      { site, roles: ['terminal'], claim: await world.newClaim(), model: 'test', version: '1', folder },
      {
        clock,
        random: systemRandom,
        files: systemFiles(),
        database,
        transport: mqttTransport({ url: world.url }),
        log: quietLog,
      },
      { model: 'test' },
    )
    t.teardown(() => runtime.stop())
    await runtime.start()
    // Greeting with a token of a wrong time tells the time; the connection after it has the right one.
    for (let limit = systemClock.monotonicMs() + 60_000; ; ) {
      const state = runtime.link.up ? await runtime.link.call(readState, {}).catch(() => undefined) : undefined
      if (state) {
        t.ok(state.epoch >= 1)
        break
      }
      if (systemClock.monotonicMs() > limit) throw new Error('never on line')
      await systemClock.sleep(50)
    }
    t.ok(Math.abs(runtime.link.siteNow() - Date.now()) < near, 'the link has the site’s time')
    const known = await database.get<{ ms: number }>('SELECT ms FROM known_time')
    t.ok(Math.abs(known!.ms - Date.now()) < near, 'and it is kept for the next start')
    // What was written down is delivered and gone at once, so its time is noted beside it.
    await database.exec(`CREATE TABLE seen (at INTEGER); CREATE TRIGGER seen_acts AFTER INSERT ON acts
      BEGIN INSERT INTO seen VALUES (NEW.at); END`)
    await runtime.outbox.append(note, { text: 'what is the time' }, systemRandom.bytes(16))
    const row = await database.get<{ at: number }>('SELECT max(at) AS at FROM seen')
    t.ok(Math.abs(row!.at - Date.now()) < near, 'what is written down has it')
  })

t.test('D1: an old token lets a device greet and nothing else, and never beside the device itself', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = new TestDevice(site)
  await device.enrol(world.url, await world.newClaim())
  const iat = Math.floor((Date.now() + years26) / 1000)
  const old = Buffer.from(signCwt({ iss: device.id, aud: site, iat, exp: iat + 300 }, signerOf(device.key)))
  await device.connect(world.url, 'device', { password: old })
  await device.greet()
  const cut = new Promise<void>((resolve) => device.client.once('close', () => resolve()))
  device.call(note, { text: 'no' }, { act: { stream: new Uint8Array(16), seq: 1 } }).catch(() => undefined)
  await cut
  t.same(await world.notes(), [], 'an act over such a line is not taken')

  await device.connect(world.url)
  await device.greet()
  const thief = new TestDevice(site, device.key)
  await t.rejects(
    thief.connect(world.url, 'device', { password: old }),
    'who has an old token does not push the device off',
  )
  await device.call(readState, {})
  await device.close()
  const long = Buffer.from(signCwt({ iss: device.id, aud: site, iat, exp: iat + 86_400 }, signerOf(device.key)))
  await t.rejects(thief.connect(world.url, 'device', { password: long }), 'a token for a day is none')
})

t.test('D1: known time: never before what was known, and the site’s once it was told, fast or slow', async (t) => {
  const database = await openDeviceDatabase(':memory:')
  t.teardown(() => database.close())
  let wall = 1_000
  let monotonic = 0
  const clock: Clock = { ...offBy(0), now: () => wall, monotonicMs: () => monotonic }
  const time = await KnownTime.open(database, clock)
  t.equal(time.now(), 1_000, 'nothing known: the wall clock')
  await time.learn(500_000)
  monotonic += 10
  t.equal(time.now(), 500_010, 'a slow clock is carried forward')
  wall = 900_000
  t.equal(time.now(), 500_010, 'and one that is set meanwhile changes nothing')
  await time.learn(500_020)
  const next = await KnownTime.open(database, { ...clock, monotonicMs: () => 0, now: () => 3 })
  t.equal(next.now(), 500_020, 'after a power cut time does not stand before it')
  const charged = await KnownTime.open(database, { ...clock, monotonicMs: () => 0, now: () => 600_000 })
  t.equal(charged.now(), 600_000, 'a clock that went on is believed until the site is heard')
})
