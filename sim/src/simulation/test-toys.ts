/** The gateway's list with two services more, of which one sends acts to the other: the simulation must run them by itself. */
import { defineService, type ServiceModule } from '@azukari/gateway/host/service-module'
import { createServiceHost } from '@azukari/gateway/service/host'
import { PeriodicWorker } from '@azukari/gateway/service/periodic-worker'
import { sends, serviceAct } from '@azukari/gateway/service/service'
import { services as own } from '@azukari/gateway/services/index'
import { contract, Nothing, Type } from '@azukari/protocol/contract'

const strike = contract({
  name: 'bell.strike',
  kind: 'act',
  service: 'bell',
  authority: 'service',
  title: 'test',
  serves: ['D5'],
  request: Type.Object({ n: Type.Integer() }),
  reply: Nothing,
})
/** How often the bell is struck. */
const everyMs = 60_000

export const ringer = defineService({
  name: 'ringer',
  what: 'rings',
  databases: ['ringer/ringer.db'],
  lock: 'ringer.lock',
  port: 8481,
  readsBuffer: false,
  peers: ['bell'],
  open: async ({ folder, ports, log, budgets, unlisted, peers }) => {
    const { clock, random } = ports
    const service = await createServiceHost({
      name: 'ringer',
      clock,
      random,
      log,
      budgets,
      unlisted,
      peers,
      database: ports.machine!(folder, ports).openDatabase('ringer/ringer.db'),
      calls: [sends(strike)],
      migrations: [{ number: 1, name: 'rings', up: 'CREATE TABLE rings (n INTEGER PRIMARY KEY)' }],
      handlers: [],
      onStart: () => worker.start(),
      onStop: () => worker.stop(),
    })
    const ring = async () => {
      await service.store.transaction(async ({ sql, send }) => {
        const { n } = (await sql.get<{ n: number }>('SELECT count(*) + 1 AS n FROM rings'))!
        await sql.run('INSERT INTO rings (n) VALUES (?)', n)
        await send(strike, { n })
      })
      return everyMs
    }
    const worker = new PeriodicWorker({ name: 'ringer', clock, log, idleMs: everyMs, round: ring })
    return { service, handlers: [], close: async () => {} }
  },
})

export const bell = defineService({
  name: 'bell',
  what: 'is struck',
  databases: ['bell/bell.db'],
  lock: 'bell.lock',
  port: 8482,
  readsBuffer: false,
  peers: [],
  open: async ({ folder, ports, log, budgets, unlisted }) => {
    const { clock, random } = ports
    const service = await createServiceHost({
      name: 'bell',
      clock,
      random,
      log,
      budgets,
      unlisted,
      database: ports.machine!(folder, ports).openDatabase('bell/bell.db'),
      migrations: [
        { number: 1, name: 'strikes', up: 'CREATE TABLE strikes (at INTEGER PRIMARY KEY, n INTEGER NOT NULL)' },
      ],
      handlers: [
        serviceAct(strike, ['ringer'], async ({ n }, { sql }) => {
          await sql.run('INSERT INTO strikes (n) VALUES (?)', n)
          return {}
        }),
      ],
    })
    return { service, handlers: [], close: async () => {} }
  },
})

export const services: readonly ServiceModule[] = [...own, ringer, bell]
