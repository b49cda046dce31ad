/**
 * B10: transfer of blocks of 64 KiB into the receive buffer (each checked, written and fsynced before it counts), beside
 * the bare broker that forwards the same blocks; what ten cuts of the line cost; memory at two sizes.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { systemDefer } from '@azukari/gateway/adapters/defer'
import { listenOn } from '@azukari/gateway/adapters/listen'
import { EmbeddedBus } from '@azukari/gateway/broker/embedded'
import { createGateway } from '@azukari/gateway/gateway'
import { firstKeys, insideSource } from '@azukari/gateway/key-directory/sources'
import { throwUnlisted } from '@azukari/gateway/service/unlisted'
import { transferStore } from '@azukari/gateway/transfer/store'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { mapInOrder } from '@azukari/protocol/in-order'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { blockBytes } from '@azukari/protocol/transfer'
import { enrolAt } from './act-gateway.ts'
import { load, withBareBroker } from './load.ts'
import { median, type Row, spread } from './row.ts'
import type { TransferOrder, TransferResult } from './transfer-load.ts'

const silent: Log = {
  debug() {},
  info() {},
  warn() {},
  error: (message, fields) => console.error(message, fields),
  child: () => silent,
}
const site = 'bench'
const photoBytes = 12 * 1024 * 1024

export interface B10Options {
  quick?: boolean
  rounds?: number
  objects?: number
}

export async function run({
  quick = false,
  rounds = quick ? 1 : 3,
  objects = quick ? 2 : 8,
}: B10Options = {}): Promise<Row[]> {
  const through: TransferResult[] = []
  const bare: TransferResult[] = []
  for (let round = 0; round < rounds; round++) {
    through.push(
      await withGateway(2, (order, check) =>
        loadOf({ ...order, mode: 'transfer', sizeBytes: photoBytes, objects, windowBlocks: 32, cuts: 0 }).then(check),
      ),
    )
    bare.push(
      await withGateway(2, (order) =>
        withBareBroker((port) =>
          loadOf({ ...order, port, mode: 'bare', sizeBytes: photoBytes, objects, windowBlocks: 32, cuts: 0 }),
        ),
      ),
    )
  }
  const rate = (result: TransferResult) => result.bytes / 1e6 / (result.ms / 1000)
  const value = median(through.map(rate))
  const peer = median(bare.map(rate))
  const cut = await withGateway(1, (order, check) =>
    loadOf({ ...order, mode: 'transfer', sizeBytes: photoBytes, objects: 1, windowBlocks: 32, cuts: 10 }).then(check),
  )
  const maxAgain = 10 * cut.windowBlocks
  const small = await peakGrowth(photoBytes, quick)
  const large = await peakGrowth(photoBytes * (quick ? 4 : 20), quick)
  return [
    {
      row: 'B10',
      what: 'transfer of 12 MB objects, every block checked and fsynced, against the bare broker forwarding the same blocks',
      value,
      unit: 'MB/s',
      peer,
      ratio: value / peer,
      target: '≥ 0.7',
      met: value / peer >= 0.7,
      note: `gateway ${spread(through.map(rate))}, broker ${spread(bare.map(rate))}`,
    },
    {
      row: 'B10',
      what: 'bytes sent again over ten cuts of a 12 MB object, against ten windows',
      value: cut.blocksAgain * blockBytes,
      unit: 'bytes',
      peer: maxAgain * blockBytes,
      ratio: cut.blocksAgain / maxAgain,
      target: '≤ one window per cut',
      met: cut.blocksAgain <= maxAgain,
      note: `${cut.blocksAgain} blocks; window ${cut.windowBlocks} blocks`,
    },
    {
      row: 'B10',
      what: `gateway memory during an upload of ${Math.round(large.sizeBytes / 2 ** 20)} MiB, against one of 12 MiB`,
      value: large.peakMb,
      unit: 'MB',
      peer: small.peakMb,
      ratio: large.peakMb / small.peakMb,
      target: 'constant (≤ 1.25)',
      met: large.peakMb / small.peakMb <= 1.25,
      note: 'resident set of this process, broker and harness included',
    },
  ]
}

const clients = new URL('./transfer-load.ts', import.meta.url)
const loadOf = (order: TransferOrder) => load<TransferResult>(clients, order)

type Order = Pick<TransferOrder, 'port' | 'site' | 'devices' | 'gatewayKey'>

/** A gateway on the real disk while `work` runs; `check` looks whether the blocks are really there. */
async function withGateway(
  count: number,
  work: (order: Order, check: (result: TransferResult) => Promise<TransferResult>) => Promise<TransferResult>,
): Promise<TransferResult> {
  const directory = mkdtempSync(join(tmpdir(), 'azukari-b10-'))
  const database = openDatabase(join(directory, 'gateway.db'))
  const key = generateKey('ed25519', systemRandom)
  const listener = listenOn({ host: '127.0.0.1', port: 0 })
  const agreement = coseKey(publicOf(generateKey('x25519', systemRandom)))
  const placementKeys = firstKeys({ key: coseKey(publicOf(key)), agreement })
  const gateway = await createGateway({
    unlisted: throwUnlisted,
    site,
    version: '1',
    key,
    keySources: () => [insideSource('placement', { held: async () => placementKeys })],
    database,
    files: systemFiles(),
    bufferDirectory: join(directory, 'buffer'),
    releaseDirectory: join(directory, 'releases'),
    bus: (admit) => new EmbeddedBus({ site, listeners: [listener], admit, clock: systemClock, log: silent }),
    services: () => [],
    carryFrame: async (_server, frame) => frame,
    clock: systemClock,
    random: systemRandom,
    log: silent,
    defer: systemDefer,
  })
  const devices = await enrolAt(database, count)
  await gateway.start()
  try {
    return await work(
      { port: listener.port, site, devices, gatewayKey: Buffer.from(coseKey(publicOf(key))).toString('hex') },
      async (result) => {
        const whole = await mapInOrder(
          await transferStore.ids(database),
          async (id) => (await transferStore.find(database, id))!,
        )
        const bytes = whole.reduce((sum, row) => sum + (row.complete ? row.size_bytes : 0), 0)
        if (bytes !== result.bytes) throw new Error(`${bytes} of ${result.bytes} bytes are in the buffer`)
        return result
      },
    )
  } finally {
    await gateway.stop()
    await database.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function peakGrowth(sizeBytes: number, quick: boolean): Promise<{ sizeBytes: number; peakMb: number }> {
  const peaks: number[] = []
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    let peak = 0
    let watching = true
    const watch = (async () => {
      while (watching) {
        peak = Math.max(peak, process.memoryUsage.rss())
        await systemClock.sleep(20)
      }
    })()
    await withGateway(1, (order, check) =>
      loadOf({ ...order, mode: 'transfer', sizeBytes, objects: 1, windowBlocks: 32, cuts: 0 }).then(check),
    )
    watching = false
    await watch
    peaks.push(peak / 1e6)
  }
  return { sizeBytes, peakMb: median(peaks) }
}
