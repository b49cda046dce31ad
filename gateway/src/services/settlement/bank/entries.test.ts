/** Lines from before entries were kept: carried over, and known when a file tells them again. */
import t from 'tap'
import { memoryDatabase } from '../../../adapters/database.ts'
import { migrate } from '../../../storage/migrate.ts'
import { Ledger } from '../ledger/ledger.ts'
import { settlementMigrations } from '../migrations.ts'
import { derivedId } from '../service-context.ts'
import { compareEntry, EntryNames } from './entries.ts'
import type { BankEntry } from './files/bank-file.ts'

const entry: BankEntry = {
  family: 'camt',
  kind: 'camt.053',
  statement: 'S1',
  reference: 'A1',
  reversal: false,
  direction: 'in',
  minor: 1000n,
  currency: 'JPY',
  bookedOn: '2026-11-02',
  texts: [],
  parts: [{ direction: 'in', minor: 1000n, texts: [] }],
  formerKeys: ['camt/1234567/A1/0'],
}

t.test(
  'P5 P9 a site of an earlier release keeps its lines: none is booked again, and each has a direction',
  async (t) => {
    const database = memoryDatabase()
    await migrate(database, [{ set: 'settlement', migrations: settlementMigrations.slice(0, 10) }], 1)
    const file = new Uint8Array(32)
    await database.run("INSERT INTO bank_files (hash, format, at, lines, booked) VALUES (?, 'camt', 1, 3, 1)", file)
    const keep = async (id: Uint8Array, matched: string | null) => {
      await database.run(
        "INSERT INTO bank_lines (id, file, amount, currency, booked_on, text, matched) VALUES (?, ?, 1000, 'JPY', '2026-11-02', ?, ?)",
        id,
        file,
        new Uint8Array(1),
        matched,
      )
    }
    const [matched, out, come] = [
      derivedId('bank-line', 'camt/1234567/A1/0', 'in', ''),
      derivedId('bank-line', 'camt/1234567/A2/0', 'out', ''),
      derivedId('bank-line', 'camt/1234567/A3/0', 'in', ''),
    ]
    await keep(matched, '60000000000107')
    await keep(out, null)
    await keep(come, null)
    await database.transaction(async (sql) => {
      const ledger = new Ledger(sql, async () => 1)
      for (const [code, side] of [
        ['bank/JPY', 'debit'],
        ['unexplained/JPY', 'debit'],
        ['unmatched/JPY', 'credit'],
      ] as const)
        await ledger.open({ code, currency: 'JPY', side, overdraft: true })
      const post = async (reason: string, id: Uint8Array, debit: string, credit: string, amountMinor: bigint) => {
        const reference = Buffer.from(id).toString('hex')
        await ledger.post({ id, reason, reference, legs: [{ kind: 'post', debit, credit, amountMinor }] }, 1)
      }
      await post('unexplained', out, 'unexplained/JPY', 'bank/JPY', 1000n)
      await post('unmatched', come, 'bank/JPY', 'unmatched/JPY', 1700n)
    })
    await migrate(database, [{ set: 'settlement', migrations: settlementMigrations }], 2)
    const rows = await database.all<{ direction: string | null }>('SELECT direction FROM bank_lines ORDER BY id')
    t.same(rows.map(({ direction }) => direction).sort(), ['in', 'out', null].sort())
    const { balance } = (await database.get<{ balance: number }>('SELECT balance FROM bank_opening'))!
    t.equal(balance, 700, 'the audit begins with what the account had')
    const compare = async (change: Partial<BankEntry>) => {
      const told = { ...entry, ...change }
      return compareEntry(database, told, new EntryNames('99990011234567').of(told), new Uint8Array(32).fill(1))
    }
    t.same(await compare({}), { known: undefined }, 'told again')
    t.equal(await compare({ bookedOn: '2026-11-03' }), 'new', 'a name that was used anew is another line')
    t.equal(await compare({ formerKeys: ['camt/1234567/A9/0'] }), 'new')
    await database.close()
  },
)
