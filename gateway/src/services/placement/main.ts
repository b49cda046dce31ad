/** Placement from a site's folder, on real ports: inside the gateway, or as a process of its own. */

import { base32 } from '@azukari/protocol/base32'
import { coseKey, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../../adapters/database.ts'
import { systemDefer } from '../../adapters/defer.ts'
import type { Budgets } from '../../budgets/budgets.ts'
import { RemoteDataServers } from '../../data-server/remote.ts'
import { renewCertificate } from '../../pki/renewal.ts'
import { PeriodicWorker } from '../../service/periodic-worker.ts'
import type { ReceiveBuffer } from '../../service/service.ts'
import { logUnlisted, type Unlisted } from '../../service/unlisted.ts'
import type { SiteFolder, SitePorts } from '../../site-folder.ts'
import { fetchFeed } from './adapters/fetch-feed.ts'
import { hazardSettings } from './hazards/settings.ts'
import type { PlacementKeys } from './keys/keys.ts'
import { createKeys, openKeystore, sealKeystore } from './keys/keystore.ts'
import { createPlacement, type Placement } from './service.ts'

/**
 * Makes placement's keys on first use. The recovery key is returned once, to be printed and kept away from the site.
 * @param passphrase undefined: one is made and kept beside the keystore, which protects backups of the keystore only
 */
export async function initPlacement(
  folder: SiteFolder,
  ports: SitePorts,
  passphrase?: string,
): Promise<{ recoverySecret: string } | undefined> {
  if (await folder.read('placement/keystore.cose')) return undefined
  const { keys, recoverySecret } = createKeys(ports.random)
  await storeKeys(folder, ports, keys, passphrase)
  return { recoverySecret }
}

export async function storeKeys(
  folder: SiteFolder,
  ports: SitePorts,
  keys: PlacementKeys,
  passphrase?: string,
): Promise<void> {
  const secret = passphrase ?? base32(ports.random.bytes(20))
  if (!passphrase) await folder.write('placement/passphrase', new TextEncoder().encode(secret))
  // What cards are made with, and what a data server trusts before it has the key directory.
  await folder.writePublicKeys('placement', {
    key: coseKey(publicOf(keys.card)),
    agreement: coseKey(publicOf(keys.agreement)),
  })
  await folder.write('placement/keystore.cose', sealKeystore(keys, secret, ports.random))
}

/** Writes the keystore anew, under the passphrase that it has. @throws {Problem} `storage.*` */
async function keepKeys(folder: SiteFolder, ports: SitePorts, keys: PlacementKeys, passphrase?: string): Promise<void> {
  await folder.write(
    'placement/keystore.cose',
    sealKeystore(keys, await passphraseOf(folder, passphrase), ports.random),
  )
}

/** @throws {Problem} `config.invalid` when there is none */
async function passphraseOf(folder: SiteFolder, given?: string): Promise<string> {
  const kept = given ? undefined : await folder.read('placement/passphrase')
  const secret = given ?? (kept && new TextDecoder().decode(kept).trim())
  if (!secret) throw new Problem('config.invalid', 'the keystore needs its passphrase: set AZUKARI_PASSPHRASE')
  return secret
}

/** @throws {Problem} `config.invalid` without a keystore, or with another passphrase */
export async function openPlacementKeys(folder: SiteFolder, passphrase?: string): Promise<PlacementKeys> {
  const box = await folder.read('placement/keystore.cose')
  if (!box) throw new Problem('config.invalid', `${folder.path} has no placement yet: run azukari-gateway init`)
  return openKeystore(box, await passphraseOf(folder, passphrase))
}

export interface OpenPlacement {
  placement: Placement
  dataServers: RemoteDataServers
  /** Closes what `placement.stop` does not know of. */
  close(): Promise<void>
}

/** How often `servers.json` is looked at, ms. */
const lookMs = 5_000

/** Opens placement; `placement.start` begins its work. Servers that `servers.json` names are registered or brought up to date. */
export async function openPlacement(
  folder: SiteFolder,
  ports: SitePorts,
  {
    buffer,
    log,
    passphrase,
    budgets,
    unlisted = logUnlisted(log),
  }: {
    buffer: ReceiveBuffer
    log: Log
    passphrase?: string | undefined
    budgets?: Budgets
    unlisted?: Unlisted
  },
): Promise<OpenPlacement> {
  const keys = await openPlacementKeys(folder, passphrase)
  const tls = await folder.keyring.identity('placement', 'service')
  const dataServers = new RemoteDataServers(tls, ports)
  const database = openDatabase(`${folder.path}/placement/placement.db`)
  const { feeds, rules } = hazardSettings(await folder.hazards())
  const placement = await createPlacement({
    database,
    keys,
    keepKeys: (next) => keepKeys(folder, ports, next, passphrase),
    buffer,
    dataServers,
    ...ports,
    log,
    defer: systemDefer,
    ...(budgets && { budgets }),
    unlisted,
    hazardRules: rules,
    hazardSources: { feeds, inbox: `${folder.path}/hazards`, files: ports.files, fetchFeed },
  })
  await placement.registry.journalKeys(keys)
  let taken = ''
  const takeServers = async () => {
    const listed = await folder.servers()
    const text = JSON.stringify(listed)
    if (text === taken) return lookMs
    for (const { key, ground = {}, ...server } of listed) {
      const bytes = Buffer.from(key, 'hex')
      parseCoseKey(bytes)
      await placement.risks.setGround(server.id, ground)
      await placement.registry.putServer({ ...server, key: bytes })
    }
    taken = text
    return lookMs
  }
  await takeServers()
  // Servers join, and say where they are reached now, while everything runs.
  const looking = new PeriodicWorker({
    name: 'servers.json',
    clock: ports.clock,
    log,
    idleMs: lookMs,
    round: takeServers,
  })
  looking.start()
  const renewal = renewCertificate({
    ...{ keyring: folder.keyring, id: 'placement', role: 'service', tls, clock: ports.clock, log },
    servers: () => [],
  })
  return {
    placement,
    dataServers,
    close: async () => {
      await looking.stop()
      await renewal.stop()
      dataServers.close()
    },
  }
}
