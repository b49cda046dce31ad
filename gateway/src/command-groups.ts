/**
 * The commands of `azukari-gateway`, in groups that are loaded when one of theirs is called. `command-index.json` tells which
 * command is in which, and what `--help` says of it; `npm run docs` makes it from the commands themselves.
 */
import { operatorGroups } from './operator-api/groups.ts'
import type { AnyCommand } from './operator-api/roles.ts'
import { services } from './services/index.ts'

export const commandGroups: Readonly<Record<string, () => Promise<Record<string, AnyCommand>>>> = {
  session: async () => (await import('./operator/account-commands.ts')).sessionCommands,
  site: async () => (await import('./operator/site-commands.ts')).siteCommands,
  gateway: async () => (await import('./run-commands.ts')).gatewayCommands,
  processes: async () => (await import('./run-commands.ts')).processCommands,
  upgrade: async () => {
    const { upgradeCommands } = await import('./operator/upgrade-commands.ts')
    const { packageVersion, programPath } = await import('./program.ts')
    const { configOf } = await import('./operator/call-settings.ts')
    return upgradeCommands({ own: packageVersion(), program: programPath(), configOf })
  },
  ...operatorGroups,
  store: async () => (await import('./operator/store-commands.ts')).storeCommands,
  ...Object.assign({}, ...services.map(({ programs }) => programs ?? {})),
  broker: async () => (await import('./operator/broker-commands.ts')).brokerCommands,
}
