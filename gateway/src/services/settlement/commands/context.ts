/** What settlement's commands act with: the service as it runs, the site's folder, and how a centre stands (P9). */
import { Problem } from '@azukari/protocol/problem'
import type { Stores } from '../../../adapters/stores.ts'
import type { OpenService, ServiceCommandGroup } from '../../../host/service-module.ts'
import type { ServiceAct } from '../../../operator-api/roles.ts'
import type { SiteFolder, SitePorts } from '../../../site-folder.ts'
import type { Centre } from '../centre/centre.ts'
import type { Settlement } from '../service.ts'

export interface SettlementContext extends OpenService {
  service: Settlement
  folder: SiteFolder
  stores: Stores
  ports: SitePorts
  /** How this centre stands, when it is one of two. */
  centre?: Pick<Centre, 'status'>
}

export type SettlementCommands = ServiceCommandGroup<SettlementContext>

/** Who did it, for settlement's own operation log: whoever began it and whoever confirmed it. */
export function clerkOf({ people }: ServiceAct): string {
  return people.join(', ')
}

export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** An id of 32 hexadecimal digits. @throws {Problem} `config.invalid` */
export function idOf(given: unknown, what: string): Uint8Array {
  if (typeof given !== 'string' || !/^[0-9a-f]{32}$/.test(given))
    throw new Problem('config.invalid', `which ${what}? 32 hexadecimal digits`)
  return new Uint8Array(Buffer.from(given, 'hex'))
}
