/**
 * Serial and USB parts unplugged from a running device (S17, D6): the person is told which part and what to do, in their
 * language, as long as it is gone; the operator sees it too; it goes on without a restart.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type BoardDefinition, buildBoard } from '@azukari/boards/definitions'
import { usualPins } from '@azukari/boards/firmata-panel'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { Runtime } from '@azukari/device/runtime'
import { roles } from '@azukari/gateway/operator-api/role-list'
import { startOperatorApi } from '@azukari/gateway/operator-api/start'
import { SiteFolder } from '@azukari/gateway/site-folder'
import { loadSiteKey } from '@azukari/gateway/site-key'
import { cheapPasswords, noServices } from '@azukari/gateway/test-operator'
import { site as siteName, startTestSite } from '@azukari/gateway/test-site'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { describe, type ProblemCode } from '@azukari/protocol/problem'
import t from 'tap'
import { gatewayCommand } from '../site/processes.ts'
import { until } from '../site/wait.ts'
import { SimulatedDisplay } from '../testkit/boards/index.ts'
import { quietLog as log } from '../testkit/log.ts'
import { FirmataFirmware } from './firmata-firmware.ts'
import { VirtualReader } from './pcscd.ts'
import { Pn532Module } from './pn532-module.ts'
import { PtyPair } from './pty.ts'
import { ReceiptPrinter } from './receipt-printer.ts'

t.setTimeout(240_000)
const ports = { clock: systemClock, random: systemRandom, files: systemFiles() }
const folder = await mkdtemp(join(tmpdir(), 'azukari-unplug-'))
const site = await startTestSite()
const operators = await startOperatorApi({
  folder: new SiteFolder(site.directory, siteName, ports),
  key: await loadSiteKey(ports.files, `${site.directory}/gateway.key`, ports.random),
  site: { ports, folder: site.directory, registry: site.database, isTelemetryOn: false, services: noServices },
  log,
  passwordCost: cheapPasswords,
})
const password = operators.accounts.newPassword()
await operators.accounts.add('admin', roles, password)
await writeFile(`${site.directory}/operator-password`, password, { mode: 0o600 })
t.teardown(async () => {
  await operators.stop()
  await site.stop()
  await rm(folder, { recursive: true, force: true })
})

async function start(name: string, language: 'ja' | 'en', parts: BoardDefinition['parts']) {
  const own = `${folder}/devices/${name}`
  await ports.files.makeDirectory(own)
  const display = new SimulatedDisplay({ rows: 6 })
  const board = await buildBoard(
    { model: name, what: 'unplugged in the loop', parts: { ...parts, display: { driver: 'seen' } } },
    { ...ports, log, directory: own, makers: { seen: () => display } },
  )
  const runtime = new Runtime(
    {
      site: siteName,
      roles: ['terminal'],
      claim: await site.newClaim(),
      model: name,
      version: '0.1.0',
      folder: own,
      language,
    },
    {
      ...ports,
      database: await openDeviceDatabase(`${own}/device.db`),
      transport: mqttTransport({ url: site.url }),
      log,
    },
    board,
  )
  await runtime.start()
  t.teardown(() => runtime.stop())
  await until('the line', () => runtime.link.up)
  const shows = (code: ProblemCode) => {
    const { title, todo } = describe(code, language)
    const lines = display.current?.lines ?? []
    return lines.includes(title) && lines.includes(todo)
  }
  return { runtime, board, display, shows, id: runtime.identity.device }
}

interface ListedPart {
  part: string
  state: string
  detail?: string
  sinceMs?: number
}

/** What `azukari-gateway device list` says of one device. */
async function listed(id: string): Promise<ListedPart[]> {
  const devices = await gatewayCommand<{ id: string; parts?: ListedPart[] }[]>([
    'device',
    'list',
    '--folder',
    site.directory,
  ])
  return devices.find((device) => device.id === id)?.parts ?? []
}

/** The same, as people read it. */
async function list(): Promise<string> {
  const cli = join(import.meta.dirname, '../../../gateway/src/cli.ts')
  const env = { ...process.env, XDG_STATE_HOME: `${site.directory}/state` }
  const call = [cli, 'device', 'list', '--folder', site.directory]
  return (await promisify(execFile)(process.execPath, call, { env })).stdout
}

async function listedAs(id: string, part: string, state: string) {
  let last: ListedPart[] = []
  const look = async () => {
    last = await listed(id)
    return last.find((one) => one.part === part && one.state === state)
  }
  return until(`${part} ${state} in the operator’s list`, look, 90_000).catch((error) => {
    t.comment(JSON.stringify(last))
    throw error
  })
}

t.test('S17 D6: panel and PC/SC reader: told in Japanese, on the lamp, and to the operator', async (t) => {
  const reader = await VirtualReader.start()
  t.teardown(() => reader.stop())
  const line = await PtyPair.open()
  t.teardown(() => line.close())
  let firmware = new FirmataFirmware(line.far)
  const device = await start('counter', 'ja', {
    reader: { driver: 'pcsc' },
    panel: { driver: 'firmata', path: line.path, againMs: 200 },
  })
  await listedAs(device.id, 'panel', 'present')
  await listedAs(device.id, 'reader', 'present')

  const beforeMs = Date.now()
  await line.unplug()
  await until('the notice', () => device.shows('panel.absent'))
  const gone = await listedAs(device.id, 'panel', 'absent')
  t.equal(gone.detail, 'panel.absent')
  t.ok(Math.abs(gone.sinceMs! - beforeMs) < 60_000, 'since when')
  t.match(await list(), /panel absent since 20.*Z \(panel\.absent\)/)
  await line.plug()
  firmware = new FirmataFirmware(line.far)
  await until('the notice to go', () => !device.shows('panel.absent'))
  await listedAs(device.id, 'panel', 'present')

  await reader.stopDaemon()
  await until('the notice', () => device.shows('reader.absent'))
  const lamp = usualPins.lamps.problem!
  await until('the lamp', () => (firmware.driven.get(lamp) ?? 0) > 0)
  // Both at once: each is told, and the one that comes back first goes first.
  await line.unplug()
  await until('both', () => device.shows('reader.absent') && device.shows('panel.absent'))
  await reader.startDaemon()
  await until('the reader’s to go', () => !device.shows('reader.absent') && device.shows('panel.absent'))
  await line.plug()
  firmware = new FirmataFirmware(line.far)
  await until('nothing to tell', () => !device.shows('panel.absent'))
  await until('a dark lamp', () => firmware.driven.get(lamp) === 0)
  t.not(device.display.current?.tone, 'problem', 'what the app shows is alone again')
  await listedAs(device.id, 'reader', 'present')
})

t.test('S17 D6: NFC reader and receipt printer on serial lines: told in English, and to the operator', async (t) => {
  const lines = [await PtyPair.open(), await PtyPair.open()] as const
  t.teardown(() => Promise.all(lines.map((line) => line.close())))
  new Pn532Module(lines[0].far)
  new ReceiptPrinter(lines[1].far)
  const device = await start('kiosk', 'en', {
    reader: { driver: 'pn532', path: lines[0].path, againMs: 200, pollMs: 100 },
    printer: { driver: 'escpos', path: lines[1].path, againMs: 200 },
  })
  await listedAs(device.id, 'reader', 'present')
  await listedAs(device.id, 'printer', 'present')
  await lines[0].unplug()
  await until('the notice', () => device.shows('reader.absent'))
  await lines[1].unplug()
  await until('both', () => device.shows('reader.absent') && device.shows('printer.offline'))
  await listedAs(device.id, 'printer', 'absent')
  await lines[1].plug()
  const far = new ReceiptPrinter(lines[1].far)
  await until('the printer’s to go', () => !device.shows('printer.offline'))
  t.ok(far)
  await lines[0].plug()
  new Pn532Module(lines[0].far)
  await until('nothing to tell', () => !device.shows('reader.absent'))
  await listedAs(device.id, 'reader', 'present')
  await listedAs(device.id, 'printer', 'present')
})
