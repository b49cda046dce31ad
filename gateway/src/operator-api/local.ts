/** Every command as the program's user runs it: those of a running site are sent there. */

import type { Command, Values } from '@azukari/protocol/adapters/command'
import { isProblem } from '@azukari/protocol/problem'
import { type AnyCommand, isOperatorCommand } from './roles.ts'
import type { SentCommand } from './sent-command.ts'

/** Every command of a running site takes it. */
export const siteUrlOption = {
  type: 'string',
  what: 'https://host:port of a site on another machine, in place of --folder',
} as const

/** Sends a command to the running site; one that only reads is carried out on the folder when nothing runs there. */
export async function sendToSite(name: string, values: Values, positionals: string[], command: SentCommand) {
  const { callSite } = await import('./client.ts')
  try {
    return await callSite(name, values, positionals, command)
  } catch (error) {
    const isHere = values['site-url'] === undefined
    if (!isHere || !command.offline || !isProblem(error, 'operator.not-running')) throw error
    const { carryOutOffline } = await import('./offline.ts')
    return carryOutOffline(name, values, positionals, command)
  }
}

export function localCommand(name: string, group: string, command: AnyCommand): Command {
  if (!isOperatorCommand(command)) return command
  const { what, positionals: words, options, ...rest } = command
  const head: Omit<Command, 'run'> = { what, options: { ...options, 'site-url': siteUrlOption } }
  if (words !== undefined) head.positionals = words
  return { ...head, run: (values, positionals) => sendToSite(name, values, positionals, { ...rest, group }) }
}
