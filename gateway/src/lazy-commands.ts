/** What `azukari-gateway` can do, from the index: help and completion load nothing else, a call only its own group. */
import type { Command } from '@azukari/protocol/adapters/command'
import { InternalError } from '@azukari/protocol/problem'
import { commandGroups } from './command-groups.ts'
import index from './command-index.json' with { type: 'json' }
import { apartOptions } from './host/apart-options.ts'
import { serviceCommands } from './host/service-command.ts'
import { sendToSite, siteUrlOption } from './operator-api/local.ts'
import type { Role } from './operator-api/role.ts'
import { isOperatorCommand } from './operator-api/roles.ts'
import type { SentCommand } from './operator-api/sent-command.ts'

/** With a role it is the running site that carries it out: nothing of its own is loaded. */
type Entry = Omit<Command, 'run'> & SentCommand & { role?: Role }

const indexed: Record<string, Command> = Object.fromEntries(
  Object.entries(index as Record<string, Entry>).map(([name, entry]) => [
    name,
    {
      ...entry,
      // Whoever takes the gateway's settings takes where services run, also of one that came after the index was made.
      options: optionsOf(entry),
      run: async (values, positionals) => {
        const { group, role } = entry
        if (role) return sendToSite(name, values, positionals, entry)
        const command = (await commandGroups[group]?.())?.[name]
        if (!command || isOperatorCommand(command))
          throw new InternalError(`command-index.json names ${name} in ${group}: run npm run docs`)
        return command.run(values, positionals)
      },
    },
  ]),
)

function optionsOf({ options, role }: Entry): Command['options'] {
  if (role) return { ...options, 'site-url': siteUrlOption }
  return 'peer-port' in options ? { ...options, ...apartOptions } : options
}

export const commands: Record<string, Command> = { ...indexed, ...serviceCommands }
