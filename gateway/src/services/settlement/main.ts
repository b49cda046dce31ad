/** Settlement from a site's folder, on real ports: inside the gateway, or as a process of its own. */

import { resolve } from 'node:path'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { machineOf } from '../../adapters/system-machine.ts'
import type { Budgets } from '../../budgets/budgets.ts'
import type { Mailer } from '../../mail/mailer.ts'
import { type MailSettings, mailPassword } from '../../mail/settings.ts'
import type { Peers } from '../../service/deliverer.ts'
import type { MemberCheck } from '../../service/member-tokens.ts'
import { requireSameKeys, serviceKeysIn } from '../../service/service-keys.ts'
import { logUnlisted, type Unlisted } from '../../service/unlisted.ts'
import type { SiteFolder, SitePorts } from '../../site-folder.ts'
import { type Database, isFollowed } from '../../storage/database.ts'
import { httpCardCompany } from './adapters/card-company.ts'
import { pageFontFile } from './adapters/page-font-file.ts'
import type { PlacementView } from './billing/ports.ts'
import { ledDatabase } from './centre/led-database.ts'
import type { PlacementKeeping } from './members/register-sync.ts'
import { createSettlement, type Settlement } from './service.ts'
import { settlementSettings } from './settings.ts'

export interface OpenSettlementOptions {
  placement: PlacementView
  /** Placement's register, kept in step by the process that runs settlement. */
  keeping?: PlacementKeeping
  /** Where other services take what settlement sends. */
  peers?: Peers
  log: Log
  passphrase?: string | undefined
  /** Where its budgets are shown. */
  budgets?: Budgets
  /** Hears of answers that contracts do not list. */
  unlisted?: Unlisted
  /** Judges members' tokens. */
  members?: MemberCheck
  database: Database
  /** When one of two centres leads: what says that commits are acknowledged (P9). */
  confirmed?: () => Promise<void>
  /** It is opened to be read, and not started. */
  isClosed?: boolean
}

/** Opens settlement; its keys are made on first use. @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function openSettlement(
  folder: SiteFolder,
  ports: SitePorts,
  {
    placement,
    keeping,
    peers,
    log,
    passphrase,
    budgets,
    database: given,
    confirmed,
    isClosed = false,
    unlisted = logUnlisted(log),
    members,
  }: OpenSettlementOptions,
): Promise<Settlement> {
  const { cardCompany, own, billing, centre, font, webhooks, mail, ...rules } = settlementSettings(
    await folder.read('settlement.json'),
  )
  if (centre && given.engine === 'postgres')
    throw new Problem(
      'config.invalid',
      'settlement.json names centres: with PostgreSQL a standby server takes their place',
    )
  if (centre && !confirmed && !isClosed)
    throw new Problem('config.invalid', 'settlement with a backup centre runs apart: azukari-gateway settlement')
  const machine = machineOf(folder, ports)
  const keys = await serviceKeysIn('settlement', folder, ports, passphrase, given.isShared)
  // One that is followed by a backup is written to by its leader alone.
  const database = centre && !confirmed && isFollowed(given) ? ledDatabase(given) : given
  const checks = machine.checks(keys.agreement, log)
  const settlement = await createSettlement({
    database,
    keys,
    placement,
    log,
    defer: machine.defer,
    ...(checks && { checks }),
    font: pageFontFile(font === undefined ? undefined : resolve(folder.path, font)),
    clock: ports.clock,
    random: ports.random,
    rules,
    webhooks: { fetch: machine.fetch, named: webhooks?.hosts ?? [] },
    unlisted,
    members,
    mailer: mail && (await mailerOf(mail, folder)),
    ...(keeping ? { keeping } : {}),
    ...(peers ? { peers } : {}),
    ...(budgets ? { budgets } : {}),
    ...(confirmed ? { confirmed } : {}),
    ...(cardCompany ? { cardCompany: httpCardCompany(cardCompany.url, cardCompany.key, machine.fetch) } : {}),
    ...(own ? { own } : {}),
    ...(billing ? { billing } : {}),
  })
  if (given.engine === 'postgres') await requireSameKeys('settlement', given, keys)
  return settlement
}

/** The mail library takes room, and is loaded where there is mail. */
async function mailerOf(mail: MailSettings, folder: SiteFolder): Promise<Mailer> {
  const { smtpMailer } = await import('../../adapters/smtp-mailer.ts')
  return smtpMailer(mail, await mailPassword(folder, mail))
}
