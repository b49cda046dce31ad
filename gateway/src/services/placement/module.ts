/** Placement, as the host knows it. */
import { defineService } from '../../host/service-module.ts'
import type { PlacementContext } from './commands/context.ts'

export const placement = defineService<PlacementContext>({
  name: 'placement',
  what: 'keeps members’ data safe from disasters',
  databases: ['placement/placement.db'],
  migrations: async () => (await import('./migrations.ts')).placementMigrations,
  files: ['placement/public.cose'],
  usesDataServers: true,
  roles: { placement: 'servers and data' },
  pages: ['/risks'],
  lock: 'placement.lock',
  port: 8_471,
  readsBuffer: true,
  peers: [],
  firstKeys: async (folder) => {
    const { firstKeys } = await import('../../key-directory/sources.ts')
    return firstKeys(await folder.publicKeys('placement'))
  },
  commands: {
    risk: async () => (await import('./commands/risk.ts')).riskCommands,
    members: async () => (await import('./commands/members.ts')).memberCommands,
    moves: async () => (await import('./commands/moves.ts')).moveCommands,
    leaving: async () => (await import('./commands/leaving.ts')).leavingCommands,
    audits: async () => (await import('./commands/audits.ts')).auditCommands,
  },
  programs: { rebuild: async () => (await import('./commands/rebuild.ts')).rebuildCommands },
  init: async (folder, ports, passphrase) => {
    const { initPlacement } = await import('./main.ts')
    const made = await initPlacement(folder, ports, passphrase)
    return made && [{ key: 'recoveryKey', what: 'Recovery key', secret: made.recoverySecret }]
  },
  checks: async (folder) => (await import('./commands/checks.ts')).placementChecks(folder),
  open: async ({ folder, stores, ports, buffer, log, passphrase, budgets, unlisted }) => {
    const { openPlacement } = await import('./main.ts')
    const { accountHandlers } = await import('./members/account-facts.ts')
    const { cardWordHandlers } = await import('./members/register-sync.ts')
    const { hazardHandlers } = await import('./hazards/serve.ts')
    const { placementHealth } = await import('./health.ts')
    const database = await stores.open('placement/placement.db')
    const opened = { database, buffer, log, passphrase, budgets, unlisted }
    const { placement, removeServer, close } = await openPlacement(folder, ports, opened)
    return {
      service: placement,
      removeServer,
      folder,
      ports,
      handlers: [
        ...hazardHandlers(placement),
        ...accountHandlers({
          store: placement.store,
          now: () => ports.clock.now(),
          wake: () => placement.audits.wake(),
        }),
        ...cardWordHandlers(placement.store.sql, (word) => placement.takeWord(word)),
      ],
      keys: { held: () => placement.keyPairs.held(), rotate: (order) => placement.keyPairs.rotate(order) },
      health: placementHealth({
        moves: () => placement.mover.status(),
        audits: () => placement.audits.status(),
        erasures: () => placement.erasureStatus(),
        risks: () => placement.riskReport(),
        servers: () => placement.registry.servers(),
        measures: () => placement.telemetry(),
      }),
      mayCarry: (server) => placement.mayRead(server),
      close,
    }
  },
})
