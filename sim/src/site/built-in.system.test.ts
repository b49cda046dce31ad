/** The whole way of a PC without a reader: the card is built in, issued by command, registered, used, and kept over restarts. */
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { loadBoard } from '@azukari/device/adapters/load-board'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { type DeviceRole, Runtime } from '@azukari/device/runtime'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import t from 'tap'
import { SimulatedCamera } from '../testkit/boards/index.ts'
import { quietLog as log } from '../testkit/log.ts'
import { SeededRandom } from '../testkit/world/chance.ts'
import { samePixels } from './independent-decoder.ts'
import { gatewayCommand } from './processes.ts'
import { SimulatedSite } from './site.ts'
import { until } from './wait.ts'

const ports = { clock: systemClock, random: systemRandom, files: systemFiles() }
const pin = '2468'
const cli = join(import.meta.dirname, '../../../device/src/cli.ts')

t.test('S14 S15 S10: a PC with a card built in keeps a photo in two places and prints it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-built-in-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const site = new SimulatedSite({ folder, log, tell: () => undefined, boards: [] })
  t.teardown(() => site.stop())
  await site.start()
  const own = `${folder}/devices/pc`
  const directory = `${own}/parts`
  for (const part of ['camera', 'prints', 'memory', 'scanner', 'pc'])
    await mkdir(`${directory}/${part}`, { recursive: true })
  let claim: string | undefined = await site.newClaim('JP-13')

  /** As `azukari-device run --board pc-kiosk --role ROLE`, in this process. */
  const start = async (role: DeviceRole) => {
    const board = await loadBoard('pc-kiosk', { ...ports, log, directory })
    const runtime = new Runtime(
      { site: 'site', roles: [role], claim, model: board.model, version: '0.1.0', folder: own },
      {
        ...ports,
        database: await openDeviceDatabase(`${own}/device.db`),
        transport: mqttTransport({ url: site.broker }),
        log,
      },
      board,
    )
    await runtime.start()
    claim = undefined
    return runtime
  }

  let runtime = await start('camera')
  t.teardown(() => runtime.stop())
  await until('the line', () => runtime.link.up)
  const record = `${folder}/card.json`
  const issued = spawnSync(
    process.execPath,
    [cli, 'card', 'issue', '--folder', own, '--name', 'Hanako', '--home', 'JP-13', '--record', record],
    { encoding: 'utf8', env: { ...process.env, AZUKARI_PIN: pin } },
  )
  t.equal(issued.status, 0, `issued for the site at which the device is enrolled ${issued.stderr}`)
  await until('the card', () => runtime.presence?.card)
  await gatewayCommand(['member', 'add', '--folder', folder, record])
  runtime.presence!.refresh()
  await runtime.stop()

  runtime = await start('camera')
  const session = await until('the session', () => runtime.presence?.card?.session)
  t.equal(session.name, 'Hanako')
  await t.rejects(runtime.camera!.shutter('0000'), { code: 'card.wrong-pin' })
  const camera = new SimulatedCamera({ clock: systemClock, random: new SeededRandom(5), width: 96, height: 64 })
  const { bytes } = await camera.capture(AbortSignal.timeout(10_000))
  const shot = runtime.camera!.shutter(pin)
  await writeFile(`${directory}/camera/IMG_1.JPG.new`, bytes)
  await writeFile(`${directory}/camera/IMG_1.JPG`, bytes)
  const { object } = await shot
  const save = await until(
    'the receipt',
    async () => (await runtime.saves.list(5)).find((one) => one.state === 'kept'),
    60_000,
  )
  t.same(save.object, object)
  t.equal(save.receipt!.replicas.length, 2)
  await until('the conditions on the card', () =>
    runtime.presence!.card!.use(async (client) => client.readConditions().length === 1 || undefined),
  )
  await runtime.stop()

  runtime = await start('printer')
  await until('the session', () => runtime.presence?.card?.session)
  await runtime.printer!.print(object, { pin })
  const [page] = (await readdir(`${directory}/prints`)).filter((name) => name.endsWith('.png'))
  t.ok(await samePixels(await readFile(`${directory}/prints/${page}`), bytes), 'the page is the photo')
})
