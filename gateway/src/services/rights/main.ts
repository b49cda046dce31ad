/** The rights service from a site's folder, on real ports: inside the gateway, or as a process of its own. */
import type { Log } from '@azukari/protocol/ports'
import { machineOf } from '../../adapters/system-machine.ts'
import type { Budgets } from '../../budgets/budgets.ts'
import { requireSameKeys, serviceKeysIn } from '../../service/service-keys.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { SiteFolder, SitePorts } from '../../site-folder.ts'
import type { Database } from '../../storage/database.ts'
import { MarkPool } from './adapters/mark-pool.ts'
import { sealedPictures } from './sealed-pictures.ts'
import { createRights, type Rights } from './service.ts'

export interface OpenRightsOptions {
  database: Database
  log: Log
  passphrase: string | undefined
  budgets: Budgets
  unlisted: Unlisted
}

/** Opens the service; its keys are made on first use. @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function openRights(
  folder: SiteFolder,
  ports: SitePorts,
  { database, log, passphrase, budgets, unlisted }: OpenRightsOptions,
): Promise<Rights> {
  const keys = await serviceKeysIn('rights', folder, ports, passphrase, database.isShared)
  const rights = await createRights({
    database,
    keys,
    marks: new MarkPool({ log }),
    pictures: sealedPictures(folder, keys, ports.random),
    clock: ports.clock,
    random: ports.random,
    log,
    defer: machineOf(folder, ports).defer,
    budgets,
    unlisted,
  })
  // With other keys no sale that was made could be traced.
  await requireSameKeys('rights', database, keys)
  return rights
}
