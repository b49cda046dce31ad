import { systemClock } from '@azukari/protocol/adapters/clock'
import { saveKept } from '@azukari/protocol/contracts/save'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import type { QueuedEvent, Service } from '../service/service.ts'
import { silent } from '../test-contracts.ts'
import { Pump } from './pump.ts'

const event: QueuedEvent = {
  at: 1,
  device: 'camera',
  id: new Uint8Array(16),
  contract: saveKept.id,
  atMs: 0,
  body: {},
  keep: true,
}

/** A service that is away for the first so many questions of each kind. */
function awayFor(times: number) {
  const left = { take: times, done: times }
  const waiting = [event]
  const failing = (kind: keyof typeof left) => {
    if (left[kind]-- > 0) throw new Problem('service.unavailable')
  }
  const service: Service = {
    name: 'placement',
    start: async () => {},
    stop: async () => {},
    handle: async () => ({}),
    takeEvents: async (after) => {
      failing('take')
      return waiting.filter(({ at }) => at > after)
    },
    eventsDone: async () => {
      failing('done')
      waiting.splice(0)
    },
    onEvents: () => () => {},
  }
  return { service, waiting }
}

/** A clock that stands until it is turned. */
function handClock() {
  let nowMs = 0
  const ticks: (() => void)[] = []
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    timer: (_ms, fire) => {
      ticks.push(fire)
      return { cancel: () => {}, [Symbol.dispose]: () => {} }
    },
  }
  const tick = async (ms: number) => {
    nowMs += ms
    for (const fire of ticks.splice(0)) fire()
    await settled()
  }
  return { clock, tick }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

t.test('D5: an event of a service that is away is asked for, sent and acknowledged until it is done', async (t) => {
  const { service, waiting } = awayFor(1)
  const { clock, tick } = handClock()
  const sent: QueuedEvent[] = []
  const pump = new Pump({
    services: [service],
    clock,
    log: silent,
    connected: () => true,
    send: (one) => sent.push(one),
  })
  pump.start()
  pump.born('camera')
  await settled()
  await tick(20_000)
  t.equal(sent.length, 1, 'it was asked for again, though nothing new was told')
  await t.rejects(pump.acknowledged('camera', [event.id]), { code: 'service.unavailable' })
  await tick(20_000)
  t.equal(sent.length, 2, 'what could not be marked as done is sent again')
  await pump.acknowledged('camera', [event.id])
  t.same(waiting, [])
  await tick(20_000)
  t.equal(sent.length, 2, 'and no more')
  pump.stop()
})

t.test(
  'D5: an event that comes to light behind one that was sent is sent within a minute, and nothing twice',
  async (t) => {
    const event = (at: number): QueuedEvent => ({
      at,
      device: 'camera',
      id: new Uint8Array(16).fill(at),
      contract: saveKept.id,
      atMs: 0,
      body: {},
      keep: true,
    })
    const { service, waiting } = awayFor(0)
    waiting.splice(0, 1, event(2))
    const { clock, tick } = handClock()
    const sent: number[] = []
    const options = { services: [service], clock, log: silent, connected: () => true }
    const pump = new Pump({ ...options, send: ({ at }) => void sent.push(at) })
    pump.start()
    t.teardown(() => pump.stop())
    pump.born('camera')
    await settled()
    t.same(sent, [2])
    // Its transaction began before the other's and ended after it.
    waiting.unshift(event(1))
    for (let i = 0; i < 30 && !sent.includes(1); i++) await tick(2_500)
    t.equal(sent.filter((at) => at === 1).length, 1)
    const before = sent.length
    await pump.acknowledged('camera', [event(1).id, event(2).id])
    for (let i = 0; i < 30; i++) await tick(2_500)
    t.equal(sent.length, before)
  },
)
