import { contract, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { SpreadClient, type StreamCaller } from './spread-client.ts'

const ask = contract({
  name: 'toy.ask',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'which process answers',
  serves: [],
  request: Type.Object({}),
  reply: Type.Object({ at: Type.Integer() }),
})

/** Processes that answer with their place, or with a problem. */
function processes(count: number) {
  const problems: (Problem | undefined)[] = Array.from({ length: count }, () => undefined)
  const asked: number[] = []
  const clients = problems.map(
    (_, at) =>
      ({
        call: async () => {
          asked.push(at)
          if (problems[at]) throw problems[at]
          return { at }
        },
        close: async () => undefined,
      }) as unknown as StreamCaller,
  )
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs }
  const spread = new SpreadClient(clients, clock)
  return {
    problems,
    asked,
    clock,
    spread,
    at: async (key?: string) => (await spread.call(ask, {}, key ? { key } : {})).at,
  }
}

t.test('D4 D5: the same device always asks the same process, and devices are spread over all', async (t) => {
  const { at } = processes(3)
  const counts = [0, 0, 0]
  for (let n = 0; n < 300; n++) {
    const first = await at(`device-${n}`)
    counts[first]!++
    t.equal(await at(`device-${n}`), first)
  }
  t.ok(
    counts.every((count) => count > 50),
    counts.join(' '),
  )
  t.equal(await at(), 0, 'what is nobody’s goes to the first')
})

t.test('D4 P9: who does not answer, or does not lead, is left for a while', async (t) => {
  const { problems, asked, clock, at } = processes(2)
  for (const code of ['server.unreachable', 'centre.not-leader'] as const) {
    problems[0] = new Problem(code)
    t.equal(await at(), 1)
    asked.length = 0
    t.equal(await at(), 1)
    t.same(asked, [1], 'not asked again at once')
    clock.nowMs += 2_001
    asked.length = 0
    t.equal(await at(), 1)
    t.same(asked, [0, 1], 'but later')
    problems[0] = undefined
    clock.nowMs += 2_001
    t.equal(await at(), 0)
  }
})

t.test('D4: a refusal is an answer; when nobody answers each was asked once', async (t) => {
  const { problems, asked, at } = processes(2)
  problems[0] = new Problem('message.invalid')
  await t.rejects(at(), { code: 'message.invalid' })
  t.same(asked, [0])
  asked.length = 0
  problems.fill(new Problem('server.unreachable'))
  await t.rejects(at(), { code: 'server.unreachable' })
  t.same(asked, [0, 1])
})
