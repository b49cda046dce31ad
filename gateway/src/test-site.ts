/** A gateway with one small service behind it, on real sockets and files: what its tests share. */

import type { KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Files, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from './adapters/database.ts'
import { systemDefer } from './adapters/defer.ts'
import { listenOn, type SocketListener } from './adapters/listen.ts'
import type { Bus } from './broker/bus.ts'
import type { BusLimits } from './broker/bus-limits.ts'
import { EmbeddedBus } from './broker/embedded.ts'
import { Budgets } from './budgets/budgets.ts'
import { createGateway, type Gateway, type GatewayOptions } from './gateway.ts'
import { firstKeys, insideSource } from './key-directory/sources.ts'
import { createServiceHost, type ServiceHost } from './service/host.ts'
import type { ContentSource } from './service/offers.ts'
import { act, call } from './service/service.ts'
import { throwUnlisted } from './service/unlisted.ts'
import type { Database } from './storage/database.ts'
import { hum, note, noted, secret, silent, slow } from './test-contracts.ts'

export interface TestSite {
  gateway: Gateway
  service: ServiceHost
  database: Database
  budgets: Budgets
  notes(): Promise<string[]>
  url: string
  directory: string
  /** Lets calls of `test.slow` end. */
  letGo(): void
  newClaim(more?: { roles?: string[]; lifeMs?: number }): Promise<string>
  stop(): Promise<void>
}

export interface TestSiteOptions {
  directory?: string
  files?: Files
  bus?: (options: { admit: ConstructorParameters<typeof EmbeddedBus>[0]['admit'] }) => Bus
  busLimits?: Partial<BusLimits>
  limits?: GatewayOptions['limits']
  log?: Log
  tls?: { key: string; cert: string }
  telemetry?: GatewayOptions['telemetry']
  /** In place of this machine's. */
  clock?: Clock
  /** The gateway's own key; the same at every test site when absent. */
  key?: KeyObject
  /** What the service offers to devices. */
  downloads?: ContentSource
  /** COSE_Key that signs releases. */
  releaseKey?: Uint8Array
}

const standardKey = generateKey('ed25519', systemRandom)
const placementKey = coseKey(publicOf(generateKey('ed25519', systemRandom)))
const placementAgreement = coseKey(publicOf(generateKey('x25519', systemRandom)))
const placementKeys = firstKeys({ key: placementKey, agreement: placementAgreement })
export const site = 'tokyo'

export async function startTestSite(options: TestSiteOptions = {}): Promise<TestSite> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'azukari-'))
  const log = options.log ?? silent
  const ports = { clock: options.clock ?? systemClock, random: systemRandom, log, defer: systemDefer }
  const database = openDatabase(join(directory, 'gateway.db'))
  const serviceDatabase = openDatabase(join(directory, 'placement.db'))
  const budgets = new Budgets()
  let release: (() => void)[] = []
  const service = await createServiceHost({
    unlisted: throwUnlisted,
    name: 'placement',
    database: serviceDatabase,
    ...ports,
    budgets,
    downloads: options.downloads,
    migrations: [{ number: 1, name: 'notes', up: 'CREATE TABLE notes (n INTEGER PRIMARY KEY, text TEXT NOT NULL)' }],
    handlers: [
      act(note, async ({ text }, { sql, emit, caller }) => {
        await sql.run('INSERT INTO notes (text) VALUES (?)', text)
        if (text === 'refuse') throw new Problem('member.suspended')
        if (text.startsWith('tell')) await emit(noted, caller.device, { text })
        if (text.startsWith('hum')) await emit(hum, caller.device, { text })
        return { n: (await sql.get<{ n: number }>('SELECT max(n) AS n FROM notes'))!.n }
      }),
      call(slow, () => new Promise<Record<never, never>>((resolve) => release.push(() => resolve({})))),
    ],
  })
  const listener: SocketListener = listenOn({ host: '127.0.0.1', port: 0, tls: options.tls })
  const gateway = await createGateway({
    unlisted: throwUnlisted,
    site,
    version: '1',
    key: options.key ?? standardKey,
    keySources: () => [insideSource('placement', { held: async () => placementKeys })],
    database,
    files: options.files ?? systemFiles(),
    bufferDirectory: join(directory, 'buffer'),
    releaseDirectory: join(directory, 'releases'),
    releaseKey: options.releaseKey,
    bus: (admit) =>
      options.bus?.({ admit }) ??
      new EmbeddedBus({
        site,
        listeners: [listener],
        admit,
        clock: systemClock,
        log,
        budgets,
        ...(options.telemetry && { discoveryPrefix: options.telemetry.prefix }),
        ...(options.busLimits && { limits: options.busLimits }),
      }),
    services: () => [service],
    carryFrame: async (server, frame) => {
      if (server !== 'osaka') throw new Problem('server.unreachable', server)
      return frame.toReversed()
    },
    ...ports,
    budgets,
    contracts: [note, noted, hum, secret, slow],
    ...(options.limits && { limits: options.limits }),
    ...(options.telemetry && { telemetry: options.telemetry }),
  })
  await gateway.start()
  return {
    gateway,
    service,
    database,
    budgets,
    notes: async () =>
      (await serviceDatabase.all<{ text: string }>('SELECT text FROM notes ORDER BY n')).map((row) => row.text),
    url: `${options.tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${listener.port}`,
    directory,
    letGo: () => {
      for (const go of release) go()
      release = []
    },
    newClaim: async ({ roles = [], lifeMs = 60_000 } = {}) => gateway.newClaim({ region: 'JP-13', roles, lifeMs }),
    stop: async () => {
      await gateway.stop()
      await database.close()
      await serviceDatabase.close()
      if (!options.directory) rmSync(directory, { recursive: true, force: true })
    },
  }
}
