/**
 * Boards as data: which driver works which part. A definition names drivers; `buildBoard` makes them. Drivers of other
 * packages (the simulator's) are handed in, so that nothing here depends on them.
 */
import type { Board, PartKind } from '@azukari/device/drivers'
import type { Clock, Files } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { DirectoryMemory } from './directory-memory.ts'
import { FolderInput } from './folder-input.ts'
import { FolderPrinter } from './folder-printer.ts'
import { WatchedFolderCamera } from './watched-folder-camera.ts'

/** A driver and, for parts on folders, the folder's name below the board's directory. */
export interface PartDefinition {
  driver: string
  folder?: string
}

export interface BoardDefinition {
  model: string
  what: string
  parts: Partial<Record<Exclude<PartKind, 'input'>, PartDefinition>>
  inputs?: Readonly<Record<string, PartDefinition>>
}

const simulated: PartDefinition = { driver: 'simulated' }

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
    },
    inputs: { scanner: simulated, pc: simulated },
  },
  'pc-kiosk': {
    model: 'pc-kiosk',
    what: 'a PC whose camera, scanner and printer work on folders',
    parts: {
      camera: { driver: 'watched-folder', folder: 'camera' },
      printer: { driver: 'folder', folder: 'prints' },
      memory: { driver: 'directory', folder: 'memory' },
    },
    inputs: { scanner: { driver: 'folder', folder: 'scanner' }, pc: { driver: 'folder', folder: 'pc' } },
  },
}

export type AnyPart = NonNullable<Board[Exclude<PartKind, 'input'>]> | NonNullable<Board['inputs']>[string]

export interface BuildOptions {
  files: Files
  clock: Clock
  /** Where the folders of the board's parts are. */
  directory: string
  /** Drivers from elsewhere, by name. */
  makers?: Readonly<Record<string, (kind: PartKind, name: string) => AnyPart>>
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

/** Makes the drivers of a board. @throws {Problem} `config.invalid` for a driver that is not there or not for that part */
export function buildBoard(definition: BoardDefinition, options: BuildOptions): Board {
  const parts = Object.entries(definition.parts) as [Exclude<PartKind, 'input'>, PartDefinition][]
  const made = Object.fromEntries(parts.map(([kind, part]) => [kind, make(kind, kind, part, options)]))
  const inputs = Object.entries(definition.inputs ?? {}).map(([name, part]) => [
    name,
    make('input', name, part, options),
  ])
  return { model: definition.model, ...made, ...(inputs.length ? { inputs: Object.fromEntries(inputs) } : {}) } as Board
}

function make(kind: PartKind, name: string, { driver, folder = name }: PartDefinition, options: BuildOptions): AnyPart {
  const { files, clock, makers = {} } = options
  const directory = `${options.directory}/${folder}`
  switch (`${kind} ${driver}`) {
    case 'camera watched-folder':
      return new WatchedFolderCamera({ files, clock, directory })
    case 'printer folder':
      return new FolderPrinter({ files, directory })
    case 'memory directory':
      return new DirectoryMemory({ files, directory })
    case 'input folder':
      return new FolderInput({ files, clock, directory })
  }
  const maker = Object.hasOwn(makers, driver) ? makers[driver] : undefined
  if (!maker) throw new Problem('config.invalid', `no driver ${driver} for a ${kind}`)
  return maker(kind, name)
}
