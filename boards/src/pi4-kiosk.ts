/** The board module of a Raspberry Pi 4 as printer: `azukari-device run --board pi4-kiosk`. */
import type { Board, BoardPorts } from '@azukari/device/drivers'
import { boardDefinition, buildBoard } from './definitions.ts'

/** @throws {Problem} `config.invalid` when a library of its parts is not installed */
export function board(ports: BoardPorts): Promise<Board> {
  return buildBoard(boardDefinition('pi4-kiosk'), ports)
}
