/** What is changed in the clerks' log behind the service's back is found by the audit (P9). */
import { systemRandom } from '@azukari/protocol/adapters/random'
import { signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import t from 'tap'
import { memoryDatabase } from '../../../adapters/database.ts'
import { hostMigrations } from '../../../service/tables.ts'
import { migrate } from '../../../storage/migrate.ts'
import { settlementMigrations } from '../migrations.ts'
import { signHead } from './head.ts'
import { auditSite } from './independent-audit.ts'
import { Ledger } from './ledger.ts'
import { noteOperation } from './operations.ts'

const signing = generateKey('ed25519', systemRandom)
const set = (upTo = Number.POSITIVE_INFINITY) => ({
  set: 'settlement',
  migrations: settlementMigrations.filter(({ number }) => number <= upTo),
})

async function opened(before = 0) {
  const database = memoryDatabase()
  await migrate(database, [hostMigrations, set(7)], 0)
  for (let n = 0; n < before; n++)
    await database.run(
      'INSERT INTO operations (at, clerk, what, detail) VALUES (?, ?, ?, ?)',
      n,
      'hanako',
      'accept',
      'M-1',
    )
  await migrate(database, [hostMigrations, set()], 0)
  const findings = async () => (await auditSite(database, coseKey(publicOf(signing)))).findings
  return { database, findings }
}

t.test('P9: the log of clerks is append-only in the database, also against INSERT OR REPLACE', async (t) => {
  const { database, findings } = await opened(2)
  await noteOperation(database, 10, 'hanako', 'count cash', '5000')
  for (const change of [
    "UPDATE operations SET clerk = 'nobody'",
    'DELETE FROM operations',
    "INSERT OR REPLACE INTO operations (n, at, clerk, what, detail) VALUES (3, 10, 'nobody', 'count cash', '1')",
    "REPLACE INTO operations (n, at, clerk, what, detail) VALUES (1, 10, 'nobody', 'accept', 'M-2')",
  ])
    await t.rejects(database.run(change), /does not change/, change)
  t.same(await findings(), [])
})

t.test('P9: what direct SQL changes in the log of clerks is found: changed, taken out, added, cut off', async (t) => {
  const cases: [string, RegExp][] = [
    ["UPDATE operations SET detail = '1' WHERE n = 4", /entry 4 was changed/],
    ["UPDATE operations SET clerk = 'nobody' WHERE n = 1", /entry 3 was changed/],
    ['DELETE FROM operations WHERE n = 4', /entries 4 to 4 are gone/],
    ["INSERT INTO operations (n, at, clerk, what, detail) VALUES (6, 1, 'x', 'y', 'z')", /entry 6 was changed/],
    ['DELETE FROM operations WHERE n > 3', /entries 4 to 5 are gone/],
  ]
  for (const [change, found] of cases) {
    const { database, findings } = await opened(2)
    for (let n = 0; n < 3; n++) await noteOperation(database, 10 + n, 'hanako', 'count cash', '5000')
    await signHead(database, new Ledger(database), signerOf(signing), '2026-11-21', 20)
    t.same(await findings(), [], 'whole at first')
    await database.script(
      'DROP TRIGGER operations_no_update; DROP TRIGGER operations_no_delete; DROP TRIGGER operations_once',
    )
    await database.run(change)
    t.match(JSON.stringify(await findings()), found, change)
  }
})

t.test('P9: an entry that was written anew with its chain is not the one that was signed', async (t) => {
  const { database, findings } = await opened()
  for (let n = 0; n < 2; n++) await noteOperation(database, 10 + n, 'hanako', 'count cash', '5000')
  await signHead(database, new Ledger(database), signerOf(signing), '2026-11-21', 20)
  await database.script('DROP TRIGGER operations_no_delete; DELETE FROM operations')
  for (let n = 0; n < 2; n++) await noteOperation(database, 10 + n, 'nobody', 'count cash', '5000')
  t.match(await findings(), [{ what: 'operations', where: 'entry 2 is not the one signed' }])
})
