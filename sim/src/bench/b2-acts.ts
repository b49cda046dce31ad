/**
 * B2: member acts through the whole gateway (packet, seal, decode, guard, validate, authorise, inbox + effect + reply,
 * durable, sealed answer), beside the bare embedded broker that forwards the same bytes at QoS 1, and beside SQLite that
 * inserts the same rows in batches with full sync. Clients are a process of their own.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { listenOn } from '@azukari/gateway/adapters/listen'
import { systemSoon } from '@azukari/gateway/adapters/soon'
import { EmbeddedBus } from '@azukari/gateway/broker/embedded'
import { createGateway } from '@azukari/gateway/gateway'
import { Devices } from '@azukari/gateway/registry/devices'
import { createServiceHost } from '@azukari/gateway/service/host'
import { act } from '@azukari/gateway/service/service'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { base32 } from '@azukari/protocol/base32'
import { contract, Type } from '@azukari/protocol/contract'
import { coseKey, generateKey, privateCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Aedes } from 'aedes'
import type { LoadOrder, LoadResult } from './act-load.ts'
import { median, type Row, spread } from './row.ts'

const silent: Log = {
  debug() {},
  info() {},
  warn() {},
  error: (message, fields) => console.error(message, fields),
  child: () => silent,
}
const site = 'bench'
const record = contract({
  name: 'bench.record',
  kind: 'act',
  service: 'placement',
  authority: 'device',
  title: 'a member’s act',
  serves: [],
  request: Type.Object({ text: Type.String({ maxLength: 8_000 }) }),
  reply: Type.Object({ n: Type.Integer() }),
})

export interface B2Options {
  devices?: number
  actsPerDevice?: number
  rounds?: number
  windowActs?: number
  bodies?: readonly number[]
}

export async function run({
  devices = 32,
  actsPerDevice = 1_500,
  rounds = 3,
  windowActs = 16,
  bodies = [150, 2_850],
}: B2Options = {}): Promise<Row[]> {
  const rows: Row[] = []
  for (const bodyBytes of bodies) {
    const acts: LoadResult[] = []
    const bare: LoadResult[] = []
    const raw: number[] = []
    for (let round = 0; round < rounds; round++) {
      const world = await startGateway(devices)
      try {
        acts.push(await load({ ...world.order, mode: 'acts', bodyBytes, actsPerDevice, windowActs }))
        world.check(devices * actsPerDevice)
      } finally {
        await world.stop()
      }
      bare.push(await runBare({ ...world.order, mode: 'bare', bodyBytes, actsPerDevice, windowActs }))
      raw.push(rawInserts(acts.at(-1)!.wireBytes, devices * actsPerDevice))
    }
    const perSecond = (result: LoadResult) => (result.acts / result.ms) * 1000
    const value = median(acts.map(perSecond))
    const peer = median(bare.map(perSecond))
    const size = `${(acts[0]!.wireBytes / 1000).toFixed(1)} KB`
    rows.push({
      row: 'B2',
      what: `durable acts of ${size} through the gateway, against the bare broker`,
      value,
      unit: 'acts/s',
      peer,
      ratio: value / peer,
      target: '≥ 0.3',
      met: value / peer >= 0.3,
      note: `gateway ${spread(acts.map(perSecond))}, broker ${spread(bare.map(perSecond))}; clients used ${median(acts.map((result) => result.cpuMs / result.ms)).toFixed(2)} of a core`,
    })
    rows.push({
      row: 'B2',
      what: `durable acts of ${size}`,
      value,
      unit: 'acts/s',
      peer: 10_000,
      ratio: value / 10_000,
      target: '≥ 10,000',
      met: value >= 10_000,
      note: 'two cores, one of them for the clients',
    })
    const inserts = median(raw)
    rows.push({
      row: 'B2',
      what: `durable acts of ${size}, against SQLite inserting batches of 512 with full sync`,
      value,
      unit: 'acts/s',
      peer: inserts,
      ratio: value / inserts,
      target: '—',
      met: true,
      note: `SQLite ${spread(raw)}`,
    })
    const world = await startGateway(devices)
    try {
      const half = await load({
        ...world.order,
        mode: 'acts',
        bodyBytes,
        actsPerDevice: Math.ceil(actsPerDevice / 2),
        windowActs,
        pace: value / 2,
      })
      rows.push({
        row: 'B2',
        what: `acts of ${size} at half load: p99`,
        value: half.p99Ms,
        unit: 'ms',
        peer: half.p50Ms,
        ratio: half.p99Ms / half.p50Ms,
        target: '< 50 ms',
        met: half.p99Ms < 50,
        note: `p50 ${half.p50Ms.toFixed(1)} ms at ${Math.round(value / 2)} acts/s`,
      })
    } finally {
      await world.stop()
    }
  }
  return rows
}

type Order = Pick<LoadOrder, 'port' | 'site' | 'devices' | 'gatewayKey' | 'contract'>

async function startGateway(
  count: number,
): Promise<{ order: Order; check: (acts: number) => void; stop: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'azukari-b2-'))
  const database = openDatabase(join(directory, 'gateway.db'))
  const serviceDatabase = openDatabase(join(directory, 'placement.db'))
  const ports = { clock: systemClock, random: systemRandom, log: silent, soon: systemSoon }
  const service = createServiceHost({
    name: 'placement',
    database: serviceDatabase,
    ...ports,
    migrations: [
      {
        number: 1,
        name: 'records',
        up: 'CREATE TABLE records (n INTEGER PRIMARY KEY, device TEXT NOT NULL, text TEXT NOT NULL)',
      },
    ],
    handlers: [
      act(record, ({ text }, { sql, caller }) => {
        sql.run('INSERT INTO records (device, text) VALUES (?, ?)', caller.device, text)
        return { n: text.length }
      }),
    ],
  })
  const key = generateKey('ed25519', systemRandom)
  const listener = listenOn({ host: '127.0.0.1', port: 0 })
  const gateway = createGateway({
    site,
    version: '1',
    key,
    placement: { key: coseKey(publicOf(key)), agreement: coseKey(publicOf(generateKey('x25519', systemRandom))) },
    database,
    files: systemFiles(),
    bufferDirectory: join(directory, 'buffer'),
    bus: (admit) =>
      new EmbeddedBus({
        site,
        listeners: [listener],
        admit,
        clock: systemClock,
        log: silent,
        limits: { messagesPerSecond: 100_000 },
      }),
    services: () => [service],
    carryFrame: async (_server, frame) => frame,
    ...ports,
    contracts: [record],
  })
  const registry = new Devices(database)
  const devices = Array.from({ length: count }, () => {
    const deviceKey = generateKey('ed25519', systemRandom)
    const id = base32(thumbprint(deviceKey).subarray(0, 15))
    registry.enrol(database, {
      id,
      key: coseKey(publicOf(deviceKey)),
      model: 'bench',
      version: '1',
      roles: 'camera',
      region: 'JP-13',
      latitude: null,
      longitude: null,
      enrolled_ms: 1,
      claim: 'bench',
    })
    return { id, key: Buffer.from(privateCoseKey(deviceKey)).toString('hex'), epoch: 1 }
  })
  await gateway.start()
  return {
    order: {
      port: listener.port,
      site,
      devices,
      gatewayKey: Buffer.from(coseKey(publicOf(key))).toString('hex'),
      contract: record.id,
    },
    check: (acts) => {
      const { n } = serviceDatabase.get<{ n: number }>('SELECT count(*) AS n FROM records')!
      const { synchronous } = serviceDatabase.get<{ synchronous: number }>('PRAGMA synchronous')!
      if (n !== acts || synchronous !== 2) throw new Error(`${n} of ${acts} acts were done, synchronous ${synchronous}`)
      if (process.env['AZUKARI_BENCH_DETAIL'])
        console.error({ commits: service.counts.commits, actsPerCommit: acts / service.counts.commits })
    },
    stop: async () => {
      await gateway.stop()
      database.close()
      serviceDatabase.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function runBare(order: LoadOrder): Promise<LoadResult> {
  const broker = await Aedes.createBroker({ concurrency: 1_000 })
  const server = createServer({ noDelay: true }, (socket) => void broker.handle(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await load({ ...order, port: (server.address() as { port: number }).port })
  } finally {
    await new Promise<void>((resolve) => broker.close(() => resolve()))
    server.close()
  }
}

/** The same rows that an act makes, without anything around them. */
function rawInserts(bytes: number, count: number): number {
  const directory = mkdtempSync(join(tmpdir(), 'azukari-b2-'))
  const database = openDatabase(join(directory, 'raw.db'))
  try {
    database.script('CREATE TABLE rows (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL)')
    const row = systemRandom.bytes(bytes)
    const started = systemClock.monotonicMs()
    for (let done = 0; done < count; done += 512)
      database.transaction((sql) => {
        for (let i = done; i < Math.min(count, done + 512); i++) sql.run('INSERT INTO rows (bytes) VALUES (?)', row)
      })
    return (count / (systemClock.monotonicMs() - started)) * 1000
  } finally {
    database.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Runs the load in a process of its own. */
async function load(order: LoadOrder): Promise<LoadResult> {
  const child: ChildProcess = fork(new URL('./act-load.ts', import.meta.url), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [],
  })
  return new Promise((resolve, reject) => {
    child.on('message', (message: { ready?: boolean; result?: LoadResult; error?: string }) => {
      if (message.ready) child.send({ go: true })
      else if (message.result) resolve(message.result)
      else reject(new Error(message.error))
    })
    child.once('exit', (code) => reject(new Error(`the clients ended with ${code}`)))
    child.send(order)
  })
}
