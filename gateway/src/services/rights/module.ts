/** The rights service, as the host knows it. */
import { defineService } from '../../host/service-module.ts'
import type { RightsContext } from './commands/context.ts'

export const rights = defineService<RightsContext>({
  name: 'rights',
  what: 'registers works, sells marked copies, traces those that are where they may not be',
  databases: ['rights/rights.db'],
  migrations: async () => (await import('./migrations.ts')).rightsMigrations,
  roles: { rights: 'works, sales and cases' },
  lock: 'rights.lock',
  port: 8_478,
  readsBuffer: false,
  peers: ['content'],
  calls: async () => [(await import('@azukari/protocol/contracts/rights-copies')).offerMade],
  commands: {
    'rights works': async () => (await import('./commands/works.ts')).workCommands,
    'rights cases': async () => (await import('./commands/cases.ts')).caseCommands,
    'rights sales': async () => (await import('./commands/sales.ts')).saleCommands,
  },
  checks: async (folder) => (await import('./commands/checks.ts')).rightsChecks(folder),
  programs: { mark: async () => (await import('./commands/mark.ts')).markCommands },
  open: async ({ folder, stores, ports, log, passphrase, budgets, unlisted, members, call }) => {
    const { openRights } = await import('./main.ts')
    const { offerMade } = await import('@azukari/protocol/contracts/rights-copies')
    const { buyHandlers } = await import('./sales/buy-handlers.ts')
    const database = await stores.open('rights/rights.db')
    const service = await openRights(folder, ports, {
      database,
      log,
      passphrase,
      budgets,
      unlisted,
      members,
      offer: (offer) => call(offerMade, offer),
    })
    return {
      service,
      ports,
      handlers: buyHandlers((asked) => service.buy(asked)),
      keys: { held: async () => service.publicKeys },
      close: async () => {},
    }
  },
})
