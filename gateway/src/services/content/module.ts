/** Content, as the host knows it. */
import { defineService } from '../../host/service-module.ts'
import type { ContentContext } from './commands/context.ts'

export const content = defineService<ContentContext>({
  name: 'content',
  what: 'delivers what providers offer, from the nearest data server that has it',
  databases: ['content/content.db'],
  migrations: async () => (await import('./migrations.ts')).contentMigrations,
  usesObjects: true,
  roles: { content: 'what providers offer' },
  lock: 'content.lock',
  port: 8_476,
  readsBuffer: false,
  peers: ['settlement', 'rights'],
  calls: async () => [
    (await import('@azukari/protocol/contracts/settlement-charges')).postCharge,
    (await import('@azukari/protocol/contracts/rights-copies')).buyCopy,
  ],
  commands: {
    content: async () => (await import('./commands/offers.ts')).offerCommands,
    'content fees': async () => (await import('./commands/fees.ts')).feeCommands,
  },
  open: async (ports) => (await import('./main.ts')).openContent(ports),
})
