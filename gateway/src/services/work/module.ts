/** Work, as the host knows it (W1–W11). */
import { defineService } from '../../host/service-module.ts'
import type { WorkOpen } from './commands/context.ts'

export const work = defineService<WorkOpen>({
  name: 'work',
  what: 'hands units of jobs to idle devices and merges what they agree on',
  databases: ['work/work.db'],
  migrations: async () => (await import('./migrations.ts')).workMigrations,
  roles: { work: 'jobs, and devices that compute' },
  lock: 'work.lock',
  port: 8_477,
  readsBuffer: false,
  peers: ['settlement'],
  calls: async () => [(await import('@azukari/protocol/contracts/settlement-charges')).postCharge],
  commands: {
    'work jobs': async () => (await import('./commands/jobs.ts')).jobCommands,
    'work licences': async () => (await import('./commands/licences.ts')).licenceCommands,
    'work owners': async () => (await import('./commands/owners.ts')).ownerCommands,
  },
  open: async ({ folder, stores, ports, log, budgets, unlisted, call }) => {
    const { openWork } = await import('./main.ts')
    const { gaugesOf } = await import('../../host/gauges.ts')
    const { postCharge } = await import('@azukari/protocol/contracts/settlement-charges')
    const database = await stores.open('work/work.db')
    const service = await openWork(folder, ports, {
      database,
      log,
      budgets,
      unlisted,
      post: (charge) => call(postCharge, charge),
    })
    return {
      service,
      ports,
      handlers: [],
      keys: { held: async () => service.heldKeys() },
      health: {
        facts: async () => ({ work: await service.figures() }),
        metrics: (registry) => {
          const { gauge } = gaugesOf(registry)
          gauge('work_jobs', 'Jobs that run', async () => (await service.figures()).jobs)
          gauge('work_computing', 'Units that devices compute now', async () => (await service.figures()).computing)
        },
      },
      commandEnded: () => service.wake(),
      close: async () => {},
    }
  },
})
