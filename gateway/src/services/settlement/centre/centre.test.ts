import t from 'tap'
import { memoryDatabase } from '../../../adapters/database.ts'
import { hostMigrations } from '../../../service/tables.ts'
import { migrate } from '../../../storage/migrate.ts'
import { Ledger } from '../ledger/ledger.ts'
import { settlementMigrations } from '../migrations.ts'
import { ledDatabase } from './led-database.ts'
import { CentreLog } from './log.ts'
import { freshMemory, leaseAfterRestart, mayLead, promise, type Standing, stand } from './witness.ts'

const standing = (epoch: number, turn: number, leader: string, alone: boolean): Standing => ({
  epoch,
  turn,
  leader,
  alone,
})

t.test('P9 a witness promises an epoch once, and not while another’s lease runs', (t) => {
  const first = promise(freshMemory, undefined, { centre: 'a', epoch: 2 }, 0)
  t.match(first.reply, { granted: true, epoch: 2 })
  t.match(promise(first.memory, undefined, { centre: 'b', epoch: 2 }, 0).reply, { granted: false, epoch: 2 })
  t.match(promise(first.memory, undefined, { centre: 'a', epoch: 2 }, 0).reply, { granted: true }, 'asked again')
  const led = stand(first.memory, undefined, { standing: standing(2, 1, 'a', true), leaseMs: 1_000 }, 0)
  t.match(led.reply, { granted: true })
  t.match(promise(led.memory, led.lease, { centre: 'b', epoch: 3 }, 999).reply, { granted: false, epoch: 2 })
  const taken = promise(led.memory, led.lease, { centre: 'b', epoch: 3 }, 1_000)
  t.match(taken.reply, { granted: true, epoch: 3, standing: { leader: 'a', alone: true } })
  const late = stand(taken.memory, led.lease, { standing: standing(2, 2, 'a', false), leaseMs: 1_000 }, 1_000)
  t.match(late.reply, { granted: false, epoch: 3 }, 'the older epoch is refused')
  t.equal(late.memory, taken.memory)
  t.match(
    leaseAfterRestart(led.memory, 5_000),
    { centre: 'a', untilMs: 65_000 },
    'after a restart the lease runs whole',
  )
  const older = stand(led.memory, led.lease, { standing: standing(2, 1, 'a', true), leaseMs: 1_000 }, 500)
  t.equal(older.memory, led.memory, 'a renewal writes nothing')
  t.end()
})

t.test('P9 who may lead: the last leader, or one of whom it said that both are in step', (t) => {
  const alone = standing(2, 3, 'a', true)
  const both = standing(2, 2, 'a', false)
  const tried = standing(3, 1, 'b', true)
  t.ok(mayLead('b', [undefined, undefined], 3), 'nobody ever led')
  t.ok(mayLead('b', [both, both], 3))
  t.notOk(mayLead('b', [alone, alone], 3))
  t.notOk(mayLead('b', [alone, both], 3), 'the third may have recorded it')
  t.ok(mayLead('b', [alone, both, both], 3), 'no majority recorded it, and none can any more')
  t.ok(mayLead('a', [alone, alone], 3))
  t.notOk(mayLead('b', [tried, alone], 3), 'its own attempt proves nothing')
  t.notOk(mayLead('b', [tried, alone, alone], 3))
  t.ok(mayLead('b', [tried, tried, alone], 3), 'its own attempt succeeded')
  const again = standing(9, 1, 'a', true)
  t.notOk(mayLead('b', [again, alone, both], 3), 'the first may have recorded it before its later epoch')
  t.notOk(mayLead('a', [tried, tried, alone], 3))
  t.end()
})

async function made() {
  const database = memoryDatabase()
  await migrate(database, [hostMigrations, { set: 'settlement', migrations: settlementMigrations }], 0)
  return database
}

async function posted(log: CentreLog, id: number) {
  await log.write(async (sql) => {
    const ledger = new Ledger(sql, log.epoch)
    await ledger.open({ code: 'bank', currency: 'JPY', side: 'debit', overdraft: true })
    await ledger.open({ code: 'value', currency: 'JPY', side: 'credit' })
    const legs = [{ kind: 'post' as const, debit: 'bank', credit: 'value', amountMinor: 5n }]
    await ledger.post({ id: new Uint8Array(16).fill(id), reason: 'test', reference: '', legs }, id)
  })
}

t.test('P9 the log: the backup checks the chain, makes the same changes, refuses older epochs and gaps', async (t) => {
  const [a, b] = [await made(), await made()]
  const [from, to] = [new CentreLog(a), new CentreLog(b)]
  await t.rejects(() => posted(from, 1), { code: 'centre.not-leader' })
  await t.rejects(() => ledDatabase(a).run('DELETE FROM documents'), { code: 'centre.not-leader' })
  await from.lead(3)
  for (const id of [1, 2, 3]) await posted(from, id)
  const [first, second, third] = (await from.after(0, 1 << 20))!
  await t.rejects(() => to.receive(3, [second!]), { code: 'centre.behind' })
  await t.rejects(() => to.receive(3, [{ ...first!, changes: second!.changes }]), { code: 'centre.chain' })
  await t.rejects(() => to.receive(2, [first!]), { code: 'centre.chain' }, 'an entry later than who sends it')
  t.equal((await to.tip()).n, 0, 'nothing of it remained')
  t.equal((await to.receive(3, [first!, second!])).n, 2)
  t.equal((await to.receive(3, [first!, second!, third!])).n, 3, 'what it has is passed over')
  await t.rejects(() => to.receive(2, []), { code: 'centre.old-epoch' })
  t.same(await to.tip(), await from.tip())
  t.same(await b.all('SELECT * FROM ledger_accounts'), await a.all('SELECT * FROM ledger_accounts'))
  t.same(await b.all('SELECT * FROM ledger_postings'), await a.all('SELECT * FROM ledger_postings'))
  await to.lead(4)
  await posted(to, 9)
  await posted(from, 4)
  await t.rejects(
    async () => from.receive(4, (await to.after(3, 1 << 20))!),
    { code: 'centre.chain' },
    'two histories do not mix',
  )
  await t.rejects(async () => to.receive(3, (await from.after(3, 1 << 20))!), { code: 'centre.old-epoch' })
  t.end()
})

t.test('P9 every table of settlement has a primary key: without one its changes would not be followed', async (t) => {
  const database = await made()
  const tables = await database.all<{ name: string }>(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
  )
  t.ok(tables.length > 20)
  for (const { name } of tables)
    t.ok(await database.get('SELECT 1 AS yes FROM pragma_table_info(?) WHERE pk > 0', name), name)
  t.end()
})
