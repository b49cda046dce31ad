/** Groups of commands that the running site carries out; `command-groups.ts` has them among the others. */
import type { AnyCommand } from './roles.ts'

export const operatorGroups: Readonly<Record<string, () => Promise<Record<string, AnyCommand>>>> = {
  operators: async () => (await import('../operator/account-commands.ts')).operatorCommands,
  devices: async () => (await import('../operator/device-commands.ts')).deviceCommands,
  keys: async () => (await import('../operator/key-commands.ts')).keyCommands,
  readers: async () => (await import('../operator/reader-commands.ts')).readerCommands,
  fleet: async () => (await import('../operator/fleet-commands.ts')).fleetCommands,
}
