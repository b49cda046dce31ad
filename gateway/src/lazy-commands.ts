/** What `azukari-gateway` can do, from the index: help and completion load nothing else, a call only its own group. */
import type { Command } from '@azukari/protocol/adapters/command-line'
import { InternalError } from '@azukari/protocol/problem'
import { commandGroups } from './command-groups.ts'
import index from './command-index.json' with { type: 'json' }

type Entry = Omit<Command, 'run'> & { group: string }

export const commands: Record<string, Command> = Object.fromEntries(
  Object.entries(index as Record<string, Entry>).map(([name, { group, ...head }]) => [
    name,
    {
      ...head,
      run: async (values, positionals) => {
        const command = (await commandGroups[group]?.())?.[name]
        if (!command) throw new InternalError(`command-index.json names ${name} in ${group}: run npm run docs`)
        return command.run(values, positionals)
      },
    },
  ]),
)
