/** Settlement from a site's folder, on real ports: inside the gateway, or as a process of its own. */
import { base32 } from '@azukari/protocol/base32'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { httpCardCompany } from '../../adapters/card-company.ts'
import { openDatabase } from '../../adapters/database.ts'
import { systemSoon } from '../../adapters/soon.ts'
import type { SiteFolder, SitePorts } from '../../site-folder.ts'
import type { PlacementView } from './billing/ports.ts'
import { createSettlementKeys, openSettlementKeys, type SettlementKeys, sealSettlementKeys } from './keystore.ts'
import { createSettlement, type Settlement } from './service.ts'
import { settlementSettings } from './settings.ts'

const keystore = 'settlement/keystore.cose'

/** Opens settlement; its keys are made on first use. @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function openSettlement(
  folder: SiteFolder,
  ports: SitePorts,
  { placement, log, passphrase }: { placement: PlacementView; log: Log; passphrase?: string | undefined },
): Promise<Settlement> {
  const { cardCompany, own, billing, ...rules } = settlementSettings(await folder.read('settlement.json'))
  const keys = await keysOf(folder, ports, passphrase)
  return createSettlement({
    ...{ database: openDatabase(`${folder.path}/settlement/settlement.db`), keys, placement, log, soon: systemSoon },
    ...{ clock: ports.clock, random: ports.random, rules },
    ...(cardCompany ? { cardCompany: httpCardCompany(cardCompany.url, cardCompany.key) } : {}),
    ...(own ? { own } : {}),
    ...(billing ? { billing } : {}),
  })
}

async function keysOf(folder: SiteFolder, { random }: SitePorts, passphrase?: string): Promise<SettlementKeys> {
  const box = await folder.read(keystore)
  const kept = passphrase ? undefined : await folder.read('settlement/passphrase')
  if (box) {
    const secret = passphrase ?? (kept && new TextDecoder().decode(kept).trim())
    if (!secret)
      throw new Problem('config.invalid', 'settlement’s keystore needs its passphrase: set AZUKARI_PASSPHRASE')
    return openSettlementKeys(box, secret)
  }
  const secret = passphrase ?? base32(random.bytes(20))
  const keys = createSettlementKeys(random)
  if (!passphrase) await folder.write('settlement/passphrase', new TextEncoder().encode(secret))
  await folder.write(keystore, sealSettlementKeys(keys, secret, random))
  return keys
}
