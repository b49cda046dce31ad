/** A real board, and somebody before it who is told what to do: pressing, inserting, removing, putting in. */
import type { AnyPart } from '@azukari/boards/definitions'
import { cameraConforms } from '@azukari/device/conformance/camera'
import { inputConforms } from '@azukari/device/conformance/input'
import { memoryConforms } from '@azukari/device/conformance/memory'
import { displayConforms, panelConforms } from '@azukari/device/conformance/panel'
import { powerConforms } from '@azukari/device/conformance/power'
import { printerConforms } from '@azukari/device/conformance/printer'
import { readerConforms } from '@azukari/device/conformance/reader'
import type {
  Camera,
  CardReader,
  Display,
  LocalInput,
  Panel,
  PartKind,
  Power,
  Printer,
  RemovableMemory,
} from '@azukari/device/drivers'
import { until } from '../../site/wait.ts'
import type { Rig } from './rig.ts'

/** How long a person may take for one thing. */
const personMs = 120_000

function say(what: string): void {
  process.stderr.write(`\n→ ${what}\n`)
}

const suites: Readonly<
  Record<PartKind, (make: () => Promise<AnyPart>) => (t: Parameters<Rig['run']>[0]) => Promise<void>>
> = {
  camera: (make) => (t) => cameraConforms(t, { make: make as () => Promise<Camera>, stalled: undefined }),
  printer: (make) => (t) => printerConforms(t, { make: make as () => Promise<Printer>, stalled: undefined }),
  reader: (make) => (t) =>
    readerConforms(t, {
      make: async () => {
        const reader = (await make()) as CardReader
        if (reader.cards().length > 0) say('take all cards away')
        await until('no card', () => reader.cards().length === 0, personMs)
        return reader
      },
      stalled: undefined,
      kinds: ['contact'],
      insert: async (reader, kind) => {
        say('put a card in')
        await until('a card', () => reader.cards().includes(kind), personMs)
      },
      remove: async (reader) => {
        say('take the card out')
        await until('no card', () => reader.cards().length === 0, personMs)
      },
    }),
  panel: (make) => (t) =>
    panelConforms(t, {
      make: make as () => Promise<Panel>,
      press: async (panel, button) => {
        let isTold = false
        using _ = panel.onButton((told) => {
          isTold ||= told === button
        })
        say(`press ${button}`)
        await until(button, () => isTold, personMs)
      },
    }),
  display: (make) => (t) => displayConforms(t, { make: make as () => Promise<Display> }),
  input: (make) => (t) =>
    inputConforms(t, {
      make: make as () => Promise<LocalInput>,
      own: 'image/jpeg',
      put: async () => say('put a page in'),
    }),
  memory: (make) => (t) => memoryConforms(t, { make: make as () => Promise<RemovableMemory> }),
  power: (make) => (t) => powerConforms(t, { make: make as () => Promise<Power> }),
}

export function personRig(kind: PartKind): Rig {
  return { options: {}, run: (t, make) => suites[kind](make)(t), stop: async () => undefined }
}
