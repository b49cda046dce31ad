/** Simulated boards behind the driver contracts (D2). */
import type { Board } from '@azukari/device/drivers'
import type { Clock, Random } from '@azukari/protocol/ports'
import { SimulatedCamera, type SimulatedCameraOptions } from './camera.ts'
import { SimulatedDisplay } from './display.ts'
import { SimulatedInput } from './input.ts'
import { SimulatedMemory, type SimulatedMemoryOptions } from './memory.ts'
import { SimulatedPanel, type SimulatedPanelOptions } from './panel.ts'
import { SimulatedPrinter, type SimulatedPrinterOptions } from './printer.ts'
import { SimulatedReader, type SimulatedReaderOptions } from './reader.ts'

export { SimulatedCamera } from './camera.ts'
export { SimulatedDisplay } from './display.ts'
export { SimulatedInput } from './input.ts'
export { SimulatedMemory } from './memory.ts'
export { SimulatedPanel, type SimulatedPanelOptions } from './panel.ts'
export { SimulatedPower } from './power.ts'
export { decodePng, SimulatedPrinter } from './printer.ts'
export { SimulatedReader } from './reader.ts'

type Without<Options> = Omit<Options, 'clock' | 'random'>

export interface SimulatedBoardOptions {
  clock: Clock
  random: Random
  model?: string
  /** What the board has; everything but a camera and a printer by default. */
  camera?: Without<SimulatedCameraOptions>
  printer?: Without<SimulatedPrinterOptions>
  reader?: Without<SimulatedReaderOptions>
  panel?: SimulatedPanelOptions
  display?: { rows?: number }
  memory?: SimulatedMemoryOptions
}

/** A board whose every part can be worked by hand. */
export interface SimulatedBoard extends Board {
  camera?: SimulatedCamera
  printer?: SimulatedPrinter
  reader: SimulatedReader
  panel: SimulatedPanel
  display: SimulatedDisplay
  inputs: { scanner: SimulatedInput; pc: SimulatedInput }
  memory: SimulatedMemory
}

/** Puts a board together. A camera board names `camera`, a printer board `printer`; card reader boards neither. */
export function simulatedBoard(options: SimulatedBoardOptions): SimulatedBoard {
  const { clock, random } = options
  const board: SimulatedBoard = {
    model: options.model ?? 'azukari-simulated',
    reader: new SimulatedReader({ clock, ...options.reader }),
    panel: new SimulatedPanel(options.panel),
    display: new SimulatedDisplay(options.display),
    inputs: { scanner: new SimulatedInput(), pc: new SimulatedInput({ model: 'Azukari Simulated PC link' }) },
    memory: new SimulatedMemory(options.memory),
  }
  if (options.camera) board.camera = new SimulatedCamera({ clock, random, ...options.camera })
  if (options.printer) board.printer = new SimulatedPrinter({ clock, ...options.printer })
  return board
}
