/**
 * A hardware map says which contract is served by which part: a board definition in which each part may also name its
 * rig, which is what works the part from the other side (a person, a simulator, a protocol's other end). The same
 * conformance suites run over any map (D2).
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BoardDefinition, type PartDefinition, parseDefinition } from '@azukari/boards/definitions'
import type { PartKind } from '@azukari/device/drivers'
import { Problem } from '@azukari/protocol/problem'

export interface MappedPart {
  kind: PartKind
  name: string
  rig: string
  definition: PartDefinition
}

export interface HardwareMap {
  board: BoardDefinition
  /** Folder of the map: drivers that it names by package or path are looked for from there. */
  from: string
  parts: MappedPart[]
}

/** Maps that come with the project. */
export const mapsFolder = new URL('./maps/', import.meta.url)

/** @throws {Problem} `config.invalid` */
export async function loadMap(path: string | URL): Promise<HardwareMap> {
  let value: unknown
  try {
    value = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new Problem('config.invalid', `${path}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  const board = parseDefinition(value)
  const mapped = (kind: PartKind, name: string, { rig, ...definition }: PartDefinition): MappedPart => ({
    kind,
    name,
    // Without a rig somebody stands before the board.
    rig: typeof rig === 'string' ? rig : 'person',
    definition: definition as PartDefinition,
  })
  return {
    board,
    from: dirname(resolve(path instanceof URL ? fileURLToPath(path) : path)),
    parts: [
      ...Object.entries(board.parts).map(([kind, part]) => mapped(kind as PartKind, kind, part)),
      ...Object.entries(board.inputs ?? {}).map(([name, part]) => mapped('input', name, part)),
    ],
  }
}
