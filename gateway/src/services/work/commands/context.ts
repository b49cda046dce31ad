/** What work's commands act with. */
import type { OpenService, ServiceCommandGroup } from '../../../host/service-module.ts'
import type { SitePorts } from '../../../site-folder.ts'
import type { Work } from '../service.ts'

export interface WorkOpen extends OpenService {
  service: Work
  ports: SitePorts
}

export type WorkCommands = ServiceCommandGroup<WorkOpen>

export const idOf = (job: string): Uint8Array => new Uint8Array(Buffer.from(job, 'hex'))
