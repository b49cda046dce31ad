import { offerSave } from '@azukari/protocol/contracts/save'
import { conditionsWritten } from '@azukari/protocol/contracts/session'
import type { ActKey, Reply } from '@azukari/protocol/envelope'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { openDeviceDatabase } from './adapters/database.ts'
import type { DeviceDatabase } from './database.ts'
import { type ActSender, judge, Outbox } from './outbox.ts'

const log: Log = {
  debug() {},
  info() {},
  warn() {},
  error: (message, fields) => t.comment(message, fields),
  child: () => log,
}
const clock: Clock = {
  now: () => 1_700_000_000_000,
  monotonicMs: () => 0,
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
  timer: () => ({ cancel() {}, [Symbol.dispose]() {} }),
}
let drawn = 0
const random: Random = { bytes: (n) => new Uint8Array(n).map((_, i) => (++drawn + i) & 255), float: () => 0.5 }
const id = (n: number) => new Uint8Array(16).fill(n)
const body = (n: number) => ({ session: id(n), written: [{ object: id(n), version: 1 }], counter: n })

/** A service with the real rules of an inbox: in order, once, stored replies, want and conflict. */
class Inbox implements ActSender {
  up = true
  readonly done: number[] = []
  readonly streams = new Map<string, { id: string; reply: Reply }[]>()
  /** Decides what happens on the line. */
  line: (n: number) => 'ok' | 'lost' | 'reply-lost' = () => 'ok'
  refuse: (n: number) => Problem | undefined = () => undefined
  #sent = 0

  async sendAct(_contract: string, actId: Uint8Array, key: ActKey, _at: number, sent: unknown): Promise<Reply> {
    await new Promise((resolve) => setImmediate(resolve))
    const fate = this.line(++this.#sent)
    if (fate === 'lost') throw new Problem('link.timeout')
    const reply = this.#take(actId, key, (sent as { counter: number }).counter)
    if (fate === 'reply-lost') throw new Problem('link.timeout')
    return reply
  }

  #take(actId: Uint8Array, key: ActKey, n: number): Reply {
    const name = Buffer.from(key.stream).toString('hex')
    const stream = this.streams.get(name) ?? []
    this.streams.set(name, stream)
    const known = stream[key.seq - 1]
    const mark = Buffer.from(actId).toString('hex')
    if (known) return known.id === mark ? known.reply : { id: actId, problem: new Problem('act.conflict').toWire() }
    if (key.seq !== stream.length + 1)
      return { id: actId, problem: new Problem('act.gap').toWire(), want: stream.length + 1 }
    const problem = this.refuse(n)
    if (problem?.retry === 'later') return { id: actId, problem: problem.toWire() }
    if (!problem) this.done.push(n)
    const reply: Reply = problem ? { id: actId, problem: problem.toWire() } : { id: actId, body: {} }
    stream.push({ id: mark, reply })
    return reply
  }
}

async function drained(outbox: Outbox): Promise<void> {
  for (let i = 0; i < 5000; i++) {
    if ((await outbox.waiting()).rows === 0) return
    outbox.wake()
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('the outbox did not drain')
}

async function open(database: DeviceDatabase, sender: ActSender, options: { maxBytes?: number } = {}): Promise<Outbox> {
  return Outbox.open({ database, clock, random, log, sender, ...options })
}

t.test('D5: acts leave in order and once, whatever the line loses', async (t) => {
  for (const oneIn of [2, 3, 5, 11]) {
    const database = await openDeviceDatabase(':memory:')
    const inbox = new Inbox()
    // Scrambled, so that no batch size falls into step with it.
    inbox.line = (n) => {
      const chance = (Math.imul(n, 2654435761) >>> 16) % (2 * oneIn)
      return chance === 0 ? 'lost' : chance === 1 ? 'reply-lost' : 'ok'
    }
    const outbox = await open(database, inbox)
    const running = outbox.run()
    for (let n = 1; n <= 60; n++) await outbox.append(conditionsWritten, body(n), id(n))
    await drained(outbox)
    t.same(
      inbox.done,
      Array.from({ length: 60 }, (_, i) => i + 1),
      `losing one in ${oneIn}`,
    )
    outbox.stop()
    await running
    await database.close()
  }
})

t.test('D5: what was written down survives a restart, and the same act id is no second act', async (t) => {
  const database = await openDeviceDatabase(':memory:')
  const inbox = new Inbox()
  inbox.up = false
  const before = await open(database, inbox)
  await before.append(conditionsWritten, body(1), id(1))
  await before.append(conditionsWritten, body(1), id(1))
  t.equal((await before.waiting()).rows, 1)
  before.stop()
  inbox.up = true
  const after = await open(database, inbox)
  const running = after.run()
  await drained(after)
  t.same(inbox.done, [1])
  after.stop()
  await running
  await database.close()
})

t.test('D5: a restored image moves its acts to a new stream: none is lost, none is taken for another', async (t) => {
  const inbox = new Inbox()
  const database = await openDeviceDatabase(':memory:')
  const first = await open(database, inbox)
  const running = first.run()
  for (let n = 1; n <= 3; n++) await first.append(conditionsWritten, body(n), id(n))
  await drained(first)
  first.stop()
  await running
  // The image of before the three acts is restored: the same stream, but its next number is 1 again.
  await database.run('UPDATE streams SET next = 1')
  const restored = await open(database, inbox)
  const again = restored.run()
  for (let n = 11; n <= 14; n++) await restored.append(conditionsWritten, body(n), id(n))
  await drained(restored)
  t.same(inbox.done, [1, 2, 3, 11, 12, 13, 14])
  t.equal(inbox.streams.size, 2)
  restored.stop()
  await again
  await database.close()
})

t.test('D5: a service that lost its inbox gets a new stream', async (t) => {
  const inbox = new Inbox()
  const database = await openDeviceDatabase(':memory:')
  const outbox = await open(database, inbox)
  const running = outbox.run()
  for (let n = 1; n <= 3; n++) await outbox.append(conditionsWritten, body(n), id(n))
  await drained(outbox)
  inbox.streams.clear()
  await outbox.append(conditionsWritten, body(4), id(4))
  await drained(outbox)
  t.same(inbox.done, [1, 2, 3, 4])
  outbox.stop()
  await running
  await database.close()
})

t.test('D5: a refusal advances and is told, also of acts of an earlier run; "later" is tried again', async (t) => {
  const database = await openDeviceDatabase(':memory:')
  const inbox = new Inbox()
  let busy = 3
  inbox.refuse = (n) =>
    n === 2 ? new Problem('session.expired') : n === 3 && busy-- > 0 ? new Problem('service.busy') : undefined
  const outbox = await open(database, inbox)
  const told: string[] = []
  outbox.onOutcome(conditionsWritten, ({ body: sent }, outcome) => {
    told.push(`${(sent as { counter: number }).counter} ${outcome.problem?.code ?? 'done'}`)
  })
  const running = outbox.run()
  for (let n = 1; n <= 4; n++) await outbox.append(conditionsWritten, body(n), id(n))
  await drained(outbox)
  t.same(told, ['1 done', '2 session.expired', '3 done', '4 done'])
  t.same(inbox.done, [1, 3, 4])
  outbox.stop()
  await running
  await database.close()
})

t.test('D5: a full outbox refuses clearly and recovers; space is given back', async (t) => {
  const database = await openDeviceDatabase(':memory:')
  const inbox = new Inbox()
  inbox.up = false
  const outbox = await open(database, inbox, { maxBytes: 400 })
  const running = outbox.run()
  let refused: unknown
  let kept = 0
  for (let n = 1; n <= 20 && !refused; n++)
    await outbox.append(conditionsWritten, body(n), id(n)).then(
      () => kept++,
      (error) => {
        refused = error
      },
    )
  t.match(refused, { code: 'outbox.full' })
  inbox.up = true
  await drained(outbox)
  t.equal(inbox.done.length, kept)
  t.equal((await outbox.waiting()).bytes, 0)
  await outbox.append(conditionsWritten, body(21), id(21))
  await drained(outbox)
  outbox.stop()
  await running
  await database.close()
})

t.test('D5: an act that does not fit its contract is not written down', async (t) => {
  const database = await openDeviceDatabase(':memory:')
  const outbox = await open(database, new Inbox())
  await t.rejects(outbox.append(offerSave, { offer: new Uint8Array(1), transferKey: new Uint8Array(64) }, id(1)), {
    code: 'message.invalid',
  })
  t.equal((await outbox.waiting()).rows, 0)
  await database.close()
})

t.test('D5: what a reply means', (t) => {
  const reply = (more: Partial<Reply>): Reply => ({ id: id(1), ...more })
  t.equal(judge(reply({ body: {} }), 5, 5), 'done')
  t.equal(judge(reply({ want: 5, problem: new Problem('act.gap').toWire() }), 6, 5), 'retry')
  t.equal(judge(reply({ want: 2, problem: new Problem('act.gap').toWire() }), 6, 5), 'new-stream')
  t.equal(judge(reply({ problem: new Problem('act.conflict').toWire() }), 6, 5), 'new-stream')
  t.equal(judge(reply({ problem: new Problem('service.busy').toWire() }), 6, 5), 'retry')
  t.equal(judge(reply({ problem: new Problem('member.suspended').toWire() }), 6, 5), 'done')
  t.end()
})

t.test('D5: an act written down just as the outbox comes to rest goes at once, without another occasion', async (t) => {
  const inner = await openDeviceDatabase(':memory:')
  let late: Promise<void> | undefined
  const inbox = new Inbox()
  const database: DeviceDatabase = {
    run: (sql, ...values) => inner.run(sql, ...values),
    get: (sql, ...values) => inner.get(sql, ...values),
    all: (sql, ...values) => inner.all(sql, ...values),
    close: () => inner.close(),
    exec: async (sql) => {
      // The last thing it does, after it has seen that nothing waits.
      if (sql.includes('incremental_vacuum')) late ??= outbox.append(conditionsWritten, body(2), id(2))
      await late
      await inner.exec(sql)
    },
  }
  const outbox = await Outbox.open({ database, clock, random, log, sender: inbox })
  const running = outbox.run()
  await outbox.append(conditionsWritten, body(1), id(1))
  for (let i = 0; i < 1000 && inbox.done.length < 2; i++) await new Promise((resolve) => setImmediate(resolve))
  t.same(inbox.done, [1, 2])
  outbox.stop()
  await running
})
