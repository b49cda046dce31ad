/**
 * B2: member acts through the whole gateway (packet, seal, decode, guard, validate, authorise, inbox + effect + reply,
 * durable, sealed answer), beside the bare embedded broker that forwards the same bytes at QoS 1, and beside SQLite that
 * inserts the same rows in batches with full sync. Clients are a process of their own.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import { benchSite, enrolMany, record, startActGateway } from './act-gateway.ts'
import type { LoadOrder, LoadResult } from './act-load.ts'
import { load, withBareBroker } from './load.ts'
import { median, microsecondsSince, type Row, spread } from './row.ts'

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
    const cpu: number[] = []
    for (let round = 0; round < rounds; round++) {
      const world = await startGateway(devices)
      try {
        const before = process.cpuUsage()
        acts.push(await loadOf({ ...world.order, mode: 'acts', bodyBytes, actsPerDevice, windowActs }))
        cpu.push(microsecondsSince(before) / (devices * actsPerDevice))
        await world.check(devices * actsPerDevice)
      } finally {
        await world.stop()
      }
      bare.push(
        await withBareBroker((port) =>
          loadOf({ ...world.order, port, mode: 'bare', bodyBytes, actsPerDevice, windowActs }),
        ),
      )
      raw.push(await rawInserts(acts.at(-1)!.wireBytes, devices * actsPerDevice))
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
    rows.push({
      row: 'B2',
      what: `processor time of the gateway for one act of ${size}`,
      value: median(cpu),
      unit: 'µs',
      peer: null,
      ratio: null,
      target: '≤ 10 % more than before',
      met: null,
      note: `${spread(cpu)}; greeting and sealing among it, clients not`,
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
      const half = await loadOf({
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

const clients = new URL('./act-load.ts', import.meta.url)
const loadOf = (order: LoadOrder) => load<LoadResult>(clients, order)

type Order = Pick<LoadOrder, 'port' | 'site' | 'devices' | 'gatewayKey' | 'contract'>

async function startGateway(
  count: number,
): Promise<{ order: Order; check: (acts: number) => Promise<void>; stop: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'azukari-b2-'))
  const key = generateKey('ed25519', systemRandom)
  const { port, records, counts, stop } = await startActGateway(directory, key)
  return {
    order: {
      port,
      site: benchSite,
      devices: await enrolMany(directory, count),
      gatewayKey: Buffer.from(coseKey(publicOf(key))).toString('hex'),
      contract: record.id,
    },
    check: async (acts) => {
      const { n } = (await records.get<{ n: number }>('SELECT count(*) AS n FROM records'))!
      const { synchronous } = (await records.get<{ synchronous: number }>('PRAGMA synchronous'))!
      if (n !== acts || synchronous !== 2) throw new Error(`${n} of ${acts} acts were done, synchronous ${synchronous}`)
      if (process.env['AZUKARI_BENCH_DETAIL'])
        console.error({ commits: counts.commits, actsPerCommit: acts / counts.commits })
    },
    stop: async () => {
      await stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The same rows that an act makes, without anything around them. */
async function rawInserts(bytes: number, count: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'azukari-b2-'))
  const database = openDatabase(join(directory, 'raw.db'))
  try {
    await database.script('CREATE TABLE rows (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL)')
    const row = systemRandom.bytes(bytes)
    const started = systemClock.monotonicMs()
    for (let done = 0; done < count; done += 512)
      await database.transaction(async (sql) => {
        for (let i = done; i < Math.min(count, done + 512); i++)
          await sql.run('INSERT INTO rows (bytes) VALUES (?)', row)
      })
    return (count / (systemClock.monotonicMs() - started)) * 1000
  } finally {
    await database.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
