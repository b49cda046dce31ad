/** Placement from a site's folder, on real ports: inside the gateway, or as a process of its own. */

import { base32 } from '@azukari/protocol/base32'
import { coseKey, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { machineOf } from '../../adapters/system-machine.ts'
import type { Budgets } from '../../budgets/budgets.ts'
import { argon2id, type PassphraseKdf } from '../../passphrase-key.ts'
import { PeriodicWorker } from '../../service/periodic-worker.ts'
import type { ReceiveBuffer } from '../../service/service.ts'
import { logUnlisted, type Unlisted } from '../../service/unlisted.ts'
import type { SiteFolder, SitePorts } from '../../site-folder.ts'
import type { Database } from '../../storage/database.ts'
import { fetchFeed } from './adapters/fetch-feed.ts'
import { hazardSettings } from './hazards/settings.ts'
import type { PlacementKeys } from './keys/keys.ts'
import { createKeys, openKeystore, sealKeystore } from './keys/keystore.ts'
import { requireEmpty } from './moves/leaving.ts'
import { createPlacement, type Placement } from './service.ts'
import { placementSettings } from './settings.ts'

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
  const { passphraseKey } = machineOf(folder, ports)
  const secret = passphrase ?? base32(ports.random.bytes(20))
  if (!passphrase) await folder.write('placement/passphrase', new TextEncoder().encode(secret))
  // What cards are made with, and what a data server trusts before it has the key directory.
  await folder.writePublicKeys('placement', {
    key: coseKey(publicOf(keys.card)),
    agreement: coseKey(publicOf(keys.agreement)),
  })
  await folder.write('placement/keystore.cose', sealKeystore(keys, secret, ports.random, passphraseKey))
}

/** Writes the keystore anew, under the passphrase that it has. @throws {Problem} `storage.*` */
async function keepKeys(
  folder: SiteFolder,
  { random }: SitePorts,
  keys: PlacementKeys,
  { passphrase, kdf }: { passphrase: string | undefined; kdf: PassphraseKdf },
): Promise<void> {
  const secret = await passphraseOf(folder, passphrase)
  await folder.write('placement/keystore.cose', sealKeystore(keys, secret, random, kdf))
}

/** @throws {Problem} `config.invalid` when there is none */
async function passphraseOf(folder: SiteFolder, given?: string): Promise<string> {
  const kept = given ? undefined : await folder.read('placement/passphrase')
  const secret = given ?? (kept && new TextDecoder().decode(kept).trim())
  if (!secret) throw new Problem('config.invalid', 'the keystore needs its passphrase: set AZUKARI_PASSPHRASE')
  return secret
}

/** @throws {Problem} `config.invalid` without a keystore, or with another passphrase */
export async function openPlacementKeys(
  folder: SiteFolder,
  passphrase?: string,
  kdf: PassphraseKdf = argon2id,
): Promise<PlacementKeys> {
  const box = await folder.read('placement/keystore.cose')
  if (!box) throw new Problem('config.invalid', `${folder.path} has no placement yet: run azukari-gateway init`)
  return openKeystore(box, await passphraseOf(folder, passphrase), kdf)
}

export interface OpenPlacement {
  placement: Placement
  /** Takes a server off the site: out of `servers.json` and the register. @throws {Problem} as `Placement.takeOutServer` */
  removeServer(id: string): Promise<void>
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
    database,
    buffer,
    log,
    passphrase,
    budgets,
    unlisted = logUnlisted(log),
  }: {
    database: Database
    buffer: ReceiveBuffer
    log: Log
    passphrase?: string | undefined
    budgets?: Budgets
    unlisted?: Unlisted
  },
): Promise<OpenPlacement> {
  const { dataServers: reach, fetch, passphraseKey, defer } = machineOf(folder, ports)
  const keys = await openPlacementKeys(folder, passphrase, passphraseKey)
  const dataServers = await reach('placement', log)
  const { feeds, rules: hazardRules } = hazardSettings(await folder.hazards())
  const settings = placementSettings(await folder.read('placement.json'))
  const placement = await createPlacement({
    database,
    keys,
    keepKeys: (next) => keepKeys(folder, ports, next, { passphrase, kdf: passphraseKey }),
    buffer,
    dataServers,
    ...ports,
    log,
    defer,
    ...(budgets && { budgets }),
    unlisted,
    ...settings,
    hazardRules,
    hazardSources: {
      feeds,
      inbox: `${folder.path}/hazards`,
      files: ports.files,
      fetchFeed: (request) => fetchFeed(request, fetch),
    },
  })
  await placement.registry.journalKeys(keys)
  let taken = ''
  // One at a time: what is being removed is not registered again from a list that was read before.
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work)
    turn = done.catch(() => undefined)
    return done
  }
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
  await inTurn(takeServers)
  // Servers join, and say where they are reached now, while everything runs.
  const looking = new PeriodicWorker({
    name: 'servers.json',
    clock: ports.clock,
    log,
    idleMs: lookMs,
    round: () => inTurn(takeServers),
  })
  looking.start()
  return {
    placement,
    removeServer: (id) =>
      inTurn(async () => {
        await requireEmpty(placement.store.sql, id)
        // First the list: were it the other way round, a restart between the two would register it again.
        await folder.changeServers((listed) => listed.filter((server) => server.id !== id))
        await placement.takeOutServer(id)
      }),
    close: async () => {
      await looking.stop()
      await dataServers.close()
    },
  }
}
