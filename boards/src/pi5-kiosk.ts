/** The board module of a Raspberry Pi 5 as camera and scanner: `azukari-device run --board pi5-kiosk`. */
import type { Board, BoardPorts } from '@azukari/device/drivers'
import { boardDefinition, buildBoard } from './definitions.ts'

/** @throws {Problem} `config.invalid` when a library of its parts is not installed */
export function board(ports: BoardPorts): Promise<Board> {
  return buildBoard(boardDefinition('pi5-kiosk'), ports)
}
