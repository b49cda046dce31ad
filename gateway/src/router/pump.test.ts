import { systemClock } from '@azukari/protocol/adapters/clock'
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
  contract: 'save.kept@1',
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

const settled = () => new Promise((resolve) => setImmediate(resolve))

t.test('D5: an event of a service that is away is asked for, sent and acknowledged until it is done', async (t) => {
  const { service, waiting } = awayFor(1)
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
  const sent: QueuedEvent[] = []
  const pump = new Pump({
    services: [service],
    clock,
    log: silent,
    connected: () => true,
    send: (one) => sent.push(one),
  })
  const tick = async () => {
    nowMs += 20_000
    for (const fire of ticks.splice(0)) fire()
    await settled()
  }
  pump.start()
  pump.born('camera')
  await settled()
  await tick()
  t.equal(sent.length, 1, 'it was asked for again, though nothing new was told')
  await t.rejects(pump.acknowledged('camera', [event.id]), { code: 'service.unavailable' })
  await tick()
  t.equal(sent.length, 2, 'what could not be marked as done is sent again')
  await pump.acknowledged('camera', [event.id])
  t.same(waiting, [])
  await tick()
  t.equal(sent.length, 2, 'and no more')
  pump.stop()
})
