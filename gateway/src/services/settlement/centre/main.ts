/** A centre and a witness as processes (P9). */
import { existsSync, mkdirSync } from 'node:fs'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../../../adapters/database.ts'
import type { Stores } from '../../../adapters/stores.ts'
import { healthHandlers } from '../../../host/health-calls.ts'
import type { ApartHost, ServiceCommand } from '../../../host/service-module.ts'
import { serviceKeyHandlers } from '../../../key-directory/sources.ts'
import type { Peers } from '../../../service/deliverer.ts'
import type { MemberCheck } from '../../../service/member-tokens.ts'
import { serviceHandlers } from '../../../service/serve.ts'
import { logUnlisted, type Unlisted } from '../../../service/unlisted.ts'
import type { SiteFolder, SitePorts } from '../../../site-folder.ts'
import { CallClient } from '../../../transport/client.ts'
import { type CallServer, startCallServer } from '../../../transport/server.ts'
import { FileStore } from '../adapters/centre-store.ts'
import type { PlacementView } from '../billing/ports.ts'
import type { SettlementContext } from '../commands/context.ts'
import { statisticsHealth } from '../health.ts'
import { openSettlement } from '../main.ts'
import type { PlacementKeeping } from '../members/register-sync.ts'
import { chargeHandlers } from '../payments/charges.ts'
import type { SettlementSettings } from '../settings.ts'
import { Centre } from './centre.ts'
import { ledDatabase } from './led-database.ts'
import { LedService } from './led-service.ts'
import { backupName, centreHandlers, peerLink, primaryName, witnessHandlers, witnessLink, witnessName } from './wire.ts'
import { openWitness } from './witness-store.ts'

export interface RunningCentre {
  url: string
  centre: Centre
  stop(): Promise<void>
}

export interface CentreSettings {
  folder: SiteFolder
  stores: Stores
  ports: SitePorts
  role: 'primary' | 'backup'
  addresses: NonNullable<SettlementSettings['centre']>
  placement: PlacementView
  keeping: PlacementKeeping
  peers: Peers
  host: string
  port: number
  passphrase?: string | undefined
  log: Log
  commandHandlers: ApartHost<SettlementContext>['commandHandlers']
  /** Hears of answers that contracts do not list. */
  unlisted: Unlisted
  /** Judges members' tokens. */
  members: MemberCheck
}

/** @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function runCentre(settings: CentreSettings): Promise<RunningCentre> {
  const {
    folder,
    stores,
    ports,
    role,
    addresses,
    placement,
    keeping,
    peers,
    log,
    unlisted,
    members,
    passphrase,
    host,
    port,
  } = settings
  const { clock, random } = ports
  const [id, other] = role === 'primary' ? [primaryName, backupName] : [backupName, primaryName]
  if (role === 'backup' && !existsSync(`${folder.path}/settlement/keystore.cose`))
    throw new Problem('config.invalid', 'the backup needs settlement’s keys: copy settlement/keystore.cose')
  mkdirSync(`${folder.path}/settlement`, { recursive: true, mode: 0o700 })
  const tls = await folder.keyring.identity(id, 'service')
  const clientOf = (url: string, server: string) => new CallClient({ url, tls, server, clock })
  const clients = [
    clientOf(role === 'primary' ? addresses.backup : addresses.primary, other),
    ...addresses.witnesses.map((url, i) => clientOf(url, witnessName(i + 1))),
  ]
  const store = await FileStore.open(`${folder.path}/settlement/settlement.db`, clock.now())
  const led: LedService = new LedService(() => centre.acknowledged())
  const centre: Centre = new Centre({
    id,
    store,
    clock,
    random,
    log,
    founds: role === 'primary',
    peer: peerLink(clients[0]!),
    witnesses: clients.slice(1).map(witnessLink),
    onChange: async (leading) => {
      await led.end()
      if (!leading) return
      const database = ledDatabase(store.database)
      const confirmed = () => centre.acknowledged()
      await led.begin(
        await openSettlement(folder, ports, {
          placement,
          keeping,
          peers,
          log,
          unlisted,
          members,
          passphrase,
          database,
          confirmed,
        }),
      )
    },
  })
  const context: SettlementContext = {
    // Looked up when it is used: whoever does not lead has none.
    get service() {
      return led.settlement
    },
    folder,
    stores,
    ports,
    handlers: [],
    centre,
    commandEnded: () => led.wake(),
    close: async () => undefined,
  }
  const openFor = ({ everywhere }: Pick<ServiceCommand, 'everywhere'>): SettlementContext => {
    if (!everywhere) led.mustLead()
    return context
  }
  const calls = await startCallServer({
    tls,
    clock,
    log,
    host,
    port,
    unlisted,
    handlers: [
      ...centreHandlers(centre, other),
      ...serviceHandlers(led, clock),
      ...serviceKeyHandlers({ held: async () => led.settlement.publicKeys }),
      ...settings.commandHandlers(openFor, () => centre.acknowledged()),
      ...healthHandlers([statisticsHealth(() => led.settlement.statistics())]),
      ...chargeHandlers(async (service, request) => {
        const done = await led.settlement.charge(service, request)
        await centre.acknowledged()
        return done
      }),
    ],
  })
  await centre.start()
  return {
    url: `https://${calls.host}:${calls.port}`,
    centre,
    stop: async () => {
      await calls.stop()
      await led.end()
      await centre.stop()
      for (const client of clients) await client.close()
      await store.database.close()
    },
  }
}

/** @param settings.number 1, 2 or 3 @throws {Problem} `storage.*` */
export async function runWitness(settings: {
  folder: SiteFolder
  ports: SitePorts
  number: number
  host: string
  port: number
  log: Log
}): Promise<{ url: string; stop(): Promise<void> }> {
  const { folder, ports, number, host, port, log } = settings
  const name = witnessName(number)
  const tls = await folder.keyring.identity(name, 'service')
  mkdirSync(`${folder.path}/${name}`, { recursive: true, mode: 0o700 })
  const database = openDatabase(`${folder.path}/${name}/votes.db`)
  const calls: CallServer = await startCallServer({
    tls,
    clock: ports.clock,
    log,
    host,
    port,
    unlisted: logUnlisted(log),
    handlers: witnessHandlers(await openWitness(database, ports.clock)),
  })
  return {
    url: `https://${calls.host}:${calls.port}`,
    stop: async () => {
      await calls.stop()
      await database.close()
    },
  }
}
