/** The board module of a PC with a card reader: `azukari-device run --board pc-desk`. */
import type { Board, BoardPorts } from '@azukari/device/drivers'
import { boardDefinition, buildBoard } from './definitions.ts'

/** Makes the board's parts below `directory`. @throws {Problem} `config.invalid` */
export function board(ports: BoardPorts): Promise<Board> {
  return buildBoard(boardDefinition('pc-desk'), ports)
}
