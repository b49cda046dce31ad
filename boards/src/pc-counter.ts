/** The board module of a PC at a counter: `azukari-device run --board pc-counter`. */
import type { Board, BoardPorts } from '@azukari/device/drivers'
import { boardDefinition, buildBoard } from './definitions.ts'

/** @throws {Problem} `config.invalid` when a library of its parts is not installed */
export function board(ports: BoardPorts): Promise<Board> {
  return buildBoard(boardDefinition('pc-counter'), ports)
}
