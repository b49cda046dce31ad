/** Groups of commands that the running site carries out; `command-groups.ts` has them among the others. */
import type { ServiceName } from '@azukari/protocol/contract'
import type { ServiceCommandGroup } from '../host/service-module.ts'
import { services } from '../services/index.ts'
import type { AnyCommand } from './roles.ts'

export const operatorGroups: Readonly<Record<string, () => Promise<Record<string, AnyCommand>>>> = {
  operators: async () => (await import('../operator/account-commands.ts')).operatorCommands,
  devices: async () => (await import('../operator/device-commands.ts')).deviceCommands,
  keys: async () => (await import('../operator/key-commands.ts')).keyCommands,
  servers: async () => (await import('../operator/server-commands.ts')).serverCommands,
  readers: async () => (await import('../operator/reader-commands.ts')).readerCommands,
  fleet: async () => (await import('../operator/fleet-commands.ts')).fleetCommands,
  ...Object.fromEntries(
    services.flatMap(({ name, commands = {} }) =>
      Object.entries(commands).map(([group, load]) => [group, () => operatorGroup(name, load)]),
    ),
  ),
}

async function operatorGroup(service: ServiceName, load: () => Promise<ServiceCommandGroup>) {
  const { operatorCommandOf } = await import('./service-commands.ts')
  return Object.fromEntries(
    Object.entries(await load()).map(([name, command]) => [name, operatorCommandOf(service, name, command)]),
  )
}
