/** How a download's end reaches the site (C7): at once, or when the line is back. */
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { Offer } from '@azukari/protocol/contracts/download'
import type { Clock } from '@azukari/protocol/ports'
import { Problem, type ProblemCode } from '@azukari/protocol/problem'
import t from 'tap'
import type { LinkState } from '../link.ts'
import { type EndPorts, tellEnd } from './told-end.ts'

const offer = { transfer: new Uint8Array(16).fill(7), from: 'content', expiresMs: 1_000 } as Offer

/** A line that fails as it is told to, and time that passes only when it is said. */
function line() {
  const heard: unknown[] = []
  const failures: Problem[] = []
  const listeners = new Set<(state: LinkState) => void>()
  let sleeping = Promise.withResolvers<void>()
  let wake: (() => void) | undefined
  let nowMs = 0
  const clock: Clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    timer: () => ({ cancel: () => undefined, [Symbol.dispose]: () => undefined }),
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        wake = resolve
        signal?.addEventListener('abort', () => resolve(), { once: true })
        sleeping.resolve()
      }),
  }
  const link: EndPorts['link'] = {
    call: async <C extends Contract>(_contract: C, body: RequestOf<C>) => {
      const failure = failures.shift()
      if (failure) throw failure
      heard.push(body)
      return {} as ReplyOf<C>
    },
    onState: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  return {
    ports: { link, clock },
    heard,
    listeners,
    fail: (...codes: ProblemCode[]) => failures.push(...codes.map((code) => new Problem(code))),
    state: (state: LinkState) => {
      for (const listener of [...listeners]) listener(state)
    },
    /** Resolves when the next try is waited for. */
    asleep: async () => {
      await sleeping.promise
      sleeping = Promise.withResolvers()
    },
    wake: () => wake?.(),
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

t.test('C7: what could not be said without a line is said when it is back, once', async (t) => {
  const { ports, heard, listeners, fail, state, asleep } = line()
  fail('link.offline', 'link.timeout')
  await t.rejects(tellEnd(ports, offer, 'card.absent'), { code: 'link.offline' })
  await asleep()
  t.same(heard, [])
  state('up')
  await asleep()
  state('up')
  await settled()
  t.same(heard, [{ transfer: offer.transfer, from: 'content', problem: 'card.absent' }])
  state('up')
  await settled()
  t.equal(heard.length, 1)
  t.equal(listeners.size, 0, 'nobody listens any more')
})

t.test(
  'C7: it is tried again while the line is up, and given up when the offer is over or the board stops',
  async (t) => {
    const busy = line()
    busy.fail('service.busy')
    await t.rejects(tellEnd(busy.ports, offer))
    await busy.asleep()
    busy.wake()
    await settled()
    t.same(busy.heard, [{ transfer: offer.transfer, from: 'content' }])

    const late = line()
    late.fail('link.offline', 'link.offline')
    await t.rejects(tellEnd(late.ports, offer))
    await late.asleep()
    late.pass(1_000)
    late.wake()
    await settled()
    t.same([late.heard.length, late.listeners.size], [0, 0])

    const stopping = line()
    stopping.fail('link.offline')
    await t.rejects(tellEnd(stopping.ports, offer))
    await stopping.asleep()
    stopping.state('off')
    await settled()
    t.same([stopping.heard.length, stopping.listeners.size], [0, 0])
  },
)

t.test('C7: what the site does not know is not said again', async (t) => {
  const { ports, heard, listeners, fail } = line()
  fail('transfer.unknown')
  await t.rejects(tellEnd(ports, offer), { code: 'transfer.unknown' })
  await settled()
  t.same([heard.length, listeners.size], [0, 0])
})
