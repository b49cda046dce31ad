/** What the console offers: the commands of a running site, as the index tells of them (no service is loaded for it). */
import index from '../command-index.json' with { type: 'json' }
import type { OperatorCommandHead } from '../operator-api/roles.ts'
import type { SentCommand } from '../operator-api/sent-command.ts'

/** Where the program finds the site: the page is there already. */
const places = new Set(['folder', 'site', 'site-url'])

export interface ConsoleCommand extends Pick<OperatorCommandHead, 'what' | 'role' | 'twoPeople' | 'positionals'> {
  name: string
  group: string
  options: OperatorCommandHead['options']
  filesIn: readonly string[]
  filesOut: readonly string[]
  /** It only reads, and may be looked at again and again. */
  isRead: boolean
}

type Entry = Omit<OperatorCommandHead, 'role'> & SentCommand & { role?: OperatorCommandHead['role'] }

export function consoleCommands(): ConsoleCommand[] {
  return Object.entries(index as Record<string, Entry>).flatMap(([name, entry]) => {
    const { role, what, group, filesIn = [], filesOut = [], twoPeople = false, positionals = '' } = entry
    if (!role) return []
    const options = Object.fromEntries(Object.entries(entry.options).filter(([option]) => !places.has(option)))
    const isRead = entry.offline === true
    return [{ name, what, group, role, twoPeople, positionals, options, filesIn, filesOut, isRead }]
  })
}
