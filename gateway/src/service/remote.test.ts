import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import t from 'tap'
import { memoryDatabase } from '../adapters/database.ts'
import { systemDefer } from '../adapters/defer.ts'
import { createAuthority, issue } from '../pki/authority.ts'
import { hum, note, noted, silent } from '../test-contracts.ts'
import { bufferHandlers, remoteBuffer } from '../transfer/remote-buffer.ts'
import { CallClient } from '../transport/client.ts'
import { startCallServer } from '../transport/server.ts'
import { createServiceHost } from './host.ts'
import { remoteService } from './remote.ts'
import { serviceHandlers } from './serve.ts'
import { act, type QueuedEvent } from './service.ts'
import { throwUnlisted } from './unlisted.ts'

const validity = { nowMs: Date.now(), days: 1 }
const authority = await createAuthority('tokyo', validity, systemRandom)
const identity = async (id: string, role: 'gateway' | 'service') => {
  const { cert, key } = await issue(authority, { id, role }, validity, systemRandom)
  return { ca: authority.cert, cert, key }
}
const gatewayTls = await identity('gateway', 'gateway')
const serviceTls = await identity('placement', 'service')

t.test('D4: a service in a process of its own does the same acts and tells the same events', async (t) => {
  const host = await createServiceHost({
    unlisted: throwUnlisted,
    name: 'placement',
    database: memoryDatabase(),
    clock: systemClock,
    random: systemRandom,
    log: silent,
    defer: systemDefer,
    migrations: [],
    handlers: [
      act(note, async ({ text }, { emit, caller }) => {
        await emit(text === 'hum' ? hum : noted, caller.device, { text })
        return { n: text.length }
      }),
    ],
  })
  await host.start()
  const server = await startCallServer({
    unlisted: throwUnlisted,
    tls: serviceTls,
    handlers: serviceHandlers(host, systemClock),
    clock: systemClock,
    log: silent,
    port: 0,
  })
  const client = new CallClient({
    url: `https://127.0.0.1:${server.port}`,
    tls: gatewayTls,
    server: 'placement',
    clock: systemClock,
  })
  const remote = remoteService({ name: 'placement', client, clock: systemClock, log: silent })
  await remote.start()
  const heard: { passing: readonly QueuedEvent[]; keptFor: readonly string[] }[] = []
  let news = Promise.withResolvers<void>()
  remote.onEvents((passing, keptFor) => {
    heard.push({ passing, keptFor })
    news.resolve()
  })
  const send = (seq: number, text: string) =>
    remote.handle({
      caller: { device: 'camera', region: 'JP-13', roles: ['camera'] },
      contract: note.id,
      id: new Uint8Array(16).fill(seq),
      atMs: 1,
      act: { stream: new Uint8Array(16), seq },
      trace: new Uint8Array(24),
      body: { text },
    })
  t.same(await send(1, 'keep'), { body: { n: 4 } })
  await news.promise
  t.match(heard, [{ passing: [], keptFor: ['camera'] }])
  t.same(await send(1, 'keep'), { body: { n: 4 } })
  t.match(await send(3, 'gap'), { want: 2, problem: { code: 'act.gap' } })
  news = Promise.withResolvers()
  t.same(await send(2, 'hum'), { body: { n: 3 } })
  await news.promise
  t.match(heard[1], { passing: [{ body: { text: 'hum' }, keep: false }] })
  const [event] = await remote.takeEvents(0, 10, 'camera')
  t.match(event, { contract: noted.id, keep: true })
  t.same(await remote.takeEvents(0, 10, 'printer'), [])
  await remote.eventsDone('camera', [event!.id])
  t.same(await remote.takeEvents(0, 10), [])
  await server.stop(0)
  t.match(
    await send(3, 'nobody hears'),
    { problem: { code: 'service.unavailable', retry: 'later' } },
    'an act waits for it',
  )
  await t.rejects(remote.takeEvents(0, 10, 'camera'), { code: 'service.unavailable' }, 'so does a question for events')
  await t.rejects(remote.eventsDone('camera', [event!.id]), { code: 'service.unavailable' }, 'and an acknowledgement')
  const transfer = new Uint8Array(16)
  const ended = remote.downloads?.ended('camera', transfer, undefined)
  await t.rejects(ended ?? Promise.resolve(), { code: 'service.unavailable' }, 'and the end of a download')
  const read = remote.downloads?.read('camera', transfer, 0, 1).then(() => undefined)
  await t.rejects(read ?? Promise.resolve(), { code: 'service.unavailable' }, 'and its blocks')
  await remote.stop()
  await host.stop()
})

t.test('S4: a service reads its own transfers from afar', async (t) => {
  const blocks = Array.from({ length: 20 }, (_, i) => new Uint8Array(60_000).fill(i))
  const released: string[] = []
  const server = await startCallServer({
    unlisted: throwUnlisted,
    tls: gatewayTls,
    clock: systemClock,
    log: silent,
    port: 0,
    handlers: bufferHandlers(['placement'], (service) => ({
      describe: async (transfer) =>
        service === 'placement' && transfer[0] === 1
          ? {
              device: 'camera',
              sizeBytes: 1_200_000,
              blockBytes: 60_000,
              blocks: 20,
              root: new Uint8Array(32),
              complete: true,
            }
          : undefined,
      read: async (_transfer, from, count) => blocks.slice(from, from + count),
      release: async () => void released.push(service),
    })),
  })
  const client = new CallClient({
    url: `https://127.0.0.1:${server.port}`,
    tls: serviceTls,
    server: 'gateway',
    clock: systemClock,
  })
  const buffer = remoteBuffer(client)
  t.match(await buffer.describe(new Uint8Array(16).fill(1)), { device: 'camera', complete: true })
  t.equal(await buffer.describe(new Uint8Array(16)), undefined)
  const read = await buffer.read(new Uint8Array(16).fill(1), 3, 100)
  t.equal(read.length, 17)
  t.ok(Buffer.concat(read).equals(Buffer.concat(blocks.slice(3))))
  await buffer.release(new Uint8Array(16))
  t.same(released, ['placement'], 'who calls is who the certificate says')
  await client.close()
  await server.stop(0)
})
