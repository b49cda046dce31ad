/**
 * `azukari-device doctor` finds what is attached though no board names it (S17), through the real stacks: PC/SC's daemon,
 * SANE, DNS-SD, mounts, serial lines. Of udev there is a stand-in that tells of pseudo-terminals as it would of USB ports.
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attached } from '@azukari/boards/attached'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import t from 'tap'
import { quietLog as log } from '../testkit/log.ts'
import { FirmataFirmware } from './firmata-firmware.ts'
import { ReferencePrinter } from './ipp-printer.ts'
import { VirtualReader } from './pcscd.ts'
import { Pn532Module } from './pn532-module.ts'
import { PtyPair } from './pty.ts'
import { ReceiptPrinter } from './receipt-printer.ts'

t.setTimeout(240_000)
const folder = mkdtempSync(join(tmpdir(), 'azukari-doctor-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const never = new AbortController().signal
const cli = join(import.meta.dirname, '../../../device/src/cli.ts')

interface Finding {
  what: string
  state: string
  fact: string
  todo?: string
  add?: { part: string; definition: Record<string, unknown> }
}

/** Runs the command in a mount namespace of its own, after what `prepare` says, as JSON or as people read it. */
async function doctor(args: readonly string[], env: NodeJS.ProcessEnv, prepare = 'true'): Promise<string> {
  const own = ['--mount', 'sh', '-c', `${prepare} && exec "$@"`, 'sh', process.execPath, cli, 'doctor']
  const child = spawn('unshare', [...own, '--folder', join(folder, 'device'), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
  await new Promise((resolve) => child.once('close', resolve))
  return out
}
const findings = async (...args: Parameters<typeof doctor>): Promise<Finding[]> =>
  JSON.parse(await doctor([...args[0], '--json'], args[1], args[2])).findings

/** udev's database, as `udevadm info -e` prints it, of USB serial ports. */
function standInForUdev(
  ports: readonly { path: string; vendor: string; product: string; maker: string; id: string }[],
) {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const rows = ports.map(
    ({ path, vendor, product, maker, id }) =>
      `P: /devices/${id}\nN: ${path}\nE: DEVNAME=${path}\nE: ID_VENDOR_ID=${vendor}\nE: ID_MODEL_ID=${product}\nE: ID_VENDOR_ENC=${maker}\n`,
  )
  writeFileSync(join(bin, 'udev.txt'), rows.join('\n'))
  writeFileSync(join(bin, 'udevadm'), `#!/bin/sh\nexec cat ${bin}/udev.txt\n`)
  chmodSync(join(bin, 'udevadm'), 0o755)
  return { PATH: `${bin}:${process.env['PATH']}` }
}

t.test('S17 D2: what is attached is found; the lines it tells make a board that works', async (t) => {
  const reader = await VirtualReader.start()
  t.teardown(() => reader.stop())
  const printer = await ReferencePrinter.start()
  t.teardown(() => printer.stop())
  const lines = [await PtyPair.open(), await PtyPair.open(), await PtyPair.open()] as const
  t.teardown(() => Promise.all(lines.map((line) => line.close())))
  new FirmataFirmware(lines[0].far)
  new Pn532Module(lines[1].far)
  new ReceiptPrinter(lines[2].far)
  const names = lines.map((line, i) => {
    const path = join(folder, `ttyUSB${i}`)
    symlinkSync(line.path, path)
    return path
  })
  const sane = join(folder, 'sane')
  mkdirSync(sane)
  writeFileSync(join(sane, 'dll.conf'), 'test\n')
  const env = {
    ...standInForUdev([
      { path: names[0]!, vendor: '2341', product: '0043', maker: 'Arduino', id: 'one' },
      { path: names[1]!, vendor: '0403', product: '6001', maker: 'FTDI', id: 'two' },
      { path: names[2]!, vendor: '067b', product: '2303', maker: 'Prolific', id: 'three' },
    ]),
    SANE_CONFIG_DIR: sane,
    DBUS_SYSTEM_BUS_ADDRESS: printer.bus,
  }
  const stick = 'mount -t tmpfs none /mnt && mkdir /mnt/stick && mount -t tmpfs -o size=300m none /mnt/stick'
  const found = await findings([], env, stick)
  const of = (what: string) => found.filter((one) => one.what === `attached: ${what}`)
  t.ok(
    found.every(({ state }) => state !== 'problem'),
    'what no board names is no fault of a board',
  )
  t.match(of('PC/SC readers'), [{ fact: /^Virtual PCD 00 00 \(not in the board/ }, { fact: /^Virtual PCD 00 01/ }])
  t.match(of('PC/SC readers')[0]!.add, { part: 'reader', definition: { driver: 'pcsc', only: '^Virtual PCD 00 00$' } })
  t.match(of('scanners')[0], { add: { part: 'inputs', definition: { driver: 'sane', device: 'test:0' } } })
  t.match(of('network printers')[0], { fact: /^ipp:\/\//, add: { definition: { driver: 'ipp' } } })
  t.match(of('serial lines'), [
    { fact: /Arduino Uno, 2341:0043/, add: { part: 'panel', definition: { driver: 'firmata', path: names[0] } } },
    { fact: /FTDI, 0403:6001/, todo: /--identify asks what is on it/ },
    { fact: /Prolific/, todo: /--identify/ },
  ])
  t.match(
    of('media').find(({ fact }) => fact.includes('/mnt/stick')),
    {
      fact: /tmpfs, (29|30)\d MiB free/,
      add: { part: 'memory', definition: { driver: 'directory', folder: '/mnt/stick', mounted: true } },
    },
  )
  t.match(of('cameras'), [{ state: /^(ok|absent)$/ }])

  const asked = await findings(['--identify'], env, stick)
  const serial = asked.filter(({ what }) => what === 'attached: serial lines')
  t.match(
    serial.map(({ add }) => add?.definition),
    [{ driver: 'firmata' }, { driver: 'pn532', path: names[1] }, { driver: 'escpos', path: names[2] }],
    'each serial line said what is on it',
  )

  // The lines it told, as the board's file: now each is named, and answers.
  const line = (what: string, from = found) => from.find((one) => one.what === `attached: ${what}`)!.add!.definition
  const board = join(folder, 'board.json')
  writeFileSync(
    board,
    JSON.stringify({
      model: 'found',
      what: 'what doctor found',
      parts: {
        reader: line('PC/SC readers'),
        panel: serial[0]!.add!.definition,
        printer: serial[2]!.add!.definition,
        memory: of('media').find(({ fact }) => fact.includes('/mnt/stick'))!.add!.definition,
      },
      inputs: { scanner: line('scanners') },
    }),
  )
  const now = await findings(['--board', board], env, stick)
  for (const part of ['reader', 'panel', 'printer', 'memory', 'input scanner', 'board'])
    t.match(
      now.find(({ what }) => what === part),
      { state: 'ok' },
      part,
    )
  const named = now.filter(({ what, fact }) => what.startsWith('attached') && !fact.includes('not in the board'))
  for (const what of ['serial lines', 'PC/SC readers', 'scanners', 'media'])
    t.ok(
      named.some((one) => one.what === `attached: ${what}` && !one.add),
      `${what}: named`,
    )
  t.match(
    await doctor([], env, stick),
    /Add to the board’s file: "reader": \{ "driver": "pcsc", "only": "\^Virtual PCD 00 00\$" \}/,
  )
})

t.test('S17: what is wrong with what is attached, and looks that cannot be made', async (t) => {
  const gone = join(folder, 'ttyUSB9')
  const env = standInForUdev([{ path: gone, vendor: '2341', product: '0043', maker: 'Arduino', id: 'gone' }])
  const board = join(folder, 'wrong.json')
  const parts = {
    reader: { driver: 'pcsc' },
    panel: { driver: 'firmata', path: gone },
    memory: { driver: 'directory', folder: '/mnt/stick', mounted: true },
  }
  writeFileSync(board, JSON.stringify({ model: 'wrong', what: 'x', parts }))
  const stick = 'mount -t tmpfs none /mnt && mkdir /mnt/stick && mount -t tmpfs -o ro none /mnt/stick'
  const nowhere = join(folder, 'no-daemon')
  const found = await findings(
    ['--board', board],
    {
      ...env,
      PCSCLITE_CSOCK_NAME: nowhere,
      DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${nowhere}`,
    },
    stick,
  )
  const of = (what: string) => found.find((one) => one.what === `attached: ${what}`)
  t.match(of('PC/SC readers'), { state: 'problem', fact: /daemon does not answer/, todo: /pcscd/ })
  t.match(of('serial lines'), { state: 'problem', fact: /ENOENT/, todo: /plug it in again/ })
  t.match(of('network printers'), { state: 'absent', fact: /not looked: .*avahi-daemon/ })
  t.match(
    found.find(({ what, fact }) => what === 'attached: media' && fact.includes('/mnt/stick')),
    { state: 'problem', fact: /write-protected/ },
  )
  for (const part of ['reader', 'panel'])
    t.match(
      found.find(({ what }) => what === part),
      { state: 'problem' },
      part,
    )
  // Without the programs nobody looked; that is said, and is no fault.
  const ports = { clock: systemClock, files: systemFiles(), random: systemRandom, log, signal: never }
  const path = process.env['PATH']
  process.env['PATH'] = folder
  try {
    const none = await attached(ports)
    for (const what of ['scanners', 'network printers', 'tethered cameras'])
      t.match(
        none.find((one) => one.what === what),
        { state: 'absent', fact: /not looked: .*: missing/ },
        what,
      )
  } finally {
    process.env['PATH'] = path
  }
})
