/**
 * `npm run demo -- --board hil`: the first whole way through real protocol stacks. The shutter is a button of a Firmata
 * board, the card stands behind PC/SC, the camera is read by ffmpeg, and the page comes out of an IPP Everywhere printer.
 */
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type BoardDefinition, buildBoard } from '@azukari/boards/definitions'
import { type FirmataPanel, usualPins } from '@azukari/boards/firmata-panel'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { type Board, closeBoard } from '@azukari/device/drivers'
import { decodePicture } from '@azukari/device/picture'
import { Runtime } from '@azukari/device/runtime'
import type { Save } from '@azukari/device/saves'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { hex } from '@azukari/protocol/bytes'
import { Checks } from '../site/checks.ts'
import { type DemoOptions, pictureTaken } from '../site/demo.ts'
import { decodeIndependently } from '../site/independent-decoder.ts'
import { pin, SimulatedSite } from '../site/site.ts'
import { until } from '../site/wait.ts'
import { FirmataFirmware } from './firmata-firmware.ts'
import { ReferencePrinter } from './ipp-printer.ts'
import { NetworkCamera } from './network-camera.ts'
import { VirtualReader } from './pcscd.ts'
import { PtyPair } from './pty.ts'

export interface HilDemoReport {
  checks: Checks['list']
  folder: string
}

/** What JPEG of the printer's way may change, mean of 255. */
const differenceMax = 6
const keptMs = 60_000
const shutterPin = usualPins.buttons.shutter!
const ports = { clock: systemClock, random: systemRandom, files: systemFiles() }

/** Runs it, and ends all that it started. */
export async function runHilDemo({ folder: wanted, log, tell }: DemoOptions): Promise<HilDemoReport> {
  const folder = wanted ? resolve(wanted) : await mkdtemp(join(tmpdir(), 'azukari-hil-demo-'))
  await using ends = new AsyncDisposableStack()
  tell('Starting the far ends: PC/SC reader of two slots, Firmata board, network camera, IPP printer')
  const reader = ends.adopt(await VirtualReader.start(), (one) => one.stop())
  const far = ends.adopt(await NetworkCamera.start(), (one) => one.stop())
  const printer = ends.adopt(await ReferencePrinter.start(), (one) => one.stop())
  const line = ends.adopt(await PtyPair.open(), (one) => one.close())
  const site = ends.adopt(new SimulatedSite({ folder, log, tell, boards: [] }), (one) => one.stop())
  await site.start()

  const start = async (role: 'camera' | 'printer', region: string, definition: BoardDefinition) => {
    const own = `${folder}/devices/${role}`
    await mkdir(`${own}/memory`, { recursive: true })
    const board = await buildBoard(definition, { ...ports, log, directory: own })
    const runtime = new Runtime(
      {
        site: 'site',
        roles: [role],
        claim: await site.newClaim(region),
        model: board.model,
        version: '0.1.0',
        folder: own,
      },
      {
        ...ports,
        database: await openDeviceDatabase(`${own}/device.db`),
        transport: mqttTransport({ url: site.broker }),
        log,
      },
      board,
    )
    ends.defer(() => runtime.stop().then(() => closeBoard(board)))
    await runtime.start()
    return { runtime, board }
  }
  const what = 'the demo’s, on real protocol stacks'
  const camera = await start('camera', 'JP-13', {
    model: 'hil-camera',
    what,
    parts: {
      camera: { driver: 'network', url: far.httpUrl },
      reader: { driver: 'pcsc', only: ' 00$' },
      panel: { driver: 'firmata', path: line.path, againMs: 200 },
      memory: { driver: 'directory' },
    },
  })
  const press = await start('printer', 'JP-27', {
    model: 'hil-printer',
    what,
    parts: { printer: { driver: 'ipp', url: printer.url, pollMs: 100 }, reader: { driver: 'pcsc', only: ' 01$' } },
  })
  let firmware = new FirmataFirmware(line.far)
  const panel = camera.board.panel as FirmataPanel
  await until('the panel', () => panel.isReady)

  const checks = new Checks()
  const card = await site.issueCard('Hanako')
  tell('Hanako puts her card into the camera’s reader')
  reader.slots[0].insert(card)
  const session = await until('the session', () => camera.runtime.presence?.card?.session)
  checks.add('S1 C11', 'a session opened by APDUs through the PC/SC daemon', true, `for ${session.name}`)
  // This panel has no keys to type a PIN on: it is given once, as a program at a counter does.
  await camera.runtime.presence!.require().requirePin(pin)

  const saved: { save: Save; bytes: Uint8Array }[] = []
  const newest = async () => {
    const known = new Set(saved.map(({ save }) => hex(save.object)))
    return (await camera.runtime.saves.list(20)).find((one) => one.state === 'kept' && !known.has(hex(one.object)))
  }
  const shoot = async () => {
    tell('The shutter button is pressed')
    const taken = pictureTaken(camera.board.camera!)
    firmware.press(shutterPin)
    const bytes = await taken
    firmware.release(shutterPin)
    const save = await until('the receipt', newest, keptMs)
    saved.push({ save, bytes })
    tell(`  kept in ${save.receipt!.replicas.map((one) => `${one.server} (${one.region})`).join(' and ')}`)
  }
  await shoot()
  tell('The panel is unplugged, and plugged in again')
  await line.unplug()
  await until('the loss', () => !panel.isReady)
  const unpluggedMs = performance.now()
  await line.plug()
  firmware = new FirmataFirmware(line.far)
  await until('the panel', () => panel.isReady)
  const backMs = performance.now() - unpluggedMs
  checks.add('S17', 'the panel worked again within five seconds', backMs < 5_000, `${Math.round(backMs)} ms`)
  await shoot()
  const pairs = saved.map(({ save }) => save.receipt!.replicas)
  checks.add(
    'S5 S7',
    'each photo is kept in two places, the second outside the home region',
    pairs.every((pair) => pair.length === 2 && pair[1]!.region !== 'JP-13'),
    pairs.map((pair) => pair.map((one) => one.region).join('+')).join(', '),
  )

  tell('Hanako takes her card to the printer')
  reader.slots[0].remove()
  await until('the card to leave', () => !camera.runtime.presence?.card)
  reader.slots[1].insert(card)
  await until('the session', () => press.runtime.presence?.card?.session)
  const differences: number[] = []
  for (const { save, bytes } of saved) {
    await press.runtime.printer!.print(save.object, { pin })
    const page = decodePicture((await printer.pages()).at(-1)!)
    differences.push(difference(page.rgba, (await decodeIndependently(bytes)).rgba))
    tell(`Printed: ${save.name}`)
  }
  checks.add(
    'S10',
    'the pages that came out of the IPP printer are the photos',
    differences.length === 2 && differences.every((one) => one < differenceMax),
    `mean differences of 255: ${differences.map((one) => one.toFixed(1)).join(', ')}`,
  )
  checks.add('D2 S17', 'every part was driven through its protocol stack', true, models(camera.board, press.board))
  tell('Stopping')
  return { checks: checks.list, folder }
}

function models(...boards: Board[]): string {
  const parts = boards.flatMap(({ camera, reader, panel, memory, printer }) => [camera, reader, panel, memory, printer])
  return [...new Set(parts.flatMap((part) => (part ? [part.model] : [])))].join(', ')
}

function difference(one: Uint8Array, other: Uint8Array): number {
  if (one.length !== other.length) return 255
  return one.reduce((sum, value, i) => sum + Math.abs(value - other[i]!), 0) / one.length
}
