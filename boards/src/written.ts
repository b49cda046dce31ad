/** A board that somebody wrote down as data: `azukari-device run --board ./board.json` (`docs/boards.md`). */
import type { Board, BoardPorts } from '@azukari/device/drivers'
import { buildBoard, parseDefinition } from './definitions.ts'

/** @throws {Problem} `config.invalid` with the place of the fault, `driver.*` */
export function board({ definition, ...ports }: BoardPorts): Promise<Board> {
  return buildBoard(parseDefinition(definition), ports)
}
