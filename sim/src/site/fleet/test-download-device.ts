/** A device as a process of its own that keeps what it is sent: `node test-download-device.ts FOLDER BROKER CLAIM`. For tests that kill it. */
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { Runtime } from '@azukari/device/runtime'
import { silent } from '@azukari/gateway/test-contracts'
import { site } from '@azukari/gateway/test-site'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { simulatedBoard } from '../../testkit/boards/index.ts'

const [folder = '', url = '', claim = ''] = process.argv.slice(2)
const ports = { clock: systemClock, random: systemRandom, files: systemFiles(), log: silent }
const downloads = { big: { maxBytes: 2 ** 30, maxFiles: 8 } }
const runtime = new Runtime(
  { site, roles: ['terminal'], claim, model: 'test', version: '1', folder, downloads },
  { ...ports, database: await openDeviceDatabase(`${folder}/device.db`), transport: mqttTransport({ url }) },
  simulatedBoard({ ...ports, model: 'test' }),
)
await runtime.start()
console.log(`up ${runtime.identity.device}`)
const tell = async () => {
  for (const { name } of await runtime.downloads.kept('big')) console.log(`whole ${name}`)
  console.log(`rss ${Math.round(process.resourceUsage().maxRSS / 1024)}`)
}
runtime.downloads.onWhole(() => void tell())
await tell()
