/** What strangers, and one peer, could take from the others at a server of contracts, and at a TLS listener (D4, D6). */

import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { describeBuffer } from '@azukari/protocol/contracts/internal'
import t from 'tap'
import { listenOn } from '../adapters/listen.ts'
import { Budgets } from '../budgets/budgets.ts'
import { createAuthority, issue } from '../pki/authority.ts'
import { throwUnlisted } from '../service/unlisted.ts'
import { silent } from '../test-contracts.ts'
import { CallClient } from './client.ts'
import { answers, type CallServerLimits, startCallServer } from './server.ts'

const validity = { nowMs: Date.now(), days: 1 }
const authority = await createAuthority('tokyo', validity, systemRandom)
const identity = async (id: string) => {
  const { cert, key } = await issue(authority, { id, role: 'service' }, validity, systemRandom)
  return { ca: authority.cert, cert, key }
}
const own = await identity('gateway')
const [greedy, modest] = [await identity('greedy'), await identity('modest')]
const question = { transfer: new Uint8Array(16) }
const found = { device: 'd', sizeBytes: 1, blockBytes: 1_024, blocks: 1, root: new Uint8Array(32), complete: true }

interface Teardown {
  teardown(work: () => unknown): void
}

/** A server whose answers wait until they are let go. */
async function server(t: Teardown, limits: Partial<CallServerLimits>) {
  const budgets = new Budgets()
  const waiting: (() => void)[] = []
  let came = Promise.withResolvers<void>()
  const running = await startCallServer({
    unlisted: throwUnlisted,
    tls: own,
    clock: systemClock,
    log: silent,
    port: 0,
    limits,
    budgets,
    handlers: [
      answers(describeBuffer, ['greedy', 'modest', 'other'], async (_request, { peer }) => {
        if (peer.id === 'greedy')
          await new Promise<void>((resolve) => {
            waiting.push(resolve)
            came.resolve()
          })
        return { reply: found }
      }),
    ],
  })
  t.teardown(() => running.stop(0))
  const client = (tls: typeof own) => {
    const made = new CallClient({
      url: `https://127.0.0.1:${running.port}`,
      tls,
      server: 'gateway',
      clock: systemClock,
    })
    t.teardown(() => made.close())
    return made
  }
  /** Resolves when so many calls wait in the handler. */
  const wait = async (count: number) => {
    while (waiting.length < count) {
      came = Promise.withResolvers()
      if (waiting.length < count) await came.promise
    }
  }
  const letGo = () => {
    for (const go of waiting.splice(0)) go()
  }
  const held = (budget: string, kind: string) =>
    budgets.report().find((line) => line.budget === budget && line.kind === kind)!.held
  return { running, client, wait, letGo, held }
}

async function silentSockets(t: Teardown, port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let n = 0; n < count; n++) {
    const socket = connectTcp(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.resume()
    sockets.push(socket)
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  }
  return sockets
}

t.test('D4: connections without a certificate do not shut services out', async (t) => {
  const limits = {
    connectionsMax: 4,
    peerConnectionsMax: 2,
    strangersMax: 4,
    strangersPerAddress: 4,
    handshakeMs: 60_000,
  }
  const { running, client, held } = await server(t, limits)
  await silentSockets(t, running.port, 20)
  t.match(await client(modest).call(describeBuffer, question), { device: 'd' })
  await silentSockets(t, running.port, 20)
  t.match(await client(await identity('other')).call(describeBuffer, question), { device: 'd' })
  t.equal(held('call_connections', 'service'), 2)
  t.ok(held('call_connections', 'stranger') <= 4)
})

t.test('D4: one peer has a bounded number of calls under way, and the others are answered', async (t) => {
  const { client, wait, letGo, held } = await server(t, { peerCallsMax: 3, callsMax: 5 })
  const one = client(greedy)
  const calls = [1, 2, 3].map(() => one.call(describeBuffer, question))
  await wait(3)
  await t.rejects(one.call(describeBuffer, question), { code: 'quota.exceeded', retry: 'later' })
  t.match(await client(modest).call(describeBuffer, question), { device: 'd' })
  letGo()
  t.match(await Promise.all(calls), [found, found, found])
  t.equal(held('calls', 'service'), 0, 'given back')
})

t.test('D4: one peer has a bounded number of connections', async (t) => {
  const { client, wait, letGo, held } = await server(t, { peerConnectionsMax: 2 })
  const calls = [client(greedy), client(greedy)].map((one) => one.call(describeBuffer, question))
  await wait(2)
  await t.rejects(client(greedy).call(describeBuffer, question))
  t.match(await client(modest).call(describeBuffer, question), { device: 'd' })
  letGo()
  await Promise.all(calls)
  t.equal(held('call_connections', 'service'), 3)
})

t.test('D6: TLS handshakes that do not end have places of their own, and the oldest goes', async (t) => {
  const budgets = new Budgets()
  const { cert, key } = own
  const listener = listenOn({
    host: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    handshakes: { all: 4, each: 4 },
    budgets,
  })
  const accepted = Promise.withResolvers<void>()
  await listener.start((stream) => {
    stream.on('error', () => undefined)
    t.teardown(() => stream.destroy())
    accepted.resolve()
  })
  t.teardown(() => listener.stop())
  const sockets = await silentSockets(t, listener.port, 12)
  await Promise.all(
    sockets
      .slice(0, 8)
      .map((socket) => socket.closed || new Promise<void>((resolve) => socket.once('close', () => resolve()))),
  )
  const secure = connectTls({
    port: listener.port,
    host: '127.0.0.1',
    ca: authority.cert,
    servername: 'gateway.azukari.internal',
  })
  secure.on('error', () => undefined)
  t.teardown(() => secure.destroy())
  await accepted.promise
  t.match(budgets.report(), [{ budget: 'handshakes', kind: 'stranger', held: 3, refused: 9 }])
})
