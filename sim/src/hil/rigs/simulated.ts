/** Simulated parts are worked from the program itself. */
import type { AnyPart } from '@azukari/boards/definitions'
import { cameraConforms } from '@azukari/device/conformance/camera'
import { inputConforms } from '@azukari/device/conformance/input'
import { memoryConforms } from '@azukari/device/conformance/memory'
import { displayConforms, panelConforms } from '@azukari/device/conformance/panel'
import { powerConforms } from '@azukari/device/conformance/power'
import { printerConforms } from '@azukari/device/conformance/printer'
import { readerConforms } from '@azukari/device/conformance/reader'
import type { PartKind } from '@azukari/device/drivers'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import {
  SimulatedCamera,
  SimulatedDisplay,
  SimulatedInput,
  SimulatedMemory,
  SimulatedPanel,
  SimulatedPower,
  SimulatedPrinter,
  SimulatedReader,
} from '../../testkit/boards/index.ts'
import { issue } from '../../testkit/card/fixture.ts'
import { SeededRandom } from '../../testkit/world/chance.ts'
import type { Rig } from './rig.ts'

const forever = Number.POSITIVE_INFINITY

/** Simulated parts by contract: what a hardware map's driver `simulated` is made of. */
export const simulatedParts: Readonly<Record<PartKind, () => AnyPart>> = {
  camera: () => new SimulatedCamera({ clock, random: new SeededRandom(1), width: 64, height: 48 }),
  printer: () => new SimulatedPrinter({ clock }),
  reader: () => new SimulatedReader({ clock }),
  panel: () => new SimulatedPanel({ lamps: ['ready', 'problem'], entry: ['pin', 'text', 'choice'] }),
  display: () => new SimulatedDisplay(),
  input: () => new SimulatedInput(),
  memory: () => new SimulatedMemory(),
  power: () => new SimulatedPower(),
}

const suites: Readonly<Record<PartKind, Rig['run']>> = {
  camera: (t, make) =>
    cameraConforms(t, {
      make: make as () => Promise<SimulatedCamera>,
      stalled: undefined,
      unplug: async (camera) => (camera as SimulatedCamera).faults.fail('absent', forever),
    }),
  printer: (t, make) =>
    printerConforms(t, {
      make: make as () => Promise<SimulatedPrinter>,
      stalled: undefined,
      printed: async (printer) => (printer as SimulatedPrinter).pages.map(({ page }) => page),
      takePaper: async (printer) => {
        ;(printer as SimulatedPrinter).sheets = 0
      },
      jam: async (printer) => (printer as SimulatedPrinter).faults.fail('jam', forever),
      mend: async (printer) => {
        const simulated = printer as SimulatedPrinter
        simulated.sheets = 10
        simulated.faults.clear()
      },
    }),
  reader: (t, make) =>
    readerConforms(t, {
      make: make as () => Promise<SimulatedReader>,
      stalled: undefined,
      insert: async (reader, kind) =>
        (reader as SimulatedReader).insert(issue(kind === 'contact' ? 'ed25519' : 'p256').card, kind as 'contact'),
      remove: async (reader, kind) => (reader as SimulatedReader).remove(kind),
      kinds: ['contact', 'contactless'],
    }),
  panel: (t, make) =>
    panelConforms(t, {
      make: make as () => Promise<SimulatedPanel>,
      press: async (panel, button) => (panel as SimulatedPanel).press(button),
      type: async (panel, pin) =>
        pin === undefined ? (panel as SimulatedPanel).cancelPin() : (panel as SimulatedPanel).typePin(pin),
      write: async (panel, text) => (panel as SimulatedPanel).write(text),
      pick: async (panel, index) => (panel as SimulatedPanel).pick(index),
    }),
  display: (t, make) =>
    displayConforms(t, {
      make: make as () => Promise<SimulatedDisplay>,
      seen: async (display) => (display as SimulatedDisplay).current,
    }),
  input: (t, make) =>
    inputConforms(t, {
      make: make as () => Promise<SimulatedInput>,
      put: async (input, name, bytes) =>
        (input as SimulatedInput).put(name, name.endsWith('.pdf') ? 'application/pdf' : 'text/plain', bytes),
      restart: async (input) => input,
    }),
  memory: (t, make) =>
    memoryConforms(t, {
      make: make as () => Promise<SimulatedMemory>,
      reopen: async (memory) => memory,
      fill: async (memory) => {
        ;(memory as SimulatedMemory).capacityBytes = 900
      },
      protect: async (memory) => {
        ;(memory as SimulatedMemory).readOnly = true
      },
      pullOut: async (memory) => (memory as SimulatedMemory).eject(),
    }),
  power: (t, make) =>
    powerConforms(t, {
      make: make as () => Promise<SimulatedPower>,
      set: async (power, state) => {
        ;(power as SimulatedPower).shown = state
      },
    }),
}

export function simulatedRig(kind: PartKind): Rig {
  return { options: {}, run: suites[kind], stop: async () => undefined }
}
