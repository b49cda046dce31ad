/** A whole gateway with one service that keeps what it is told, durable, and devices enrolled at it: for B2 and B11. */

import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { systemDefer } from '@azukari/gateway/adapters/defer'
import { listenOn } from '@azukari/gateway/adapters/listen'
import { EmbeddedBus } from '@azukari/gateway/broker/embedded'
import { createGateway, type Gateway } from '@azukari/gateway/gateway'
import { firstKeys, insideSource } from '@azukari/gateway/key-directory/sources'
import { Devices } from '@azukari/gateway/registry/devices'
import { createServiceHost } from '@azukari/gateway/service/host'
import { act } from '@azukari/gateway/service/service'
import { throwUnlisted } from '@azukari/gateway/service/unlisted'
import type { Database } from '@azukari/gateway/storage/database'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { base32 } from '@azukari/protocol/base32'
import { contract, Type } from '@azukari/protocol/contract'
import { mapInOrder } from '@azukari/protocol/in-order'
import { coseKey, generateKey, privateCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'

const silent: Log = {
  debug() {},
  info() {},
  warn() {},
  error: (message, fields) => console.error(message, fields),
  child: () => silent,
}

export const benchSite = 'bench'

export const record = contract({
  name: 'bench.record',
  kind: 'act',
  service: 'placement',
  authority: 'device',
  title: 'a member’s act',
  serves: [],
  request: Type.Object({ text: Type.String({ maxLength: 8_000 }) }),
  reply: Type.Object({ n: Type.Integer() }),
})

/** As the load needs it: private COSE_Key in hex. */
export interface EnrolledDevice {
  id: string
  key: string
  epoch: number
}

export interface ActGateway {
  gateway: Gateway
  bus: EmbeddedBus
  port: number
  /** The service's own database. */
  records: Database
  counts: Readonly<{ commits: number }>
  stop(): Promise<void>
}

/** Starts it over what the folder holds. */
export async function startActGateway(directory: string, key: KeyObject, port = 0): Promise<ActGateway> {
  const database = openDatabase(join(directory, 'gateway.db'))
  const records = openDatabase(join(directory, 'placement.db'))
  const ports = { clock: systemClock, random: systemRandom, log: silent, defer: systemDefer }
  const service = await createServiceHost({
    unlisted: throwUnlisted,
    name: 'placement',
    database: records,
    ...ports,
    migrations: [
      {
        number: 1,
        name: 'records',
        up: 'CREATE TABLE records (n INTEGER PRIMARY KEY, device TEXT NOT NULL, text TEXT NOT NULL)',
      },
    ],
    handlers: [
      act(record, async ({ text }, { sql, caller }) => {
        await sql.run('INSERT INTO records (device, text) VALUES (?, ?)', caller.device, text)
        return { n: text.length }
      }),
    ],
  })
  const listener = listenOn({ host: '127.0.0.1', port })
  let bus: EmbeddedBus | undefined
  const agreement = coseKey(publicOf(generateKey('x25519', systemRandom)))
  const placementKeys = firstKeys({ key: coseKey(publicOf(key)), agreement })
  const gateway = await createGateway({
    unlisted: throwUnlisted,
    site: benchSite,
    version: '1',
    key,
    keySources: () => [insideSource('placement', { held: async () => placementKeys })],
    database,
    files: systemFiles(),
    bufferDirectory: join(directory, 'buffer'),
    releaseDirectory: join(directory, 'releases'),
    bus: (admit) => {
      bus = new EmbeddedBus({
        site: benchSite,
        listeners: [listener],
        admit,
        clock: systemClock,
        log: silent,
        limits: { messagesPerSecond: 100_000 },
      })
      return bus
    },
    services: () => [service],
    carryFrame: async (_server, frame) => frame,
    ...ports,
    contracts: [record],
  })
  await gateway.start()
  return {
    gateway,
    bus: bus!,
    port: listener.port,
    records,
    counts: service.counts,
    stop: async () => {
      await gateway.stop()
      await database.close()
      await records.close()
    },
  }
}

/** Enrols devices as if each had come with its claim. The gateway must not be running, or not have heard of them. */
export async function enrolMany(directory: string, count: number): Promise<EnrolledDevice[]> {
  const database = openDatabase(join(directory, 'gateway.db'))
  try {
    return enrolAt(database, count)
  } finally {
    await database.close()
  }
}

/** As `enrolMany`, in a gateway's database that is open. */
export async function enrolAt(database: Database, count: number): Promise<EnrolledDevice[]> {
  const registry = new Devices(database)
  return database.transaction((sql) =>
    mapInOrder(Array.from({ length: count }), async () => {
      const key = generateKey('ed25519', systemRandom)
      const id = base32(thumbprint(key).subarray(0, 15))
      await registry.enrol(sql, {
        id,
        key: coseKey(publicOf(key)),
        model: 'bench',
        version: '1',
        roles: 'camera',
        region: 'JP-13',
        latitude: null,
        longitude: null,
        enrolled_ms: 1,
        claim: 'bench',
      })
      return { id, key: Buffer.from(privateCoseKey(key)).toString('hex'), epoch: 1 }
    }),
  )
}
