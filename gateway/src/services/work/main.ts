/** Work from a site's folder, on real ports: inside the gateway, or as a process of its own. */
import type { Log } from '@azukari/protocol/ports'
import type { Budgets } from '../../budgets/budgets.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { SiteFolder, SitePorts } from '../../site-folder.ts'
import { loadSiteKey } from '../../site-key.ts'
import type { Database } from '../../storage/database.ts'
import type { PostCharge } from './bookings/worker.ts'
import { createWork, type Work } from './service.ts'
import { workSettings } from './settings.ts'

export interface OpenWorkOptions {
  database: Database
  log: Log
  budgets?: Budgets
  unlisted: Unlisted
  post: PostCharge
}

/** Opens work; its keys are made on first use. @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function openWork(folder: SiteFolder, ports: SitePorts, options: OpenWorkOptions): Promise<Work> {
  const { files, random, clock } = ports
  const settings = workSettings(await folder.read('work.json'))
  const keys = {
    signing: await loadSiteKey(files, `${folder.path}/work/signing.key`, random),
    agreement: await loadSiteKey(files, `${folder.path}/work/agreement.key`, random, 'x25519'),
  }
  return createWork({ ...options, keys, settings, clock, random })
}
