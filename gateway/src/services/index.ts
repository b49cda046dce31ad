/** The services of a site. A new one is a folder beside these and a line here; everything else follows from it. */
import type { ServiceModule } from '../host/service-module.ts'
import { content } from './content/module.ts'
import { placement } from './placement/module.ts'
import { settlement } from './settlement/module.ts'

export const services: readonly ServiceModule[] = [placement, settlement, content]

/** Groups of commands that need no service yet, by name: of a folder beside these that is none. */
export const commandsAlone: ServiceModule['programs'] = {
  mark: async () => (await import('./rights/commands/mark.ts')).markCommands,
}
