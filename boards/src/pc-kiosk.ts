/** The board module of a PC whose parts are folders: `azukari-device run --board pc-kiosk`. */
import type { Board, BoardPorts } from '@azukari/device/drivers'
import { boardDefinition, buildBoard } from './definitions.ts'

/** Makes the board's parts below `directory`. @throws {Problem} `config.invalid` */
export function board(ports: BoardPorts): Promise<Board> {
  return buildBoard(boardDefinition('pc-kiosk'), ports)
}
