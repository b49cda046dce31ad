/** Settlement, as the host knows it. It may run as two centres, one of which leads (P9). */
import { Problem } from '@azukari/protocol/problem'
import { defineService, type ServicePorts } from '../../host/service-module.ts'
import type { Peers } from '../../service/deliverer.ts'
import type { PlacementView } from './billing/ports.ts'
import type { SettlementContext } from './commands/context.ts'
import type { PlacementKeeping } from './members/register-sync.ts'

const contracts = () => import('@azukari/protocol/contracts/settlement-placement')

/** What settlement asks of placement: members' profiles and data, and to keep its register in step. */
async function placementPorts({
  call,
  peers,
}: ServicePorts): Promise<{ placement: PlacementView; keeping: PlacementKeeping; peers: Peers }> {
  const { listChanges, readAccountFacts } = await contracts()
  return {
    placement: { account: (question) => call(readAccountFacts, question) },
    keeping: { changes: (question) => call(listChanges, question) },
    peers,
  }
}

export const settlement = defineService<SettlementContext>({
  name: 'settlement',
  what: 'keeps members, keys, stored value, fees, statements and payments',
  databases: ['settlement/settlement.db'],
  migrations: async () => (await import('./migrations.ts')).settlementMigrations,
  roles: { clerk: 'money' },
  pages: ['/statistics', '/statistics.svg'],
  lock: 'settlement-primary.lock',
  port: 8_472,
  readsBuffer: false,
  peers: ['placement'],
  paired: true,
  processes: 'several',
  calls: async () => {
    const { listChanges, readAccountFacts } = await contracts()
    return [readAccountFacts, listChanges]
  },
  open: async (opened) => {
    const { folder, stores, ports, log, passphrase, budgets, unlisted, members, isClosed = false } = opened
    const { openSettlement } = await import('./main.ts')
    const { chargeHandlers } = await import('./payments/charges.ts')
    const { statisticsHealth } = await import('./health.ts')
    const asked = await placementPorts(opened)
    const service = await openSettlement(folder, ports, {
      ...asked,
      database: await stores.open('settlement/settlement.db', !isClosed),
      log,
      passphrase,
      budgets,
      unlisted,
      members,
      isClosed,
    })
    return {
      service,
      folder,
      stores,
      ports,
      keys: { held: async () => service.publicKeys },
      handlers: chargeHandlers((from, request) => service.charge(from, request)),
      health: statisticsHealth(() => service.statistics()),
      commandEnded: () => service.wake(),
      close: async () => {},
    }
  },
  commands: {
    'settlement members': async () => (await import('./commands/members.ts')).memberCommands,
    'settlement lines': async () => (await import('./commands/bank-lines.ts')).bankLineCommands,
    'settlement money': async () => (await import('./commands/money.ts')).moneyCommands,
    'settlement shops': async () => (await import('./commands/shops.ts')).shopCommands,
    'settlement mails': async () => (await import('./commands/mails.ts')).mailCommands,
    'settlement books': async () => (await import('./commands/books.ts')).bookCommands,
  },
  programs: {
    'settlement witnesses': async () => (await import('./commands/witness.ts')).witnessCommands,
    'settlement gate': async () => (await import('./commands/gate.ts')).gateCommands,
  },
  checks: async (folder) => (await import('./commands/checks.ts')).settlementChecks(folder),
  runApart: async (opened, { role, host, port }, { commandHandlers }) => {
    const { folder, stores, ports, passphrase, log, unlisted, members } = opened
    const { settlementSettings } = await import('./settings.ts')
    const { centre: addresses } = settlementSettings(await folder.read('settlement.json'))
    if (role === 'backup' && !addresses) throw new Problem('config.invalid', 'settlement.json names no centres')
    if (!addresses || stores.engine === 'postgres') return undefined
    const { runCentre } = await import('./centre/main.ts')
    const asked = await placementPorts(opened)
    return runCentre({
      folder,
      stores,
      ports,
      role,
      addresses,
      ...asked,
      passphrase,
      log,
      unlisted,
      members,
      host,
      port,
      commandHandlers,
    })
  },
  servePage: async (settlement, { ports, ...settings }) => {
    const { serveEnrolment } = await import('./members/page/serve.ts')
    return serveEnrolment({ ...settings, settlement, clock: ports.clock, random: ports.random })
  },
  pairHealth: async (clients, { clock }) => {
    const { CentreWatch } = await import('./centre/watch.ts')
    const { centresHealth } = await import('./health.ts')
    const watch = new CentreWatch(
      clients.map(({ id, client }) => ({ centre: id, client })),
      clock,
    )
    return centresHealth(() => watch.reports())
  },
})
