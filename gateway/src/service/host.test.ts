import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { decode } from '@azukari/protocol/codec'
import { Bytes, contract, Id, Type } from '@azukari/protocol/contract'
import { peek1, signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openSealed, sealSigned } from '@azukari/protocol/signed-sealed'
import t from 'tap'
import { memoryDatabase, openDatabase } from '../adapters/database.ts'
import { type Database, DatabaseProblem, type Transaction } from '../storage/database.ts'
import { hum, note, noted, silent } from '../test-contracts.ts'
import { createServiceHost, type ServiceHostOptions } from './host.ts'
import { claimSignedAct } from './inbox.ts'
import { act, call, type QueuedEvent, type ServiceReply, signedAct } from './service.ts'
import { throwUnlisted } from './unlisted.ts'

const ask = contract({
  name: 'test.ask',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'test',
  serves: ['D4'],
  request: Type.Object({ id: Id }),
  reply: Type.Object({ id: Id }),
})

/** Deterministic ports; `turn` runs what waits for its turn. */
function ports() {
  let counter = 0
  const waiting: (() => void)[] = []
  const clock: Clock = {
    now: () => 1_700_000_000_000,
    monotonicMs: () => 0,
    sleep: async () => {},
    timer: () => ({ cancel() {}, [Symbol.dispose]() {} }),
  }
  const random: Random = {
    bytes: (n) => new Uint8Array(n).fill(++counter & 255).fill(counter >> 8, 1),
    float: () => 0.5,
  }
  const turn = async () => {
    while (waiting.length > 0) {
      for (const work of waiting.splice(0)) work()
      await new Promise(setImmediate)
    }
  }
  return { clock, random, log: silent, defer: (work: () => void) => void waiting.push(work), turn }
}

const migrations = [{ number: 1, name: 'notes', up: 'CREATE TABLE notes (n INTEGER PRIMARY KEY, text TEXT NOT NULL)' }]

function handlers() {
  return [
    act(note, async ({ text }, { sql, emit, caller }) => {
      await sql.run('INSERT INTO notes (text) VALUES (?)', text)
      await emit(noted, caller.device, { text })
      if (text === 'pass') await emit(hum, caller.device, { text })
      if (text === 'refuse') throw new Problem('member.suspended')
      if (text === 'later') throw new Problem('placement.unavailable')
      if (text === 'bug') throw new TypeError('a bug')
      return { n: (await sql.get<{ n: number }>('SELECT count(*) AS n FROM notes'))!.n }
    }),
    call(ask, ({ id }) => ({ id })),
  ]
}

async function host(database: Database, more: Partial<ServiceHostOptions> = {}) {
  const world = ports()
  const service = await createServiceHost({
    unlisted: throwUnlisted,
    name: 'placement',
    database,
    handlers: handlers(),
    migrations,
    ...world,
    ...more,
  })
  await service.start()
  const send = (seq: number, text: string, options: { stream?: number; id?: number; device?: string } = {}) =>
    service.handle({
      caller: { device: options.device ?? 'camera', region: 'JP-13', roles: [] },
      contract: note.id,
      id: new Uint8Array(16).fill(options.id ?? seq),
      atMs: 1,
      act: { stream: new Uint8Array(16).fill(options.stream ?? 9), seq },
      body: { text },
    })
  const sendNow = async (...args: Parameters<typeof send>): Promise<ServiceReply> => {
    const reply = send(...args)
    await world.turn()
    return reply
  }
  const notes = async () =>
    (await database.all<{ text: string }>('SELECT text FROM notes ORDER BY n')).map((row) => row.text)
  return { service, send, sendNow, notes, turn: world.turn }
}

t.test(
  'D5: an act is done once: a duplicate gets the stored reply, another body under the same number is refused',
  async (t) => {
    const { sendNow, notes, service } = await host(memoryDatabase())
    t.same(await sendNow(1, 'a'), { body: { n: 1 } })
    t.same(await sendNow(2, 'b'), { body: { n: 2 } })
    t.same(await sendNow(1, 'a'), { body: { n: 1 } }, 'the reply of then, not of now')
    t.equal((await sendNow(2, 'x')).problem?.code, 'act.conflict')
    t.equal((await sendNow(2, 'b', { id: 77 })).problem?.code, 'act.conflict', 'another act id is another act')
    t.same(await notes(), ['a', 'b'])
    t.equal(service.counts.duplicates, 1)
  },
)

t.test('D5: a gap is answered with what is wanted, and streams and devices do not mix', async (t) => {
  const { sendNow, notes } = await host(memoryDatabase())
  t.match(await sendNow(3, 'c'), { want: 1, problem: { code: 'act.gap', retry: 'later' } })
  await sendNow(1, 'a')
  t.match(await sendNow(3, 'c'), { want: 2 })
  t.same(await sendNow(1, 'other', { device: 'printer', id: 50 }), { body: { n: 2 } })
  t.same(await sendNow(1, 'z', { stream: 8, id: 60 }), { body: { n: 3 } })
  t.same(await notes(), ['a', 'other', 'z'])
})

t.test('D5: a refusal advances and undoes the effect; what may pass later, and a bug, do neither', async (t) => {
  const { sendNow, notes, service } = await host(memoryDatabase())
  t.match(await sendNow(1, 'refuse'), { problem: { code: 'member.suspended' } })
  t.match(await sendNow(1, 'refuse'), { problem: { code: 'member.suspended' } })
  t.match(await sendNow(2, 'later'), { problem: { code: 'placement.unavailable', retry: 'later' } })
  t.match(await sendNow(2, 'bug', { id: 3 }), { problem: { code: 'internal', retry: 'later' } })
  t.notOk(JSON.stringify(await sendNow(2, 'bug', { id: 3 })).includes('a bug'), 'no inside of ours crosses the wire')
  t.match(await sendNow(2, 'ok', { id: 4 }), { body: { n: 1 } })
  t.same(await notes(), ['ok'])
  t.equal((await service.takeEvents(0, 10)).length, 1, 'events of what was undone are undone')
  t.match(await sendNow(3, 'x'.repeat(8_001)), { problem: { code: 'message.invalid' } }, 'checked here, and advances')
  t.match(await sendNow(4, 'on'), { body: { n: 2 } })
})

t.test('D5: what queued up is committed together, in order, with one commit', async (t) => {
  const { send, turn, service, notes } = await host(memoryDatabase(), { limits: { queuedActs: 6, actsPerCommit: 4 } })
  const replies = [1, 2, 3, 4, 5, 6].map((seq) => send(seq, `n${seq}`))
  t.match(await send(7, 'n7'), { problem: { code: 'service.busy', retry: 'later' } })
  await turn()
  t.same(
    await Promise.all(replies),
    [1, 2, 3, 4, 5, 6].map((n) => ({ body: { n } })),
  )
  t.equal(service.counts.commits, 2, 'four and two')
  t.equal((await notes()).length, 6)
})

t.test('D4: one device has a bounded number of acts and calls, and leaves the others theirs', async (t) => {
  const limits = { queuedActs: 6, deviceQueuedActs: 2, calls: 6, deviceCalls: 2 }
  const { send, turn, service } = await host(memoryDatabase(), { limits })
  const replies = [send(1, 'a'), send(2, 'b')]
  t.match(await send(3, 'c'), { problem: { code: 'quota.exceeded', retry: 'later' } })
  replies.push(send(1, 'd', { device: 'printer', id: 60 }))
  await turn()
  t.same(await Promise.all(replies), [{ body: { n: 1 } }, { body: { n: 2 } }, { body: { n: 3 } }])
  replies.push(send(3, 'c'))
  await turn()
  t.same(await replies.at(-1), { body: { n: 4 } }, 'places are given back')
  const ports = { contract: ask.id, id: new Uint8Array(16), atMs: 1, body: { id: new Uint8Array(16) } }
  const call = (device: string) => service.handle({ ...ports, caller: { device, region: 'JP-13', roles: [] } })
  const answers = await Promise.all([call('a'), call('a'), call('a'), call('b')])
  t.match(answers, [{ body: {} }, { body: {} }, { problem: { code: 'quota.exceeded' } }, { body: {} }])
  t.match(await call('a'), { body: {} })
})

const sealDomain = new TextEncoder().encode('azukari/test/1')
const sealed = contract({
  name: 'test.sealed',
  kind: 'act',
  service: 'placement',
  authority: 'signed',
  signed: { in: 'sealed', body: Type.Object({ text: Type.String() }), domain: sealDomain, sealed: true },
  title: 'test',
  serves: ['D5'],
  request: Type.Object({ sealed: Bytes(64, 2_000) }),
  reply: Type.Object({ n: Type.Integer() }),
})

t.test('D5, B6: a signature that is checked ahead keeps its act in its place: nothing overtakes it', async (t) => {
  const [key, agreement] = [generateKey('ed25519', systemRandom), generateKey('x25519', systemRandom)]
  const begun: { text: string; done: () => void }[] = []
  const textIn = (message: Uint8Array) =>
    (decode(peek1(openSealed(message, agreement, sealDomain)).payload) as { text: string }).text
  const { turn, notes, service } = await host(memoryDatabase(), {
    handlers: [
      signedAct(sealed, async (_request, { sql, signed }) => {
        await sql.run('INSERT INTO notes (text) VALUES (?)', signed.body.text)
        return { n: (await sql.get<{ n: number }>('SELECT count(*) AS n FROM notes'))!.n }
      }),
    ],
    signers: {
      agreement,
      find: async () => ({ key: coseKey(publicOf(key)) }),
      checks: {
        check: (message) => {
          const text = textIn(message)
          if (text === 'full') throw new Problem('service.busy', 'test')
          if (!text.startsWith('slow')) return Promise.resolve(undefined)
          return new Promise((done) => begun.push({ text, done: () => done(undefined) }))
        },
        learn() {},
        close: async () => {},
      },
    },
  })
  const send = (seq: number, text: string) =>
    service.handle({
      caller: { device: 'camera', region: 'JP-13', roles: [] },
      contract: sealed.id,
      id: new Uint8Array(16).fill(seq),
      atMs: 1,
      act: { stream: new Uint8Array(16).fill(9), seq },
      body: { sealed: sealSigned({ text }, signerOf(key), sealDomain, publicOf(agreement), systemRandom) },
    })
  const replies = [send(1, 'first'), send(2, 'slow 2'), send(3, 'slow 3'), send(4, 'last')]
  t.match(await send(5, 'full'), { problem: { code: 'service.busy', retry: 'later' } })
  await turn()
  t.same(await replies[0], { body: { n: 1 } }, 'what waits for nothing is done')
  t.same(await notes(), ['first'])
  begun[1]!.done()
  await null
  await turn()
  t.same(await notes(), ['first'], 'the third waits for the second, and the fourth for both')
  begun[0]!.done()
  await null
  await turn()
  t.same(await Promise.all(replies.slice(1)), [{ body: { n: 2 } }, { body: { n: 3 } }, { body: { n: 4 } }])
  t.equal(service.counts.commits, 2)
  const stopping = send(5, 'slow 5')
  const stopped = service.stop()
  begun[2]!.done()
  await null
  await turn()
  t.same(await stopping, { body: { n: 5 } }, 'what waits when the service stops is still done')
  await stopped
})

t.test('D5: a commit that fails undoes the whole group and every act comes again', async (t) => {
  const database = memoryDatabase()
  let broken = true
  const failing: Database = Object.assign(Object.create(database) as Database, {
    run: database.run.bind(database),
    get: database.get.bind(database),
    all: database.all.bind(database),
    script: database.script.bind(database),
    transaction: <T>(work: Parameters<Database['transaction']>[0]) =>
      database.transaction(async (sql) => {
        const result = await work(sql)
        if (broken && (await sql.get('SELECT 1 FROM inbox'))) throw new DatabaseProblem('storage.full', 'test')
        return result as T
      }),
  })
  const { send, turn, notes } = await host(failing)
  const replies = [send(1, 'a'), send(2, 'b')]
  await turn()
  for (const reply of await Promise.all(replies)) t.match(reply, { problem: { code: 'storage.full', retry: 'later' } })
  t.same(await notes(), [])
  broken = false
  const again = [send(1, 'a'), send(2, 'b')]
  await turn()
  t.same(await Promise.all(again), [{ body: { n: 1 } }, { body: { n: 2 } }])
})

t.test('D5: a full disk in a handler is no refusal', async (t) => {
  const { sendNow } = await host(memoryDatabase(), {
    handlers: [
      act(note, () => {
        throw new DatabaseProblem('storage.full', 'test')
      }),
    ],
  })
  t.match(await sendNow(1, 'a'), { problem: { code: 'storage.full', retry: 'later' } })
})

t.test('D5, B1: steps of the service itself share a commit; one that fails undoes itself alone', async (t) => {
  const database = memoryDatabase()
  let commits = 0
  const counting: Database = Object.assign(Object.create(database) as Database, {
    run: database.run.bind(database),
    get: database.get.bind(database),
    all: database.all.bind(database),
    script: database.script.bind(database),
    transaction: async <T>(work: Parameters<Database['transaction']>[0]) => {
      commits++
      return (await database.transaction(work)) as T
    },
  })
  const { service, notes, turn } = await host(counting)
  const heard: string[] = []
  service.onEvents((events) => heard.push(...events.map(({ body }) => (body as { text: string }).text)))
  const before = commits
  const step = (text: string) =>
    service.store.commit(async ({ sql, emit, afterCommit }) => {
      await sql.run('INSERT INTO notes (text) VALUES (?)', text)
      await emit(hum, 'camera', { text })
      afterCommit(() => heard.push(`after ${text}`))
      if (text === 'bad') throw new Problem('storage.full')
      return text.toUpperCase()
    })
  const steps = Promise.allSettled(['a', 'bad', 'c'].map(step))
  t.same([heard, await notes()], [[], []], 'nothing yet')
  await turn()
  const outcomes = await steps
  t.match(outcomes, [{ value: 'A' }, { reason: { code: 'storage.full' } }, { value: 'C' }])
  t.same(await notes(), ['a', 'c'])
  t.same(heard, ['a', 'after a', 'c', 'after c'])
  t.equal(commits - before, 1)
  await service.stop()
  await t.rejects(step('late'), { code: 'service.unavailable' })
})

t.test('D5: kept events stay until the device has them; passing ones go to listeners after the commit', async (t) => {
  const { service, sendNow, turn } = await host(memoryDatabase())
  const heard: (readonly QueuedEvent[])[] = []
  const stop = service.onEvents((events) => heard.push(events))
  await sendNow(1, 'pass')
  await sendNow(1, 'pass')
  t.equal(heard.length, 1, 'a duplicate tells nothing again')
  t.match(heard[0], [{ contract: 'test.hum@1', body: { text: 'pass' }, keep: false }])
  const [event] = await service.takeEvents(0, 10)
  t.match(event, { device: 'camera', contract: 'test.noted@1', body: { text: 'pass' }, keep: true })
  const done = async (device: string) => {
    const committed = service.eventsDone(device, [event!.id])
    await turn()
    await committed
  }
  await done('printer')
  t.equal((await service.takeEvents(0, 10)).length, 1, 'another device cannot take it away')
  await done('camera')
  t.same(await service.takeEvents(0, 10), [])
  stop()
})

t.test('D5: replies are kept for a bounded number of acts and streams; a restored image is told apart', async (t) => {
  const database = memoryDatabase()
  const { send, turn, sendNow } = await host(database)
  const replies = Array.from({ length: 700 }, (_, i) => send(i + 1, `n${i}`, { id: (i % 250) + 1 }))
  await turn()
  await turn()
  await Promise.all(replies)
  const { rows } = (await database.get<{ rows: number }>('SELECT count(*) AS rows FROM inbox'))!
  t.ok(rows >= 256 && rows <= 256 + 64, `${rows} rows`)
  t.match(
    await sendNow(3, 'n2', { id: 3 }),
    { problem: { code: 'act.conflict' } },
    'forgotten, so the device takes a new stream',
  )
  t.same(await sendNow(700, 'n699', { id: (699 % 250) + 1 }), { body: { n: 700 } })
  // The new stream brings an act that was done under the old one: it is not done again.
  t.same(await sendNow(1, 'n699', { id: (699 % 250) + 1, stream: 1 }), { body: { n: 700 } })
  t.same(await sendNow(2, 'fresh', { id: 251, stream: 1 }), { body: { n: 701 } })
  for (let stream = 20; stream < 40; stream++) await sendNow(1, 'x', { stream, id: stream + 100 })
  t.equal((await database.all('SELECT DISTINCT stream FROM inbox')).length, 8)
})

t.test('D5: signed acts are unique across devices and streams until they expire', async (t) => {
  const database = memoryDatabase()
  await host(database)
  const key = new Uint8Array(32).fill(1)
  const id = new Uint8Array(16).fill(2)
  await claimSignedAct(database, key, id, new Uint8Array([1]), 5)
  await t.rejects(() => claimSignedAct(database, key, id, new Uint8Array([1]), 5), { code: 'act.replayed' })
  await t.rejects(() => claimSignedAct(database, key, id, new Uint8Array([2]), 5), { code: 'act.conflict' })
  await host(database)
  t.same(await database.all('SELECT * FROM signed_acts'), [], 'forgotten long after they expired')
})

t.test('D5: a service that runs for long forgets signed acts that have expired, also after one failure', async (t) => {
  const database = memoryDatabase()
  const waiting: (() => void)[] = []
  let nowMs = 1_700_000_000_000
  const timer: Clock['timer'] = (_ms, work) => {
    waiting.push(work)
    return { cancel() {}, [Symbol.dispose]() {} }
  }
  await host(database, { clock: { ...ports().clock, now: () => nowMs, timer } })
  await claimSignedAct(database, new Uint8Array(32), new Uint8Array(16), new Uint8Array([1]), nowMs + 1)
  const rows = async () => (await database.all('SELECT * FROM signed_acts')).length
  waiting.shift()!()
  await new Promise(setImmediate)
  t.equal(await rows(), 1, 'a day longer than they are valid')
  nowMs += 2 * 86_400_000
  await database.run('ALTER TABLE signed_acts RENAME TO away')
  waiting.shift()!()
  await new Promise(setImmediate)
  await database.run('ALTER TABLE away RENAME TO signed_acts')
  waiting.shift()!()
  await new Promise(setImmediate)
  t.equal(await rows(), 0)
})

t.test('D4: calls are checked and answered; unknown contracts and a stopped service have their problems', async (t) => {
  const { service, send, turn } = await host(memoryDatabase())
  const request = {
    caller: { device: 'd', region: 'JP-13', roles: [] },
    contract: ask.id,
    id: new Uint8Array(16),
    atMs: 1,
    body: { id: new Uint8Array(16) },
  }
  t.same(await service.handle(request), { body: { id: new Uint8Array(16) } })
  t.match(await service.handle({ ...request, body: { id: new Uint8Array(3) } }), {
    problem: { code: 'message.invalid' },
  })
  t.match(await service.handle({ ...request, contract: 'test.nothing@1' }), {
    problem: { code: 'message.unknown-contract' },
  })
  t.match(
    await service.handle({ ...request, contract: note.id }),
    { problem: { code: 'message.invalid' } },
    'an act without its place',
  )
  const last = send(1, 'before the end')
  const stopped = service.stop()
  t.match(await send(2, 'too late'), { problem: { code: 'service.unavailable' } })
  await turn()
  t.same(await last, { body: { n: 1 } }, 'what was taken in is finished')
  await stopped
})

t.test('D5: databases sync every commit, migrate once with a copy beside, and refuse what is newer', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'azukari-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'placement.db')
  const database = openDatabase(path)
  t.equal((await database.get<{ synchronous: number }>('PRAGMA synchronous'))!.synchronous, 2, 'FULL')
  t.equal((await database.get<{ journal_mode: string }>('PRAGMA journal_mode'))!.journal_mode, 'wal')
  const first = await host(database)
  await first.sendNow(1, 'a')
  await database.close()

  const second = openDatabase(path)
  const restarted = await host(second, {
    migrations: [...migrations, { number: 2, name: 'more', up: 'ALTER TABLE notes ADD COLUMN more TEXT' }],
  })
  t.same(
    readdirSync(directory).filter((name) => name.includes('before')),
    ['placement.db.before-placement-2'],
  )
  t.same(await restarted.sendNow(1, 'a'), { body: { n: 1 } }, 'the inbox outlives a restart')
  await t.rejects(() => second.transaction(() => second.transaction(() => 1)), 'no transaction inside another')
  await t.rejects(
    second.transaction(() => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))),
    /awaited something else/,
  )
  let later: Transaction | undefined
  await second.transaction((sql) => {
    later = sql
  })
  await t.rejects(later!.run('INSERT INTO notes (n) VALUES (1)'), /has ended/)
  await t.rejects(second.transaction((sql) => sql.savepoint(() => sql.run('INSERT INTO notes (n) VALUES (1)'))))
  t.same(await restarted.notes(), ['a'])
  await second.close()

  const third = openDatabase(path)
  await t.rejects(
    () =>
      createServiceHost({
        name: 'placement',
        database: third,
        handlers: [],
        migrations,
        ...ports(),
        unlisted: throwUnlisted,
      }),
    {
      code: 'database.newer',
    },
  )
  const copy = openDatabase(join(directory, 'placement.db.before-placement-2'))
  t.same(await copy.all('SELECT text FROM notes'), [{ text: 'a' }])
  await copy.close()
  await third.close()
  t.throws(() => openDatabase(join(directory, 'absent', 'x.db')), { code: 'storage.failed' })
})

t.test('D5: a migration that fails leaves nothing behind', async (t) => {
  const database = memoryDatabase()
  const half = [{ number: 1, name: 'half', up: 'CREATE TABLE one (a); CREATE TABLE one (a)' }]
  await t.rejects(() =>
    createServiceHost({
      name: 'placement',
      database,
      handlers: [],
      migrations: half,
      ...ports(),
      unlisted: throwUnlisted,
    }),
  )
  t.equal(await database.get("SELECT 1 FROM sqlite_schema WHERE name = 'one'"), undefined)
  await host(database)
})
