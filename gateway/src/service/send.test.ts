/** Acts that one service sends to another: with the effect that causes them, once, in order (ARCHITECTURE §5). */

import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { contract, Nothing, Type } from '@azukari/protocol/contract'
import type { Clock } from '@azukari/protocol/ports'
import { InternalError, Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { memoryDatabase } from '../adapters/database.ts'
import { systemDefer } from '../adapters/defer.ts'
import { createAuthority, issue } from '../pki/authority.ts'
import type { Database } from '../storage/database.ts'
import { note, silent } from '../test-contracts.ts'
import { CallClient } from '../transport/client.ts'
import { startCallServer } from '../transport/server.ts'
import { judgeReply, pauseMs } from './delivery.ts'
import { createServiceHost, type ServiceHostOptions } from './host.ts'
import { remoteService } from './remote.ts'
import { serviceHandlers } from './serve.ts'
import { type Service, type ServiceReply, sends, serviceAct, serviceCaller } from './service.ts'
import { throwUnlisted } from './unlisted.ts'

const order = contract({
  name: 'test.order',
  kind: 'act',
  service: 'content',
  authority: 'service',
  title: 'test',
  serves: ['D5'],
  request: Type.Object({ text: Type.String({ maxLength: 100 }) }),
  reply: Type.Object({ n: Type.Integer() }),
  problems: ['card.unknown'],
})
const stranger = contract({ ...order, name: 'test.stranger', request: Nothing, reply: Nothing })

/** A clock whose pauses are short, and counted. */
function hurried() {
  const pauses: number[] = []
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      pauses.push(ms)
      return systemClock.sleep(1, signal)
    },
  }
  return { clock, pauses }
}

/** Lets a test wait until something has come about. */
function heard<T>() {
  const list: T[] = []
  let news = Promise.withResolvers<void>()
  return {
    list,
    push: (item: T) => {
      list.push(item)
      news.resolve()
      news = Promise.withResolvers()
    },
    until: async (count: number) => {
      while (list.length < count) await news.promise
    },
  }
}

// The services' own timers do not keep a process up.
const alive = setInterval(() => undefined, 1_000)
t.teardown(() => clearInterval(alive))

const base = { random: systemRandom, log: silent, defer: systemDefer }

async function receiver(database: Database, clock: Clock) {
  const host = await createServiceHost({
    unlisted: throwUnlisted,
    ...base,
    name: 'content',
    database,
    clock,
    migrations: [{ number: 1, name: 'orders', up: 'CREATE TABLE orders (n INTEGER PRIMARY KEY, text TEXT NOT NULL)' }],
    handlers: [
      serviceAct(order, ['placement'], async ({ text }, { sql, caller }) => {
        if (text === 'refuse') throw new Problem('card.unknown', caller.device)
        await sql.run('INSERT INTO orders (text) VALUES (?)', text)
        return { n: (await sql.get<{ n: number }>('SELECT count(*) AS n FROM orders'))!.n }
      }),
    ],
  })
  await host.start()
  const orders = async () =>
    (await database.all<{ text: string }>('SELECT text FROM orders ORDER BY n')).map(({ text }) => text)
  return { host, orders }
}

async function sender(database: Database, more: Partial<ServiceHostOptions>) {
  const answers = heard<[string, number | string]>()
  const host = await createServiceHost({
    unlisted: throwUnlisted,
    ...base,
    name: 'placement',
    database,
    clock: hurried().clock,
    migrations: [],
    handlers: [],
    calls: [
      sends(order, {
        onReply: ({ n }, { afterCommit }, { text }) => afterCommit(() => answers.push([text, n])),
        onRefused: ({ code }, { afterCommit }, { text }) => afterCommit(() => answers.push([text, code])),
      }),
    ],
    ...more,
  })
  await host.start()
  const send = (...texts: string[]) =>
    host.store.transaction(async (context) => {
      for (const text of texts) await context.send(order, { text })
    })
  const rows = async () => (await database.get<{ n: number }>('SELECT count(*) AS n FROM outbox'))!.n
  return { host, send, rows, answers }
}

type Peer = Pick<Service, 'handle'>
const peers = (peer: () => Peer | undefined) => (service: string) => (service === 'content' ? peer() : undefined)

t.test('D5: what is sent in a transaction arrives in order, and its answers come back', async (t) => {
  const { clock } = hurried()
  const to = await receiver(memoryDatabase(), clock)
  const from = await sender(memoryDatabase(), { peers: peers(() => to.host) })
  const texts = Array.from({ length: 40 }, (_, i) => `n${i}`)
  await from.send(...texts.slice(0, 20))
  await t.rejects(
    from.host.store.transaction(async (context) => {
      await context.send(order, { text: 'undone' })
      throw new Problem('card.unknown')
    }),
  )
  await from.send(...texts.slice(20))
  await from.answers.until(40)
  t.same(await to.orders(), texts)
  t.same(
    from.answers.list,
    texts.map((text, i) => [text, i + 1]),
  )
  t.equal(await from.rows(), 0)
  await from.host.stop()
  await to.host.stop()
})

t.test('D5: a receiver that is away gets everything when it is back, in order', async (t) => {
  const { clock, pauses } = hurried()
  const to = await receiver(memoryDatabase(), clock)
  let asked = 0
  const away: Peer = {
    handle: async () => {
      asked++
      return { problem: new Problem('service.unavailable').toWire() }
    },
  }
  const from = await sender(memoryDatabase(), {
    clock,
    peers: peers(() => (asked < 7 ? away : to.host)),
  })
  await from.send('a', 'b')
  await from.answers.until(2)
  t.same(await to.orders(), ['a', 'b'])
  t.same(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000])
  await from.host.stop()
  await to.host.stop()
})

t.test('D5: once, though the sender ends between the delivery and the answer', async (t) => {
  const { clock } = hurried()
  const to = await receiver(memoryDatabase(), clock)
  const database = memoryDatabase()
  const delivered = heard<ServiceReply>()
  const silentPeer: Peer = {
    handle: async (request) => {
      delivered.push(await to.host.handle(request))
      return new Promise(() => undefined)
    },
  }
  const first = await sender(database, { peers: peers(() => silentPeer) })
  await first.send('a', 'b')
  await delivered.until(1)
  t.equal(await first.rows(), 2, 'nothing leaves the outbox before its answer')
  await first.host.stop()
  const second = await sender(database, { peers: peers(() => to.host) })
  await second.answers.until(2)
  t.same(await to.orders(), ['a', 'b'])
  t.same(second.answers.list, [
    ['a', 1],
    ['b', 2],
  ])
  await second.host.stop()
  await to.host.stop()
})

t.test('D5: an answer that cannot be worked in comes again, and the act is done once', async (t) => {
  const { clock } = hurried()
  const to = await receiver(memoryDatabase(), clock)
  const got = heard<number>()
  let failures = 0
  const from = await sender(memoryDatabase(), {
    peers: peers(() => to.host),
    calls: [
      sends(order, {
        onReply: ({ n }, { afterCommit }) => {
          if (failures++ === 0) throw new TypeError('a bug')
          afterCommit(() => got.push(n))
        },
      }),
    ],
  })
  await from.send('a')
  await got.until(1)
  t.same(got.list, [1])
  t.same(await to.orders(), ['a'])
  t.equal(failures, 2)
  await from.host.stop()
  await to.host.stop()
})

t.test('D5: a refusal is told once, and does not hold up what follows', async (t) => {
  const { clock } = hurried()
  const to = await receiver(memoryDatabase(), clock)
  const from = await sender(memoryDatabase(), { peers: peers(() => to.host) })
  await from.send('a', 'refuse', 'b')
  await from.answers.until(3)
  t.same(from.answers.list, [
    ['a', 1],
    ['refuse', 'card.unknown'],
    ['b', 2],
  ])
  t.equal(await from.rows(), 0)
  await from.host.stop()
  await to.host.stop()
})

t.test(
  'D5: a receiver that lost its database, and a sender put back to an older one, go on under a new stream',
  async (t) => {
    const { clock } = hurried()
    const to = await receiver(memoryDatabase(), clock)
    let at = to
    const database = memoryDatabase()
    const from = await sender(database, { peers: peers(() => at.host) })
    await from.send('a', 'b')
    await from.answers.until(2)
    at = await receiver(memoryDatabase(), clock)
    await from.send('c', 'd')
    await from.answers.until(4)
    t.same(await at.orders(), ['c', 'd'])
    // As restored from before `c`: the numbers are given out again, for other acts.
    await database.run('UPDATE outbox_streams SET next_seq = 1')
    await from.send('e', 'f')
    await from.answers.until(6)
    t.same(await at.orders(), ['c', 'd', 'e', 'f'])
    await from.host.stop()
    await to.host.stop()
    await at.host.stop()
  },
)

t.test('D5: a full outbox says so, and what was sent before stays', async (t) => {
  const from = await sender(memoryDatabase(), { limits: { outboxRows: 2 } })
  await from.send('a', 'b')
  await t.rejects(from.send('c'), { code: 'service.busy', retry: 'later' })
  t.equal(await from.rows(), 2)
  await from.host.stop()
})

t.test('D5: a service sends only what it declares', async (t) => {
  const from = await sender(memoryDatabase(), {})
  await t.rejects(
    from.host.store.transaction((context) => context.send(stranger, {})),
    InternalError,
  )
  await t.rejects(from.send('x'.repeat(101)), { code: 'message.invalid' })
  await from.host.stop()
  await t.rejects(sender(memoryDatabase(), { name: 'content' }), InternalError, 'an act to itself')
})

t.test('D4: an act of services is not taken from a device, nor from a service that may not send it', async (t) => {
  const { host, orders } = await receiver(memoryDatabase(), hurried().clock)
  const ask = (caller: ReturnType<typeof serviceCaller>, seq: number) =>
    host.handle({
      caller,
      contract: order.id,
      id: new Uint8Array(16).fill(seq),
      atMs: 1,
      act: { stream: new Uint8Array(16), seq },
      body: { text: 'a' },
    })
  t.match(await ask({ device: 'camera', region: 'JP-13', roles: ['service'] }, 1), {
    problem: { code: 'message.unauthorised' },
  })
  t.match(await ask(serviceCaller('work'), 1), { problem: { code: 'message.unauthorised' } })
  t.same(await orders(), [])
  t.same(await ask(serviceCaller('placement'), 1), { body: { n: 1 } })
  await host.stop()
  const devices = await createServiceHost({
    unlisted: throwUnlisted,
    ...base,
    name: 'placement',
    database: memoryDatabase(),
    clock: systemClock,
    migrations: [],
    handlers: [{ contract: note, kind: 'act', handle: () => ({ n: 1 }) }],
  })
  await devices.start()
  const request = { contract: note.id, id: new Uint8Array(16), atMs: 1, body: { text: 'a' } }
  const asService = { ...request, caller: serviceCaller('content'), act: { stream: new Uint8Array(16), seq: 1 } }
  t.match(await devices.handle(asService), { problem: { code: 'message.unauthorised' } })
  await devices.stop()
})

t.test('D4: over HTTP/2 a service speaks for itself alone, and its acts arrive once and in order', async (t) => {
  const validity = { nowMs: Date.now(), days: 1 }
  const authority = await createAuthority('tokyo', validity, systemRandom)
  const identity = async (id: string, role: 'gateway' | 'service') => {
    const { cert, key } = await issue(authority, { id, role }, validity, systemRandom)
    return { ca: authority.cert, cert, key }
  }
  const { clock } = hurried()
  const to = await receiver(memoryDatabase(), clock)
  const server = await startCallServer({
    unlisted: throwUnlisted,
    tls: await identity('content', 'service'),
    handlers: serviceHandlers(to.host, systemClock, { placement: 'placement', work: 'work' }),
    clock: systemClock,
    log: silent,
    port: 0,
  })
  const remote = async (id: string, role: 'gateway' | 'service') =>
    remoteService({
      name: 'content',
      client: new CallClient({
        url: `https://127.0.0.1:${server.port}`,
        tls: await identity(id, role),
        server: 'content',
        clock: systemClock,
      }),
      clock: systemClock,
      log: silent,
    })
  const placement = await remote('placement', 'service')
  const from = await sender(memoryDatabase(), { peers: peers(() => placement) })
  await from.send('a', 'refuse', 'b')
  await from.answers.until(3)
  t.same(from.answers.list, [
    ['a', 1],
    ['refuse', 'card.unknown'],
    ['b', 2],
  ])
  t.same(await to.orders(), ['a', 'b'])
  const pretend = async (peer: Service, caller: ReturnType<typeof serviceCaller>) => {
    const key = { stream: new Uint8Array(16).fill(7), seq: 1 }
    const reply = await peer.handle({
      caller: { ...caller },
      contract: order.id,
      id: new Uint8Array(16).fill(7),
      atMs: 1,
      act: key,
      body: { text: 'forged' },
    })
    return reply.problem?.detail
  }
  const unauthorised = 'content: message.unauthorised'
  const work = await remote('work', 'service')
  const rights = await remote('rights', 'service')
  const gateway = await remote('gateway', 'gateway')
  t.equal(await pretend(work, serviceCaller('placement')), unauthorised, 'another service')
  t.equal(await pretend(rights, serviceCaller('rights')), unauthorised, 'one that sends nothing here')
  t.equal(await pretend(gateway, serviceCaller('rights')), unauthorised, 'nor may the gateway name it')
  t.equal(
    await pretend(placement, { device: 'camera', region: 'JP-13', roles: [] }),
    unauthorised,
    'a service as a device',
  )
  t.same(await to.orders(), ['a', 'b'])
  await from.host.stop()
  for (const peer of [placement, work, rights, gateway]) await peer.stop()
  await server.stop(0)
  await to.host.stop()
})

t.test('D5: what follows from an answer', (t) => {
  const reply = (code: string, retry = 'no'): ServiceReply => ({ problem: { code, retry } })
  t.match(judgeReply({ body: { n: 1 } }), { is: 'done', body: { n: 1 } })
  t.match(judgeReply(reply('card.unknown')), { is: 'refused' })
  t.match(judgeReply(reply('card.unknown', 'later')), { is: 'later' })
  t.match(judgeReply(reply('message.unknown-contract')), { is: 'later' }, 'an older release')
  t.match(judgeReply(reply('act.gap', 'later')), { is: 'new-stream' })
  t.match(judgeReply(reply('act.conflict')), { is: 'new-stream' })
  t.match(judgeReply({ problem: {} as never }), { is: 'later' }, 'nothing that can be read')
  t.same([1, 2, 7, 1_000].map(pauseMs), [1_000, 2_000, 60_000, 60_000])
  t.end()
})
