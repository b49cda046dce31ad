/** What `azukari-gateway` can do, all loaded. The program itself loads only the command that is called (lazy-commands.ts). */
import type { Command } from '@azukari/protocol/adapters/command-line'
import { commandGroups } from './command-groups.ts'

const groups = await Promise.all(Object.values(commandGroups).map((load) => load()))
export const commands: Record<string, Command> = Object.assign({}, ...groups)
