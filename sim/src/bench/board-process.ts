/**
 * A board under measurement: the runtime with the drivers of one board definition, whose parts are not there, as on a
 * bench. `node board-process.ts '{"broker":…,"folder":…,"claim":…,"board":"pi4-kiosk"}'`
 */
import { boardDefinition, buildBoard } from '@azukari/boards/definitions'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { rolesOf } from '@azukari/device/main'
import { Runtime } from '@azukari/device/runtime'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { quietLog as log } from '../testkit/log.ts'

const { broker, folder, claim, board } = JSON.parse(process.argv[2]!) as Record<
  'broker' | 'folder' | 'claim' | 'board',
  string
>
const definition = boardDefinition(board)
const ports = { clock: systemClock, random: systemRandom, files: systemFiles(), log }
const parts = await buildBoard(definition, { ...ports, directory: folder })
const runtime = new Runtime(
  {
    roles: rolesOf(parts),
    site: 'site',
    claim,
    model: definition.model,
    version: '0.1.0',
    folder,
  },
  {
    ...ports,
    database: await openDeviceDatabase(`${folder}/device.db`),
    transport: mqttTransport({ url: broker }),
  },
  parts,
)
await runtime.start()
let up = false
runtime.link.onState((state) => {
  if (state === 'up' && !up) process.stdout.write(`${JSON.stringify({ up: true })}\n`)
  up ||= state === 'up'
})
process.once('SIGTERM', () => void runtime.stop().finally(() => process.exit(0)))
