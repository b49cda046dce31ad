/** Who may call what between processes: every row of every dispatch table, asked by peers of all names and roles (D4). */

import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { identifyServer, readFrame, serverStatus } from '@azukari/protocol/contracts/server'
import { renewServer } from '@azukari/protocol/contracts/server-enrolment'
import { centreStatus } from '@azukari/protocol/contracts/settlement-centre'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { dataServerAnswers } from './data-server/answers.ts'
import type { DataServerPort } from './data-server/port.ts'
import { commandHandlers } from './operator-api/service-commands.ts'
import { createAuthority, issue, type Role } from './pki/authority.ts'
import { type JoinPorts, joinHandlers } from './registry/join.ts'
import { serviceHandlers } from './service/serve.ts'
import type { Service } from './service/service.ts'
import { throwUnlisted } from './service/unlisted.ts'
import { offerHandlers } from './services/content/made-copies.ts'
import { hazardHandlers } from './services/placement/hazards/serve.ts'
import { type AccountPorts, accountHandlers } from './services/placement/members/account-facts.ts'
import { cardWordHandlers } from './services/placement/members/register-sync.ts'
import { placement } from './services/placement/module.ts'
import { buyHandlers } from './services/rights/sales/buy-handlers.ts'
import type { Centre, WitnessLink } from './services/settlement/centre/centre.ts'
import { centreHandlers, witnessHandlers } from './services/settlement/centre/wire.ts'
import { chargeHandlers } from './services/settlement/payments/charges.ts'
import type { Sql } from './storage/database.ts'
import { silent } from './test-contracts.ts'
import { bufferHandlers } from './transfer/remote-buffer.ts'
import { CallClient } from './transport/client.ts'
import { type CallHandler, startCallServer } from './transport/server.ts'

const validity = { nowMs: Date.now(), days: 1 }
const authority = await createAuthority('tokyo', validity, systemRandom)
const identity = async (id: string, role: Role) => {
  const { cert, key } = await issue(authority, { id, role }, validity, systemRandom)
  return { ca: authority.cert, cert, key }
}

/** Stands behind a dispatch table: whoever reaches it has been let through. */
function behind<T extends object>(): T {
  const reached = () => {
    throw new Error('let through')
  }
  return new Proxy({}, { get: (_, name) => (name === 'onEvents' ? () => reached : reached) }) as T
}

/** What the gateway asks a data server. */
const forGateway = [identifyServer.name, readFrame.name, serverStatus.name]
const settlement = ['gateway', 'settlement', 'settlement-backup']
const tables: { name: string; handlers: CallHandler[]; callers: (contract: string) => readonly string[] }[] = [
  {
    name: 'data server',
    handlers: dataServerAnswers(behind<DataServerPort>()),
    callers: (contract) => (forGateway.includes(contract) ? ['gateway', 'placement'] : ['placement']),
  },
  {
    name: 'operators’ commands of a service',
    handlers: commandHandlers({ ...placement, commands: {} }, () => behind(), { clock: systemClock, log: silent }),
    callers: () => ['gateway'],
  },
  { name: 'a service', handlers: serviceHandlers(behind<Service>(), systemClock), callers: () => ['gateway'] },
  { name: 'account facts', handlers: accountHandlers(behind<AccountPorts>()), callers: () => settlement },
  {
    name: 'words on cards',
    handlers: cardWordHandlers(behind<Sql>(), () => Promise.reject(new Error('let through'))),
    callers: () => settlement,
  },
  {
    name: 'hazards',
    handlers: hazardHandlers(behind<Parameters<typeof hazardHandlers>[0]>()),
    callers: () => ['gateway'],
  },
  {
    name: 'charges',
    handlers: chargeHandlers(() => Promise.reject(new Error('let through'))),
    callers: () => ['content', 'gateway', 'rights', 'work'],
  },
  {
    name: 'copies for buyers',
    handlers: buyHandlers(() => Promise.reject(new Error('let through'))),
    callers: () => ['content', 'gateway'],
  },
  {
    name: 'offers of works',
    handlers: offerHandlers(behind(), 'JPY'),
    callers: () => ['gateway', 'rights'],
  },
  {
    name: 'a centre',
    handlers: centreHandlers(behind<Centre>(), 'settlement-backup'),
    callers: (contract) => (contract === centreStatus.name ? ['gateway', 'settlement-backup'] : ['settlement-backup']),
  },
  {
    name: 'a witness',
    handlers: witnessHandlers(behind<WitnessLink>()),
    callers: () => ['settlement', 'settlement-backup'],
  },
  {
    name: 'the receive buffer',
    handlers: bufferHandlers(['placement'], () => behind()),
    callers: () => ['placement'],
  },
  {
    name: 'the way in for data servers',
    handlers: joinHandlers({ ...behind<JoinPorts>(), site: 'tokyo', log: silent }),
    // A stranger's request proves itself; of those with a certificate only data servers renew theirs.
    callers: (contract) =>
      contract === renewServer.name
        ? ['data-server placement', 'data-server settlement']
        : [
            ...[...peers, ...impostors].map(([id, role]) =>
              role === (id === 'gateway' ? 'gateway' : 'service') ? id : `${role} ${id}`,
            ),
          ],
  },
]

const peers: readonly (readonly [id: string, role: Role])[] = [
  ['gateway', 'gateway'],
  ['placement', 'service'],
  ['settlement', 'service'],
  ['settlement-backup', 'service'],
  ['content', 'service'],
  ['work', 'service'],
  ['rights', 'service'],
  ['another', 'service'],
]
/** Names that count only with their own role. */
const impostors: typeof peers = [
  ['gateway', 'service'],
  ['placement', 'data-server'],
  ['settlement', 'data-server'],
  ['content', 'gateway'],
]

for (const { name, handlers, callers } of tables)
  t.test(`D4: ${name} answers the peers that it names, and nobody else`, async (t) => {
    const server = await startCallServer({
      unlisted: throwUnlisted,
      tls: await identity('answers', 'service'),
      handlers,
      clock: systemClock,
      log: silent,
      port: 0,
    })
    t.teardown(() => server.stop(0))
    const answered = new Map(handlers.map(({ contract }) => [contract.name, [] as string[]]))
    for (const [id, role] of [...peers, ...impostors]) {
      const client = new CallClient({
        url: `https://127.0.0.1:${server.port}`,
        tls: await identity(id, role),
        server: 'answers',
        clock: systemClock,
      })
      for (const { contract } of handlers) {
        // The empty body is refused too, but only for those who may ask.
        const problem: unknown = await client.call(contract, {} as never, { idleMs: 10_000 }).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (!isProblem(problem, 'message.unauthorised'))
          answered.get(contract.name)!.push(role === (id === 'gateway' ? 'gateway' : 'service') ? id : `${role} ${id}`)
      }
      await client.close()
    }
    t.ok(handlers.length > 0)
    for (const [contract, who] of answered) t.same(who.sort(), [...callers(contract)].sort(), contract)
  })
