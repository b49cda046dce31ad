/** What placement's commands act with: the service as it runs, and the site's folder and ports. */
import type { OpenService, ServiceCommandGroup } from '../../../host/service-module.ts'
import type { SiteFolder, SitePorts } from '../../../site-folder.ts'
import type { Placement } from '../service.ts'

export interface PlacementContext extends OpenService {
  service: Placement
  /** @throws {Problem} `config.invalid`, `server.not-leaving`, `server.in-use` */
  removeServer(id: string): Promise<void>
  folder: SiteFolder
  ports: SitePorts
}

export type PlacementCommands = ServiceCommandGroup<PlacementContext>
