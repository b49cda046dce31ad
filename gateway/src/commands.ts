/** What `azukari-gateway` can do, all loaded. The program itself loads only the command that is called (lazy-commands.ts). */
import type { Command } from '@azukari/protocol/adapters/command'
import { commandGroups } from './command-groups.ts'
import { localCommand } from './operator-api/local.ts'

const groups = await Promise.all(
  Object.entries(commandGroups).map(async ([group, load]) =>
    Object.entries(await load()).map(([name, command]) => [name, localCommand(name, group, command)] as const),
  ),
)
export const commands: Record<string, Command> = Object.fromEntries(groups.flat())
