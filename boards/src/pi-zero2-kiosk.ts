/** The board module of a Raspberry Pi Zero 2 W as camera: `azukari-device run --board pi-zero2-kiosk`. */
import type { Board, BoardPorts } from '@azukari/device/drivers'
import { boardDefinition, buildBoard } from './definitions.ts'

/** @throws {Problem} `config.invalid` when a library of its parts is not installed */
export function board(ports: BoardPorts): Promise<Board> {
  return buildBoard(boardDefinition('pi-zero2-kiosk'), ports)
}
