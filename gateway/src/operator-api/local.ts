/** Every command as the program's user runs it: those of a running site are sent there. */
import type { Command, Values } from '@azukari/protocol/adapters/command-line'
import { type AnyCommand, isOperatorCommand } from './roles.ts'

/** Sends a command to the running site. */
export async function sendToSite(name: string, values: Values, positionals: string[]) {
  const { callSite } = await import('./client.ts')
  return callSite(name, values, positionals)
}

export function localCommand(name: string, command: AnyCommand): Command {
  if (!isOperatorCommand(command)) return command
  const { carryOut: _, role: __, twoPeople: ___, ...head } = command
  return { ...head, run: (values, positionals) => sendToSite(name, values, positionals) }
}
