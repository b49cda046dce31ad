import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import type { Log } from '@azukari/protocol/ports'
import t from 'tap'
import { PeriodicWorker } from './periodic-worker.ts'

// The clock's timers keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

const errors: string[] = []
const log: Log = { debug() {}, info() {}, warn() {}, error: (what) => void errors.push(what), child: () => log }

t.test('S17: what comes during a round makes another follow it; a round that fails ends nothing', async (t) => {
  let rounds = 0
  const gate = Promise.withResolvers<void>()
  const third = Promise.withResolvers<void>()
  const loop = new PeriodicWorker({
    name: 'the test',
    clock,
    log,
    idleMs: 60_000,
    round: async () => {
      rounds++
      if (rounds === 1) await gate.promise
      if (rounds === 2) throw new Error('a bad day')
      if (rounds === 3) third.resolve()
      return 60_000
    },
  })
  loop.start()
  loop.start()
  loop.wake()
  loop.wake()
  gate.resolve()
  while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve))
  t.same([rounds, errors], [2, ['the test']], 'one round follows, however often it was told')
  loop.wake()
  await third.promise
  await loop.stop()
  t.equal(loop.signal.aborted, true)
  loop.wake()
  t.equal(rounds, 3, 'nothing after the end')
})

t.test('S17: it looks again by itself, and stopping waits for the round that is under way', async (t) => {
  let rounds = 0
  let isOver = false
  const under = Promise.withResolvers<void>()
  const loop: PeriodicWorker = new PeriodicWorker({
    name: 'the test',
    clock,
    log,
    idleMs: 60_000,
    round: async () => {
      if (++rounds < 3) return 1
      under.resolve()
      await new Promise((resolve) => setTimeout(resolve, 20))
      isOver = true
      return 1
    },
  })
  loop.start()
  await under.promise
  await loop.stop()
  t.ok(isOver)
  t.equal(rounds, 3)
})

t.test('S17: it is idle when all it was told of is done, also while it is not running and when it stops', async (t) => {
  let rounds = 0
  let gate = Promise.withResolvers<void>()
  const loop = new PeriodicWorker({
    name: 'the test',
    clock,
    log,
    idleMs: 60_000,
    round: async () => {
      rounds++
      await gate.promise
      return 60_000
    },
  })
  loop.wake()
  await loop.idle()
  t.equal(rounds, 0, 'it does not run: nothing is to be waited for')
  loop.start()
  const first = loop.idle()
  loop.wake()
  gate.resolve()
  await first
  t.equal(rounds, 2, 'the round that follows at once is waited for too')
  await loop.idle()
  gate = Promise.withResolvers()
  loop.wake()
  const second = loop.idle()
  const stopped = loop.stop()
  gate.resolve()
  await Promise.all([second, stopped])
  await loop.idle()
})
