/** What a watchdog is told of a device's line and of a gateway (D6): that something hangs, and not that it is merely away. */
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { deviceIdOf } from '@azukari/device/identity'
import { Link, type LinkOptions } from '@azukari/device/link'
import type { MqttTransport } from '@azukari/device/transport'
import { RemoteMeasures } from '@azukari/gateway/telemetry/remote-measures'
import { silent, slow } from '@azukari/gateway/test-contracts'
import { site, startTestSite } from '@azukari/gateway/test-site'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { readState } from '@azukari/protocol/contracts/fleet'
import { generateKey } from '@azukari/protocol/keys'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { SimClock } from '../../testkit/world/clock.ts'
import { never } from '../../testkit/world/life.ts'
import { until } from '../wait.ts'

const minuteMs = 60_000

function linkOver(transport: MqttTransport, clock: Clock, claim: string): Link {
  const key = generateKey('ed25519', systemRandom)
  let epoch = 0
  const options: LinkOptions = {
    site,
    claim,
    transport,
    clock,
    random: systemRandom,
    log: silent,
    model: 'test',
    version: '1',
    identity: { key, device: deviceIdOf(key), trust: undefined },
    roles: ['terminal'],
    nextEpoch: async (atLeast) => (epoch = Math.max(epoch + 1, atLeast)),
    keepTrust: async () => undefined,
  }
  return new Link(options)
}

/** The clock of this machine, which can be put on. */
function shiftedClock(): Clock & { shiftMs: number } {
  const clock = {
    shiftMs: 0,
    now: () => systemClock.now(),
    monotonicMs: () => systemClock.monotonicMs() + clock.shiftMs,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms, signal),
    timer: (ms: number, fire: () => void) => systemClock.timer(ms, fire),
  }
  return clock
}

t.test('D6: a site that is away is no fault of the line; a line that never ends connecting is one', async (t) => {
  const claim = `name.${'a'.repeat(32)}`
  for (const [connect, stuck] of [
    [() => Promise.reject(new Problem('link.offline', 'nobody there')), false],
    [() => never<never>(), true],
  ] as const) {
    const clock = new SimClock()
    const link = linkOver({ connect }, clock, claim)
    const stop = new AbortController()
    const ran = link.run(stop.signal)
    for (let minutes = 0; minutes < 120; minutes += 10) {
      await clock.runUntil(clock.now() + 10 * minuteMs)
      t.equal(link.stuck, stuck && minutes > 0, `${stuck ? 'hanging' : 'away'} for ${minutes + 10} minutes`)
    }
    stop.abort()
    if (!stuck) await ran
  }
})

t.test('D6: a site that is there and does not answer for a long time is one, until it answers', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const clock = shiftedClock()
  const link = linkOver(mqttTransport({ url: world.url }), clock, await world.newClaim())
  const stop = new AbortController()
  const up = new Promise<void>((resolve) => link.onState((state) => state === 'up' && resolve()))
  const ran = link.run(stop.signal)
  await up
  for (let i = 0; i < 3; i++) await t.rejects(link.call(slow, {}, { limitMs: 1_000 }), { code: 'link.timeout' })
  t.notOk(link.stuck, 'three questions at once are no long time')
  clock.shiftMs = 16 * minuteMs
  t.ok(link.stuck)
  await link.call(readState, {})
  t.notOk(link.stuck, 'it has answered')
  world.letGo()
  stop.abort()
  await ran
})

t.test('D6: a gateway is alive as long as it looks after its registry', async (t) => {
  const clock = shiftedClock()
  const world = await startTestSite({ clock })
  t.ok(world.gateway.alive())
  clock.shiftMs = 3 * minuteMs
  t.ok(await until('it has looked since', () => world.gateway.alive()))
  await world.stop()
  clock.shiftMs = 6 * minuteMs
  t.notOk(world.gateway.alive(), 'nothing looks any more')
})

t.test(
  'D6: what a service apart said for telemetry counts for a while when it is silent, and not for ever',
  async (t) => {
    const clock = new SimClock()
    let answers = false
    const facts = [{ name: 'hazards', key: 'hazards', label: 'Hazards', unit: 'count' as const, value: 2 }]
    const ask = async () => (answers ? facts : undefined)
    const remote = new RemoteMeasures({ ask, everyMs: minuteMs, clock, log: silent })
    const after = (minutes: number) => clock.runUntil(clock.now() + minutes * minuteMs + 1)
    await remote.start()
    t.same(remote.measures, [], 'nothing is made up')
    answers = true
    await after(1)
    t.equal(remote.measures, facts)
    answers = false
    await after(10)
    t.equal(remote.measures, facts, 'a service that starts again')
    await after(10)
    t.same(remote.measures, [], 'a service that is gone')
    answers = true
    await after(2)
    t.equal(remote.measures, facts, 'it is back')
    remote.stop()
    const { fired } = clock
    await after(60)
    t.equal(clock.fired, fired, 'nobody asks any more')
  },
)
