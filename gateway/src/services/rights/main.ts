/** The rights service from a site's folder, on real ports: inside the gateway, or as a process of its own. */
import type { Log } from '@azukari/protocol/ports'
import { smtpMailer } from '../../adapters/smtp-mailer.ts'
import { machineOf } from '../../adapters/system-machine.ts'
import type { Budgets } from '../../budgets/budgets.ts'
import { mailPassword } from '../../mail/settings.ts'
import type { MemberCheck } from '../../service/member-tokens.ts'
import { requireSameKeys, serviceKeysIn } from '../../service/service-keys.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { SiteFolder, SitePorts } from '../../site-folder.ts'
import type { Database } from '../../storage/database.ts'
import { MarkPool } from './adapters/mark-pool.ts'
import { sealedPictures } from './sealed-pictures.ts'
import { createRights, type Rights } from './service.ts'
import { rightsSettings } from './settings.ts'
import type { OfferMade } from './works/offering.ts'

export interface OpenRightsOptions {
  database: Database
  log: Log
  passphrase: string | undefined
  budgets: Budgets
  members: MemberCheck
  unlisted: Unlisted
  offer: OfferMade
}

/** Opens the service; its keys are made on first use. @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function openRights(
  folder: SiteFolder,
  ports: SitePorts,
  { database, log, passphrase, budgets, unlisted, members, offer }: OpenRightsOptions,
): Promise<Rights> {
  const keys = await serviceKeysIn('rights', folder, ports, passphrase, database.isShared)
  const settings = rightsSettings(await folder.read('rights.json'))
  const machine = machineOf(folder, ports)
  const rights = await createRights({
    database,
    keys,
    marks: new MarkPool({ log }),
    pictures: sealedPictures(folder, keys, ports.random),
    settings,
    members,
    mailer: settings.mail && smtpMailer(settings.mail, await mailPassword(folder, settings.mail)),
    offer,
    fetch: machine.fetch,
    clock: ports.clock,
    random: ports.random,
    log,
    defer: machine.defer,
    budgets,
    unlisted,
  })
  // With other keys no sale that was made could be traced.
  await requireSameKeys('rights', database, keys)
  return rights
}
