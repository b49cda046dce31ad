/** A handler that answers with a problem that its contract does not list is found out (D4). */
import { spawnSync } from 'node:child_process'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { mayAnswer } from '@azukari/protocol/common-problems'
import { type Contract, contract, Nothing, Type } from '@azukari/protocol/contract'
import { readState } from '@azukari/protocol/contracts/fleet'
import type { Log } from '@azukari/protocol/ports'
import { Problem, type ProblemCode } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { memoryDatabase } from '../adapters/database.ts'
import { systemDefer } from '../adapters/defer.ts'
import { createAuthority, issue } from '../pki/authority.ts'
import { OwnService, type OwnServiceOptions } from '../router/own-service.ts'
import { silent } from '../test-contracts.ts'
import { CallClient } from '../transport/client.ts'
import { answers, startCallServer } from '../transport/server.ts'
import { createServiceHost } from './host.ts'
import { act, call } from './service.ts'
import { logUnlisted, type Unlisted } from './unlisted.ts'

const definition = {
  service: 'placement',
  authority: 'device',
  title: 'test',
  serves: ['D4'],
  request: Type.Object({ code: Type.String() }),
  reply: Nothing,
  problems: ['card.unknown'],
} as const
const asked = contract({ ...definition, name: 'test.asked', kind: 'call' })
const done = contract({ ...definition, name: 'test.done', kind: 'act' })

async function answersOf(t: Test, unlisted: Unlisted) {
  const database = memoryDatabase()
  const fail = ({ code }: { code: string }): never => {
    throw new Problem(code as ProblemCode, 'made up')
  }
  const host = await createServiceHost({
    name: 'placement',
    database,
    clock: systemClock,
    random: systemRandom,
    log: silent,
    defer: systemDefer,
    migrations: [],
    handlers: [call(asked, fail), act(done, fail)],
    unlisted,
  })
  await host.start()
  t.teardown(async () => {
    await host.stop()
    await database.close()
  })
  let seq = 0
  return async (sent: Contract, code: string) => {
    const request = { contract: sent.id, id: systemRandom.bytes(16), atMs: 0, body: { code } }
    const place = { stream: new Uint8Array(16), seq: seq + 1 }
    if (sent === done) seq++
    const caller = { device: 'cam', region: 'JP-13', roles: [] }
    const { problem } = await host.handle({ ...request, caller, ...(sent === done && { act: place }) })
    return problem?.code
  }
}

t.test('D4: an answer that the contract does not list is told, and goes out as it is', async (t) => {
  const heard: string[] = []
  const answer = await answersOf(t, ({ id }, { code }) => heard.push(`${id} ${code}`))
  for (const sent of [asked, done]) {
    t.equal(await answer(sent, 'card.unknown'), 'card.unknown', 'listed')
    t.equal(await answer(sent, 'message.invalid'), 'message.invalid', 'what any contract may answer')
    t.equal(await answer(sent, 'level.mismatch'), 'level.mismatch', 'not listed')
  }
  t.same(heard, ['test.asked@1 level.mismatch', 'test.done@1 level.mismatch'])
})

t.test('D4: production logs each of them once, and counts them all', async (t) => {
  const lines: unknown[] = []
  const log: Log = { ...silent, error: (message, fields) => lines.push([message, fields]) }
  const counts: Record<string, number> = {}
  const answer = await answersOf(t, logUnlisted(log, counts))
  for (const code of ['level.mismatch', 'level.mismatch', 'card.lost']) await answer(asked, code)
  t.same(counts, { 'test.asked@1 level.mismatch': 2, 'test.asked@1 card.lost': 1 })
  t.same(lines, [
    ['a contract does not list its problem', { contract: 'test.asked@1', code: 'level.mismatch', detail: 'made up' }],
    ['a contract does not list its problem', { contract: 'test.asked@1', code: 'card.lost', detail: 'made up' }],
  ])
})

t.test('D4: in a test it ends the run, also where every failure becomes an answer', (t) => {
  const module = new URL('./unlisted.ts', import.meta.url)
  const script = `import { throwUnlisted } from ${JSON.stringify(module.href)}
    try { throwUnlisted({ id: 'test.asked@1' }, { code: 'level.mismatch' }) } catch { process.exit(0) }`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  t.not(status, 0)
  t.match(stderr, /test\.asked@1 does not list the problem level\.mismatch/)
  t.end()
})

t.test('D4: what an authority’s check may answer goes with the authority', (t) => {
  t.ok(mayAnswer({ authority: 'signed', problems: [] }, 'cose.expired'))
  t.notOk(mayAnswer({ authority: 'device', problems: [] }, 'cose.expired'))
  t.ok(mayAnswer({ authority: 'device', problems: [] }, 'quota.exceeded'))
  t.end()
})

t.test('D4: between processes, and in the gateway’s own service, it is told as well', async (t) => {
  const heard: string[] = []
  const unlisted: Unlisted = ({ id }, { code }) => heard.push(`${id} ${code}`)
  const validity = { nowMs: Date.now(), days: 1 }
  const authority = await createAuthority('tokyo', validity, systemRandom)
  const identity = async (id: string, role: 'service' | 'gateway') => {
    const { cert, key } = await issue(authority, { id, role }, validity, systemRandom)
    return { ca: authority.cert, cert, key }
  }
  const server = await startCallServer({
    tls: await identity('placement', 'service'),
    handlers: [
      answers(asked, ['gateway'], async ({ code }) => {
        throw new Problem(code as ProblemCode)
      }),
    ],
    clock: systemClock,
    log: silent,
    port: 0,
    unlisted,
  })
  const client = new CallClient({
    url: `https://127.0.0.1:${server.port}`,
    tls: await identity('gateway', 'gateway'),
    server: 'placement',
    clock: systemClock,
  })
  t.teardown(async () => {
    await client.close()
    await server.stop()
  })
  for (const code of ['card.unknown', 'level.mismatch'] as const)
    await t.rejects(client.call(asked, { code }), { code })
  const own = new OwnService({
    devices: { require: () => Promise.reject(new Problem('level.mismatch')) },
    log: silent,
    unlisted,
  } as unknown as OwnServiceOptions)
  const caller = { device: 'cam', region: 'JP-13', roles: [] }
  await own.handle({ caller, contract: readState.id, id: new Uint8Array(16), atMs: 0, body: {} })
  t.same(heard, ['test.asked@1 level.mismatch', `${readState.id} level.mismatch`])
})
