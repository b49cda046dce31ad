import { randomBytes } from 'node:crypto'
import t from 'tap'
import { migrate } from '../storage/migrate.ts'
import { testEngines } from '../test-database.ts'
import {
  atRestKeyOf,
  createServiceKeys,
  openServiceKeys,
  registerKeysTables,
  requireSameKeys,
  sealServiceKeys,
} from './service-keys.ts'

const random = { bytes: (n: number) => new Uint8Array(randomBytes(n)) }
const newKeys = () => createServiceKeys(random)
const cheap = (passphrase: string) => new Uint8Array(Buffer.alloc(32, passphrase))

for (const [engine, open] of Object.entries(testEngines()))
  t.test(`P4 D4: a register has the keys of one keystore, and others are refused (${engine})`, async (t) => {
    const database = await open()
    t.teardown(() => database.close())
    await migrate(database, [{ set: 'any', migrations: [{ number: 1, name: 'keys', up: registerKeysTables }] }], 0)
    const keys = newKeys()
    await requireSameKeys('any', database, keys)
    await requireSameKeys('any', database, keys)
    await t.rejects(requireSameKeys('any', database, newKeys()), { code: 'config.invalid', message: /copy it/ })
  })

t.test(
  'P4 R7: a box opens with its passphrase, as the service’s that it is, and its keys differ by service and use',
  (t) => {
    const keys = newKeys()
    const box = sealServiceKeys('one', keys, 'sesame', random, cheap)
    t.same(openServiceKeys('one', box, 'sesame', cheap).atRest, keys.atRest)
    t.throws(() => openServiceKeys('one', box, 'open', cheap), { code: 'config.invalid' })
    t.throws(() => openServiceKeys('two', box, 'sesame', cheap), { code: 'config.invalid' })
    const uses = [atRestKeyOf('one', keys, 'a'), atRestKeyOf('one', keys, 'b'), atRestKeyOf('two', keys, 'a')]
    t.equal(new Set(uses.map((key) => Buffer.from(key).toString('hex'))).size, 3)
    t.same(atRestKeyOf('one', keys, 'a'), uses[0])
    t.end()
  },
)
