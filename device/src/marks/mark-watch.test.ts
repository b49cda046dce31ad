import { setImmediate as turn } from 'node:timers/promises'
import type { RequestOf } from '@azukari/protocol/contract'
import type { tellSightings } from '@azukari/protocol/contracts/rights-boards'
import { Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { openDeviceDatabase } from '../adapters/database.ts'
import type { PresenceNews, PresentCard } from '../apps/presence.ts'
import { MarkWatch } from './mark-watch.ts'
import { SightingRecord, sightingsPerDay } from './sighting-record.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet }
const picture = { width: 80, height: 80, rgba: new Uint8Array(80 * 80 * 4) }
const content = new Uint8Array(16).fill(3)
const day = '2026-12-01'

async function scene(t: Test, { allows = true, isFull = false } = {}) {
  const database = await openDeviceDatabase(`${t.testdir()}/device.db`)
  const listeners: ((news: PresenceNews) => void)[] = []
  const asked: unknown[] = []
  const told: { id: string; sightings: RequestOf<typeof tellSightings>['sightings'] }[] = []
  const state = { allows, isFull, works: 0n }
  let read = Promise.withResolvers<void>()
  let ids = 0
  const card = {
    signal: new AbortController().signal,
    askService: async (_contract: unknown, body: { allows?: boolean }) => {
      asked.push(body)
      state.allows = body.allows ?? state.allows
      return { allows: state.allows }
    },
  } as unknown as PresentCard
  const presence = {
    card: card as PresentCard | undefined,
    onNews: (listener: (news: PresenceNews) => void) => {
      listeners.push(listener)
      return () => {}
    },
  }
  const record = await SightingRecord.open(database)
  const watch = new MarkWatch({
    presence,
    record,
    outbox: {
      append: async (_contract, body, id) => {
        if (state.isFull) throw new Problem('outbox.full')
        told.push({ id: Buffer.from(id).toString('hex'), ...(body as { sightings: [] }) })
      },
    },
    reader: async () => ({
      read: async () => {
        await read.promise
        return ++state.works
      },
      rest: async () => {},
    }),
    clock: { now: () => Date.parse(`${day}T12:00:00Z`) },
    random: { bytes: (n) => new Uint8Array(n).fill(++ids), float: () => 0 },
    log: quiet,
  })
  const stop = new AbortController()
  const running = watch.run(stop.signal)
  t.teardown(async () => {
    read.resolve()
    stop.abort()
    await running
    await database.close()
  })
  const settle = async () => {
    for (let i = 0; i < 200; i++) await turn()
  }
  return {
    watch,
    record,
    card,
    state,
    asked,
    told,
    settle,
    go: () => read.resolve(),
    hold: () => {
      read = Promise.withResolvers<void>()
    },
    leave: async () => {
      presence.card = undefined
      for (const listener of listeners) listener({ type: 'out' })
      await settle()
    },
  }
}

t.test('R4 D8: without consent nothing is looked at; consent is asked once while the card is in', async (t) => {
  const s = await scene(t, { allows: false })
  s.go()
  for (let i = 0; i < 3; i++) s.watch.met(picture, { content })
  await s.settle()
  await s.leave()
  t.same(s.told, [])
  t.equal(s.state.works, 0n)
  t.same(s.asked, [{}])
})

t.test(
  'R4: what comes while too much waits is dropped and counted; all else is told when the card has left',
  async (t) => {
    const s = await scene(t)
    for (let i = 0; i < 9; i++) s.watch.met(picture, { content })
    t.equal(s.watch.dropped, 5, 'four wait')
    await s.settle()
    s.go()
    await s.settle()
    t.same(s.told, [], 'not while the card is in')
    await s.leave()
    t.equal(s.told.length, 1, 'one message')
    t.same(
      s.told[0]?.sightings.map(({ work }) => work),
      [1, 2, 3, 4].map((work) => work.toString(16).padStart(16, '0')),
    )
    t.match(s.told[0]?.sightings[0], { content, day })
    s.watch.met(picture)
    t.equal(s.state.works, 4n, 'nobody is there')
  },
)

t.test('R4 D5: what an outbox does not take waits, and is told later in the same message', async (t) => {
  const s = await scene(t, { isFull: true })
  s.go()
  s.watch.met(picture)
  await s.settle()
  await s.leave()
  t.same(s.told, [])
  const waiting = await s.record.next()
  t.match(waiting?.sightings, [{ day }])
  s.state.isFull = false
  await s.leave()
  t.equal(s.told[0]?.id, Buffer.from(waiting!.act).toString('hex'))
  await s.leave()
  t.equal(s.told.length, 1, 'and not again')
})

t.test('R4 D8: who changes their mind is not told of, from that moment on', async (t) => {
  const s = await scene(t)
  s.go()
  s.watch.met(picture)
  await s.settle()
  await s.watch.decide(s.card, false)
  s.watch.met(picture)
  await s.settle()
  await s.leave()
  t.same(s.told, [])
})

t.test('R4: a work is noted once for a day and what it was met in, and so many a day', async (t) => {
  const { record } = await scene(t)
  const work = 'ffff0000000000aa'
  t.equal(await record.note({ work, day }), true)
  t.equal(await record.note({ work, day }), false)
  t.equal(await record.note({ work, content, day }), true)
  for (let i = 2; i < sightingsPerDay; i++) await record.note({ work: i.toString(16).padStart(16, '0'), day })
  t.equal(await record.note({ work: '00000000000fffff', day }), false, 'the day has enough')
  t.equal(await record.note({ work, day: '2026-12-02' }), true)
})
