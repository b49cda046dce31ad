/**
 * A device under measurement: the runtime on real ports with the smallest of boards, told over standard input what to
 * keep. `node device-process.ts '{"broker":…,"folder":…,"claim":…}'`
 */
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { Runtime } from '@azukari/device/runtime'
import type { Author } from '@azukari/device/saves'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { signerOf } from '@azukari/protocol/cose'
import { parseCoseKey } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import type { BenchMember } from './member.ts'

const { broker, folder, claim } = JSON.parse(process.argv[2]!) as { broker: string; folder: string; claim?: string }
const say = (fact: unknown) => process.stdout.write(`${JSON.stringify(fact)}\n`)
const tell = (message: string, fields?: unknown) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`)
const log: Log = { debug: () => undefined, info: tell, warn: tell, error: tell, child: () => log }

const runtime = new Runtime(
  { site: 'site', roles: ['terminal'], claim, model: 'bench', version: '0.1.0', folder },
  {
    clock: systemClock,
    random: systemRandom,
    files: systemFiles(),
    log,
    database: await openDeviceDatabase(`${folder}/device.db`),
    transport: mqttTransport({ url: broker }),
  },
  {
    model: 'bench',
    reader: {
      model: 'none',
      onCard: () => ({ [Symbol.dispose]: () => undefined }),
      cards: () => [],
      connect: () => Promise.reject(new Error('no card')),
      close: async () => undefined,
    },
  },
)
await runtime.start()
let up = false
runtime.link.onState((state) => {
  if (state === 'up' && !up) say({ up: true })
  up ||= state === 'up'
})
runtime.saves.onChange((save) => {
  if (save.state === 'kept') say({ kept: save.name })
  if (save.state === 'sent' || save.state === 'buffered') say({ [save.state]: save.name })
  if (save.state === 'refused') say({ kept: save.name, problem: save.problem })
})
const stop = () => void runtime.stop().finally(() => process.exit(0))
process.once('SIGTERM', stop)
createInterface({ input: process.stdin }).on('line', (line) => {
  const { keep, member, acts, level } = JSON.parse(line) as BenchMember & { keep: string }
  const author = {
    member: Buffer.from(member, 'hex'),
    signer: signerOf(parseCoseKey(Buffer.from(acts, 'hex'))),
    level,
    allowsLocation: true,
  }
  void keepFile(keep, author)
})

/** Keeps a file whose pieces share one place in memory, as a camera's driver would hand them over. */
async function keepFile(path: string, author: Author): Promise<void> {
  await using file = await open(path)
  const place = new Uint8Array(65_536)
  const source = {
    sizeBytes: (await file.stat()).size,
    async read(at: number, length: number) {
      const { bytesRead } = await file.read(place, 0, Math.min(length, place.length), at)
      return place.subarray(0, bytesRead)
    },
  }
  await runtime.saves.keep({ source, name: basename(path), mediaType: 'image/jpeg', takenMs: Date.now() }, author)
  say({ here: basename(path) })
}
