/**
 * Boards as data: which driver works which part, with what options. `buildBoard` makes the parts. Drivers of other
 * packages (the simulator's) are handed in, so that nothing here depends on them.
 */
import type { AnyPart, Board, PartKind, PartPorts } from '@azukari/device/drivers'
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { namedDriver } from './named-driver.ts'
import { partDrivers } from './part-drivers.ts'

export type { AnyPart, PartPorts } from '@azukari/device/drivers'

/**
 * A driver's name and its options, side by side; for parts on folders the folder is named as the part when absent. What
 * is no name of `partDrivers` names a package or a path.
 */
const Part = Type.Object({ driver: Type.String({ minLength: 1, maxLength: 300 }) })
const Definition = Type.Object(
  {
    model: Type.String({ minLength: 1, maxLength: 60 }),
    what: Type.String({ maxLength: 200 }),
    parts: Type.Object(
      {
        camera: Type.Optional(Part),
        printer: Type.Optional(Part),
        reader: Type.Optional(Part),
        panel: Type.Optional(Part),
        display: Type.Optional(Part),
        memory: Type.Optional(Part),
        power: Type.Optional(Part),
      },
      { additionalProperties: false },
    ),
    inputs: Type.Optional(Type.Record(Type.String({ pattern: '^[a-z-]{1,20}$' }), Part)),
  },
  { additionalProperties: false },
)

export type PartDefinition = Static<typeof Part> & Readonly<Record<string, unknown>>
export interface BoardDefinition {
  model: string
  what: string
  parts: Readonly<Partial<Record<Exclude<PartKind, 'input'>, PartDefinition>>>
  inputs?: Readonly<Record<string, PartDefinition>>
}

const checkDefinition = checker(Definition, 'board definition')

const simulated: PartDefinition = { driver: 'simulated' }
const folders = {
  memory: { driver: 'directory', folder: 'memory' },
  scanner: { driver: 'folder', folder: 'scanner' },
  pc: { driver: 'folder', folder: 'pc' },
} satisfies Record<string, PartDefinition>
/** What udev's rules for Azukari boards name the panel's line (`docs/boards.md`). */
const panel: PartDefinition = { driver: 'firmata', path: '/dev/azukari-panel' }
const reader: PartDefinition = { driver: 'pcsc' }
/** Battery and temperature, as Linux tells them. */
const power: PartDefinition = { driver: 'sysfs' }
/** Display and, by touch or keyboard, panel. */
const page: PartDefinition = { driver: 'kiosk' }
const printer: PartDefinition = { driver: 'ipp', url: 'ipp://localhost:631/ipp/print' }
/** Where the image's mount rule puts a card or stick. */
const media: PartDefinition = {
  driver: 'directory',
  folder: '/media/azukari',
  mounted: true,
  device: '/dev/azukari-memory',
}

export const boardDefinitions: Readonly<Record<string, BoardDefinition>> = {
  'all-simulated': {
    model: 'all-simulated',
    what: 'every part simulated: to try things, and for tests',
    parts: {
      camera: simulated,
      printer: simulated,
      reader: simulated,
      panel: simulated,
      display: simulated,
      memory: simulated,
      power: simulated,
    },
    inputs: { scanner: simulated, pc: simulated },
  },
  'pc-kiosk': {
    model: 'pc-kiosk',
    what: 'any PC: camera, scanner and printer work on folders, a card is built in, the local page in a browser',
    parts: {
      reader: { driver: 'built-in' },
      display: page,
      camera: { driver: 'watched-folder', folder: 'camera' },
      printer: { driver: 'folder', folder: 'prints' },
      memory: folders.memory,
      power,
    },
    inputs: { scanner: folders.scanner, pc: folders.pc },
  },
  'pc-desk': {
    model: 'pc-desk',
    what: 'a PC whose camera, scanner and printer work on folders, with a card reader and the local page',
    parts: {
      reader,
      display: page,
      camera: { driver: 'watched-folder', folder: 'camera' },
      printer: { driver: 'folder', folder: 'prints' },
      memory: folders.memory,
      power,
    },
    inputs: { scanner: folders.scanner, pc: folders.pc },
  },
  'pi-zero2-kiosk': {
    model: 'pi-zero2-kiosk',
    what: 'a Raspberry Pi Zero 2 W as camera: its own camera, card reader and panel on USB',
    parts: { camera: { driver: 'libcamera', width: 2028, height: 1520 }, reader, panel, memory: media, power },
  },
  'pi4-kiosk': {
    model: 'pi4-kiosk',
    what: 'a Raspberry Pi 4 as printer: a network printer, card reader and panel on USB',
    parts: { printer, reader, panel, memory: media, power },
    inputs: { pc: folders.pc },
  },
  'pi5-kiosk': {
    model: 'pi5-kiosk',
    what: 'a Raspberry Pi 5 as camera and scanner: its own camera, SANE scanner, card reader and panel on USB',
    parts: { camera: { driver: 'libcamera' }, printer, reader, panel, memory: media, power },
    inputs: { scanner: { driver: 'sane', folder: 'scanner' }, pc: folders.pc },
  },
  'pc-counter': {
    model: 'pc-counter',
    what: 'a PC at a counter: USB camera, network printer, SANE scanner, card reader and panel on USB',
    parts: { camera: { driver: 'v4l2', path: '/dev/video0' }, printer, reader, panel, memory: media, power },
    inputs: { scanner: { driver: 'sane', folder: 'scanner' }, pc: folders.pc },
  },
}

export interface BuildOptions extends PartPorts {
  /** Drivers from elsewhere, by name. */
  makers?: Readonly<Record<string, (kind: PartKind, name: string) => AnyPart>>
  /** Folder of the board's file: packages and paths are looked for from there; else from the folder of the process. */
  from?: string
}

/** @throws {Problem} `config.invalid` */
export function boardDefinition(name: string): BoardDefinition {
  const found = Object.hasOwn(boardDefinitions, name) ? boardDefinitions[name] : undefined
  if (!found)
    throw new Problem(
      'config.invalid',
      `there is no board ${name}; there are ${Object.keys(boardDefinitions).join(', ')}`,
    )
  return found
}

/** A definition that somebody wrote. @throws {Problem} `config.invalid` with the place of the fault */
export function parseDefinition(value: unknown): BoardDefinition {
  try {
    return checkDefinition(value) as BoardDefinition
  } catch (cause) {
    throw isProblem(cause) ? new Problem('config.invalid', cause.detail, { cause }) : cause
  }
}

/**
 * Makes the drivers of a board; when one cannot be made, those already made are closed.
 * @throws {Problem} `config.invalid` for a driver that is told wrong, `driver.*` for one that is not there or does not work
 */
export async function buildBoard(definition: BoardDefinition, options: BuildOptions): Promise<Board> {
  const parts = Object.entries(definition.parts) as [Exclude<PartKind, 'input'>, PartDefinition][]
  const made: AnyPart[] = []
  const make = async (kind: PartKind, name: string, part: PartDefinition) => {
    const one = await buildPart(kind, name, part, options)
    made.push(one)
    return [name, one] as const
  }
  try {
    const board: [string, AnyPart][] = []
    for (const [kind, part] of parts) board.push([...(await make(kind, kind, part))])
    const inputs: [string, AnyPart][] = []
    for (const [name, part] of Object.entries(definition.inputs ?? {}))
      inputs.push([...(await make('input', name, part))])
    const more = inputs.length ? { inputs: Object.fromEntries(inputs) } : {}
    return { model: definition.model, ...Object.fromEntries(board), ...more } as Board
  } catch (error) {
    await Promise.allSettled(made.map((part) => part.close()))
    throw error
  }
}

/** Makes one part. @throws {Problem} `config.invalid`, `driver.*` */
export async function buildPart(
  kind: PartKind,
  name: string,
  { driver, ...options }: PartDefinition,
  build: BuildOptions,
): Promise<AnyPart> {
  const known = partDrivers.find((one) => one.contract === kind && one.name === driver)
  if (known) {
    const properties = (known.options as { properties?: object }).properties ?? {}
    return known.make('folder' in properties ? { folder: name, ...options } : options, build)
  }
  const { makers = {} } = build
  const maker = Object.hasOwn(makers, driver) ? makers[driver] : undefined
  if (maker) return maker(kind, name)
  return namedDriver({ kind, driver, options }, build)
}
