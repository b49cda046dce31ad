import { randomBytes } from 'node:crypto'
import t from 'tap'
import { migrate } from '../../storage/migrate.ts'
import { testEngines } from '../../test-database.ts'
import { createSettlementKeys, requireSameKeys } from './keystore.ts'
import { settlementMigrations } from './migrations.ts'

const newKeys = () => createSettlementKeys({ bytes: (n) => new Uint8Array(randomBytes(n)) })

for (const [engine, open] of Object.entries(testEngines()))
  t.test(`P4 D4: a register has the keys of one keystore, and others are refused (${engine})`, async (t) => {
    const database = await open()
    t.teardown(() => database.close())
    await migrate(database, [{ set: 'settlement', migrations: settlementMigrations }], 0)
    const keys = newKeys()
    await requireSameKeys(database, keys)
    await requireSameKeys(database, keys)
    await t.rejects(requireSameKeys(database, newKeys()), { code: 'config.invalid', message: /copy it/ })
  })
