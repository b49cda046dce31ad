/**
 * The drivers that board definitions can name: what each serves, what it can be told, how it is made. A driver's module,
 * and with it the library of its part, is loaded only when a board names it (S17, D1).
 */
import type { AnyPart, PartKind, PartPorts } from '@azukari/device/drivers'
import { checker, type Static, type TSchema, Type } from '@azukari/protocol/contract'
import { isProblem, Problem } from '@azukari/protocol/problem'

export interface PartDriver {
  contract: PartKind
  name: string
  what: string
  /** Packages that a board with it installs. */
  needs: readonly string[]
  options: TSchema
  make(options: unknown, ports: PartPorts): Promise<AnyPart>
}

const folder = Type.String({ minLength: 1, description: 'folder, below the board’s own unless absolute' })
const path = Type.String({ minLength: 1, description: 'a stable name: /dev/serial/by-id/…' })
const url = Type.String({ minLength: 1 })
const pin = Type.Integer({ minimum: 0, maximum: 127 })
const milliseconds = Type.Integer({ minimum: 1, maximum: 3_600_000 })

/** Folders of parts are named as seen from the board's own. */
function at(ports: PartPorts, name: string): string {
  return name.startsWith('/') ? name : `${ports.directory}/${name}`
}

/** A folder that a part works on: made when it is the board's own; what stands elsewhere is somebody else's to make. */
async function folderAt(ports: PartPorts, name: string): Promise<string> {
  const path = at(ports, name)
  if (!name.startsWith('/')) await ports.files.makeDirectory(path)
  return path
}

function driver<S extends TSchema>(
  contract: PartKind,
  name: string,
  what: string,
  options: S,
  make: (options: Static<S>, ports: PartPorts) => Promise<AnyPart>,
  needs: readonly string[] = [],
): PartDriver {
  const check = checker(options, `driver ${name}`)
  return {
    contract,
    name,
    what,
    needs,
    options,
    make: async (given, ports) => {
      try {
        return await make(check(given), ports)
      } catch (cause) {
        if (isProblem(cause, 'message.invalid')) throw new Problem('config.invalid', cause.detail, { cause })
        const missing = (cause as { code?: string }).code === 'ERR_MODULE_NOT_FOUND'
        if (!missing || needs.length === 0) throw cause
        throw new Problem('driver.needs', `${name}: npm install ${needs.join(' ')}`, { cause })
      }
    },
  }
}

const strict = { additionalProperties: false }

export const partDrivers: readonly PartDriver[] = [
  driver(
    'camera',
    'watched-folder',
    'any camera that writes files',
    Type.Object({ folder, lookMs: Type.Optional(milliseconds), timeoutMs: Type.Optional(milliseconds) }, strict),
    async (o, ports) =>
      new (await import('./watched-folder-camera.ts')).WatchedFolderCamera({
        ...ports,
        ...o,
        directory: await folderAt(ports, o.folder),
      }),
  ),
  driver(
    'camera',
    'libcamera',
    'the Raspberry Pi’s own camera, through rpicam-still',
    Type.Object({ width: Type.Optional(Type.Integer()), height: Type.Optional(Type.Integer()) }, strict),
    async (o, { clock }) => (await import('./command-camera.ts')).libcameraCamera(clock, o),
  ),
  driver(
    'camera',
    'v4l2',
    'a USB camera, through ffmpeg',
    Type.Object({ path: Type.String({ description: '/dev/video0' }) }, strict),
    async (o, { clock }) => (await import('./command-camera.ts')).v4l2Camera(clock, o.path),
  ),
  driver(
    'camera',
    'network',
    'a network camera (RTSP, MJPEG), through ffmpeg',
    Type.Object({ url, limitMs: Type.Optional(milliseconds) }, strict),
    async ({ url, ...more }, { clock }) => (await import('./command-camera.ts')).networkCamera(clock, url, more),
  ),
  driver(
    'camera',
    'gphoto2',
    'a tethered camera, through gphoto2',
    Type.Object({ port: Type.Optional(Type.String({ description: 'as gphoto2 --auto-detect says' })) }, strict),
    async (o, { clock }) => (await import('./command-camera.ts')).tetheredCamera(clock, o.port),
  ),
  driver(
    'printer',
    'folder',
    'pages as PNG files in a folder',
    Type.Object({ folder }, strict),
    async (o, ports) =>
      new (await import('./folder-printer.ts')).FolderPrinter({ ...ports, directory: await folderAt(ports, o.folder) }),
  ),
  driver(
    'printer',
    'pdf',
    'pages as PDF files in a folder, as they would lie on paper',
    Type.Object({ folder }, strict),
    async (o, ports) =>
      new (await import('./folder-printer.ts')).FolderPrinter({
        ...ports,
        directory: await folderAt(ports, o.folder),
        format: 'pdf',
        model: 'PDF',
      }),
  ),
  driver(
    'printer',
    'ipp',
    'any IPP Everywhere printer',
    Type.Object(
      {
        url: Type.String({ pattern: '^ipps?://', description: 'ipp://host:631/ipp/print' }),
        user: Type.Optional(Type.String()),
        pageMs: Type.Optional(milliseconds),
        pollMs: Type.Optional(milliseconds),
        warnedMs: Type.Optional(milliseconds),
        busyMs: Type.Optional(milliseconds),
      },
      strict,
    ),
    async (o, { clock }) => new (await import('./ipp-printer.ts')).IppPrinter({ ...o, clock }),
    ['@sealsystems/ipp@2.8.2'],
  ),
  driver(
    'printer',
    'escpos',
    'a receipt printer that speaks ESC/POS over a serial line',
    Type.Object(
      {
        path,
        baudRate: Type.Optional(Type.Integer()),
        dots: Type.Optional(Type.Integer({ minimum: 64, maximum: 2048, description: '576 on 80 mm, 384 on 58 mm' })),
        pageMs: Type.Optional(milliseconds),
        againMs: Type.Optional(milliseconds),
      },
      strict,
    ),
    async (o, { clock, log }) => new (await import('./escpos-printer.ts')).EscposPrinter({ ...o, clock, log }),
    ['serialport@13.0.0'],
  ),
  driver(
    'reader',
    'pcsc',
    'card readers behind PC/SC',
    Type.Object(
      {
        only: Type.Optional(Type.String({ description: 'which readers count: a regular expression of their names' })),
        contactless: Type.Optional(Type.String({ description: 'which of them are contactless' })),
        commandMs: Type.Optional(milliseconds),
      },
      strict,
    ),
    async ({ only, contactless, ...o }, { clock, log }) =>
      new (await import('./pcsc-reader.ts')).PcscReader({
        ...o,
        ...(only ? { only: new RegExp(only) } : {}),
        ...(contactless ? { contactless: new RegExp(contactless) } : {}),
        clock,
        log,
      }),
    ['pcsc-mini@0.1.3'],
  ),
  driver(
    'reader',
    'pn532',
    'an NFC reader with a PN532 on a serial line',
    Type.Object(
      {
        path,
        baudRate: Type.Optional(Type.Integer()),
        pollMs: Type.Optional(milliseconds),
        commandMs: Type.Optional(milliseconds),
        againMs: Type.Optional(milliseconds),
      },
      strict,
    ),
    async (o, { clock, log }) => new (await import('./pn532-reader.ts')).Pn532Reader({ ...o, clock, log }),
    ['serialport@13.0.0'],
  ),
  driver(
    'reader',
    'built-in',
    'a card in software, in the device’s own keystore',
    Type.Object(
      {
        keystore: Type.Optional(
          Type.String({
            minLength: 1,
            description: 'folder, below the board’s own unless absolute; “keystore” by default',
          }),
        ),
        secret: Type.Optional(
          Type.String({ minLength: 1, description: 'file of its secret; “secret” in that folder by default' }),
        ),
        lookMs: Type.Optional(milliseconds),
        forgetMs: Type.Optional(milliseconds),
      },
      strict,
    ),
    async ({ keystore = 'keystore', secret, ...o }, ports) =>
      new (await import('./built-in-reader.ts')).BuiltInReader({
        ...ports,
        ...o,
        folder: at(ports, keystore),
        ...(secret ? { secret: at(ports, secret) } : {}),
      }),
  ),
  driver(
    'panel',
    'firmata',
    'buttons, lamps, buzzer and light sensor on an Arduino-class board with Firmata',
    Type.Object(
      {
        path,
        baudRate: Type.Optional(Type.Integer()),
        againMs: Type.Optional(milliseconds),
        pins: Type.Optional(
          Type.Object(
            {
              buttons: Type.Object(
                Object.fromEntries(['shutter', 'ok', 'cancel', 'up', 'down'].map((one) => [one, Type.Optional(pin)])),
                strict,
              ),
              lamps: Type.Object(
                Object.fromEntries(['ready', 'busy', 'problem'].map((one) => [one, Type.Optional(pin)])),
                strict,
              ),
              buzzer: Type.Optional(pin),
              light: Type.Optional(pin),
            },
            strict,
          ),
        ),
      },
      strict,
    ),
    async (o, { clock, log }) => {
      const { FirmataPanel, usualPins } = await import('./firmata-panel.ts')
      return new FirmataPanel({ ...o, pins: o.pins ?? usualPins, clock, log })
    },
    ['serialport@13.0.0', 'firmata-io@2.3.0', 'johnny-five@2.1.0'],
  ),
  driver(
    'display',
    'kiosk',
    'a browser of this machine on the board’s own page: display, and with touch or keyboard panel, too',
    Type.Object(
      {
        port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, description: 'any free one by default' })),
        rows: Type.Optional(Type.Integer({ minimum: 1, maximum: 20 })),
        drawMs: Type.Optional(milliseconds),
        touch: Type.Optional(Type.Boolean({ description: 'false: it only shows' })),
      },
      strict,
    ),
    async (o, { clock, random, files, directory }) => {
      const { KioskDisplay } = await import('./kiosk-display.ts')
      await files.makeDirectory(directory)
      const addressFile = { files, path: `${directory}/page-address` }
      return KioskDisplay.open({ ...o, clock, random, addressFile })
    },
  ),
  driver(
    'power',
    'sysfs',
    'mains, battery and temperature, as Linux tells them in /sys',
    Type.Object({ root: Type.Optional(Type.String({ minLength: 1, description: '/sys' })) }, strict),
    async (o, { files }) => new (await import('./sysfs-power.ts')).SysfsPower({ files, ...o }),
  ),
  driver(
    'memory',
    'directory',
    'removable memory that the system mounts at a folder',
    Type.Object(
      {
        folder,
        mounted: Type.Optional(
          Type.Boolean({ description: 'the folder is a mount point: without a mount there is no medium' }),
        ),
        device: Type.Optional(
          Type.String({ description: 'node that is there while a medium is plugged in: /dev/azukari-memory' }),
        ),
      },
      strict,
    ),
    async ({ mounted, device, ...o }, ports) =>
      new (await import('./directory-memory.ts')).DirectoryMemory({
        ...ports,
        directory: mounted ? at(ports, o.folder) : await folderAt(ports, o.folder),
        device,
        mountAt: mounted ? (await import('./adapters/mounts.ts')).mountAt : undefined,
      }),
  ),
  driver(
    'input',
    'folder',
    'files that something puts into a folder',
    Type.Object({ folder, lookMs: Type.Optional(milliseconds) }, strict),
    async (o, ports) =>
      new (await import('./folder-input.ts')).FolderInput({
        ...ports,
        ...o,
        directory: await folderAt(ports, o.folder),
      }),
  ),
  driver(
    'input',
    'sane',
    'a scanner, through SANE’s scanimage',
    Type.Object(
      {
        folder,
        device: Type.Optional(Type.String({ description: 'as scanimage -L names it' })),
        resolution: Type.Optional(Type.Integer({ minimum: 50, maximum: 1200 })),
        feeder: Type.Optional(Type.String({ description: 'the scanner’s name for its feeder' })),
        lookMs: Type.Optional(milliseconds),
        more: Type.Optional(Type.Array(Type.String())),
        limitMs: Type.Optional(milliseconds),
      },
      strict,
    ),
    async (o, ports) =>
      new (await import('./scanner.ts')).Scanner({ ...ports, ...o, directory: await folderAt(ports, o.folder) }),
  ),
]
