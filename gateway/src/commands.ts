/** What `azukari-gateway` can do, all loaded. The program itself loads only the command that is called (lazy-commands.ts). */
import type { Command } from '@azukari/protocol/adapters/command-line'
import { commandGroups } from './command-groups.ts'
import { localCommand } from './operator-api/local.ts'
import type { AnyCommand } from './operator-api/roles.ts'

const groups = await Promise.all(Object.values(commandGroups).map((load) => load()))
const all: Record<string, AnyCommand> = Object.assign({}, ...groups)
export const commands: Record<string, Command> = Object.fromEntries(
  Object.entries(all).map(([name, command]) => [name, localCommand(name, command)]),
)
