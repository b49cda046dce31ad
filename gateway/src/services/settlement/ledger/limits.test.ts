/** The ledger where there is very much of something. */
import t from 'tap'
import { migrate } from '../../../storage/migrate.ts'
import { testEngines } from '../../../test-database.ts'
import { settlementMigrations } from '../migrations.ts'
import { Ledger } from './ledger.ts'

for (const [engine, openDatabase] of Object.entries(testEngines()))
  t.test(engine, async (t) => {
    const database = await openDatabase()
    t.teardown(() => database.close())
    await migrate(database, [{ set: 'settlement', migrations: settlementMigrations }], 0)
    const ledger = new Ledger(database)
    await ledger.open({ code: 'bank', currency: 'JPY', side: 'debit', overdraft: true })
    for (const code of ['a', 'b']) await ledger.open({ code, currency: 'JPY', side: 'credit' })
    const idOf = (n: number) => new Uint8Array(Buffer.from(n.toString(16).padStart(32, '0'), 'hex'))

    t.test('P5 ledger: however many holds have run out, what they kept can be spent at once', async (t) => {
      const holds = 300
      const post = { reason: 'test', reference: 'r' }
      const whole = BigInt(holds)
      await ledger.post(
        { ...post, id: idOf(1), legs: [{ kind: 'post', debit: 'bank', credit: 'a', amountMinor: whole }] },
        1,
      )
      for (let n = 0; n < holds; n++) {
        const hold = idOf(1000 + n)
        const leg = { kind: 'hold', debit: 'a', credit: 'b', amountMinor: 1n, hold, expiresMs: 100 } as const
        await ledger.post({ ...post, id: idOf(5000 + n), legs: [leg] }, 2)
      }
      await ledger.post(
        { ...post, id: idOf(2), legs: [{ kind: 'post', debit: 'a', credit: 'b', amountMinor: whole }] },
        100,
      )
      t.equal((await ledger.account('b'))?.creditsPosted, whole)
    })

    t.test('P9 ledger: a trial balance beyond what a number holds exactly', async (t) => {
      const most = BigInt(Number.MAX_SAFE_INTEGER)
      await database.run('UPDATE ledger_accounts SET debits_posted = ?, credits_posted = ?', most, most)
      const [total] = await ledger.trialBalance()
      t.strictSame([total?.debitsMinor, total?.creditsMinor], [3n * most, 3n * most])
    })
  })
