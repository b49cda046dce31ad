/** What the rights service's commands act with. */
import type { OpenService, ServiceCommandGroup } from '../../../host/service-module.ts'
import type { ServiceAct } from '../../../operator-api/roles.ts'
import type { SitePorts } from '../../../site-folder.ts'
import type { Rights } from '../service.ts'

export interface RightsContext extends OpenService {
  service: Rights
  ports: SitePorts
}

export type RightsCommands = ServiceCommandGroup<RightsContext>

/** Who did it, as it is recorded. */
export function operatorOf({ people }: ServiceAct): string {
  return people.join(', ')
}

export const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)
