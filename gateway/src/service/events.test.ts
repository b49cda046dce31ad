import { randomBytes } from 'node:crypto'
import { mapInOrder } from '@azukari/protocol/in-order'
import t from 'tap'
import { migrate } from '../storage/migrate.ts'
import { testEngines } from '../test-database.ts'
import { EventQueue } from './events.ts'
import { hostMigrations } from './tables.ts'

const open = testEngines()['PostgreSQL']
const skip = open ? false : 'no PostgreSQL here; npm test starts one'

t.test('D5: what waits for a device is bounded for all processes of a service together', { skip }, async (t) => {
  const database = await open!()
  t.teardown(() => database.close())
  await migrate(database, [hostMigrations], 1)
  const [first, second] = [new EventQueue(database), new EventQueue(database)]
  const add = (queue: EventQueue, count: number) =>
    database.transaction((sql) =>
      mapInOrder(Array.from({ length: count }), () =>
        queue.add(sql, { device: 'd', id: randomBytes(16), contract: 'toy.told@1', atMs: 1, body: {} }),
      ),
    )
  await add(first, 10)
  await add(second, 10)
  await add(first, 4_070)
  await add(second, 200)
  const { n } = (await database.get<{ n: number }>('SELECT count(*) AS n FROM events'))!
  t.ok(n >= 4_096 && n <= 4_096 + 64, `${n} wait`)
})
