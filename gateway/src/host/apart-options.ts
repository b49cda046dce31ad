/** Options of `run` that say where services run that run as processes of their own, by their names. */
import type { Command } from '@azukari/protocol/adapters/command'
import { services } from '../services/index.ts'

export const apartOptions: Command['options'] = Object.fromEntries(
  services.map(({ name }) => [name, { type: 'string', what: whatApart(name) }]),
)

export function whatApart(name: string): string {
  return `https://… of ${name} in a process of its own; of several processes, all with a comma between them`
}
