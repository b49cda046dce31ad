/** Programs that take the place of real parts at the far end of the real protocol stacks. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AnyPart } from '@azukari/boards/definitions'
import type { FirmataPanel } from '@azukari/boards/firmata-panel'
import type { PcscReader } from '@azukari/boards/pcsc-reader'
import type { Scanner } from '@azukari/boards/scanner'
import { cameraConforms } from '@azukari/device/conformance/camera'
import { inputConforms } from '@azukari/device/conformance/input'
import { memoryConforms } from '@azukari/device/conformance/memory'
import { panelConforms } from '@azukari/device/conformance/panel'
import { printerConforms } from '@azukari/device/conformance/printer'
import { readerConforms } from '@azukari/device/conformance/reader'
import { limit } from '@azukari/device/conformance/suite'
import type { Button, Camera, LocalInput, Panel, Printer, RemovableMemory } from '@azukari/device/drivers'
import { until } from '../../site/wait.ts'
import { issue } from '../../testkit/card/fixture.ts'
import { FirmataFirmware } from '../firmata-firmware.ts'
import { ReferencePrinter } from '../ipp-printer.ts'
import { NetworkCamera } from '../network-camera.ts'
import { VirtualReader } from '../pcscd.ts'
import { PtyPair } from '../pty.ts'
import type { Rig } from './rig.ts'

type Make<P extends AnyPart> = () => Promise<P>

export async function networkCameraRig(): Promise<Rig> {
  const far = await NetworkCamera.start()
  return {
    options: { url: far.httpUrl },
    run: (t, make) => cameraConforms(t, { make: make as Make<Camera>, stalled: undefined }),
    stop: () => far.stop(),
  }
}

export async function referencePrinterRig(): Promise<Rig> {
  const far = await ReferencePrinter.start()
  return {
    options: { url: far.url },
    run: (t, make) => printerConforms(t, { make: make as Make<Printer>, stalled: undefined }),
    stop: () => far.stop(),
  }
}

/** A reader of two slots; the second counts as contactless. */
export async function virtualReaderRig(): Promise<Rig> {
  const far = await VirtualReader.start()
  const cards = { contact: issue('ed25519').card, contactless: issue('p256').card }
  const slots = { contact: far.slots[0], contactless: far.slots[1] }
  return {
    options: { contactless: ' 01$' },
    run: (t, make) =>
      readerConforms(t, {
        stalled: undefined,
        make: async () => {
          for (const slot of far.slots) slot.remove()
          const reader = (await make()) as PcscReader
          await until('two slots', () => reader.readers.length === 2)
          await until('empty slots', () => reader.cards().length === 0)
          return reader
        },
        kinds: ['contact', 'contactless'],
        insert: async (reader, kind) => {
          slots[kind as 'contact'].insert(cards[kind as 'contact'])
          await until(`the ${kind} card`, () => reader.cards().includes(kind))
        },
        remove: async (reader, kind) => {
          slots[kind as 'contact'].remove()
          await until(`no ${kind} card`, () => !reader.cards().includes(kind))
        },
      }),
    stop: () => far.stop(),
  }
}

/** Firmware at the far end of a pty; buttons are on the usual pins. */
export async function firmataRig(): Promise<Rig> {
  const pair = await PtyPair.open()
  const { usualPins } = await import('@azukari/boards/firmata-panel')
  const firmware = new FirmataFirmware(pair.far)
  return {
    options: { path: pair.path },
    run: (t, make) =>
      panelConforms(t, {
        make: async () => {
          const panel = (await make()) as FirmataPanel
          await until('the panel', () => panel.isReady)
          return panel
        },
        press: (panel, button) => pressed(panel, button, firmware, usualPins.buttons[button]!),
      }),
    stop: () => pair.close(),
  }
}

/** Presses until the panel has told it, as a person does. */
export async function pressed(panel: Panel, button: Button, firmware: FirmataFirmware, pin: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const listening = panel.onButton((told) => {
    if (told === button) resolve()
  })
  firmware.press(pin)
  await promise
  listening[Symbol.dispose]()
  firmware.release(pin)
}

export async function scannerRig(): Promise<Rig> {
  const folders: string[] = []
  const state = { folder: '' }
  return {
    // A getter: each part made has a folder of its own, unless it is the same after a restart.
    get options() {
      return { folder: state.folder }
    },
    run: (t, make) => {
      const fresh = async () => {
        state.folder = await mkdtemp(join(tmpdir(), 'azukari-scans-'))
        folders.push(state.folder)
        return (await make()) as LocalInput
      }
      return inputConforms(t, {
        make: fresh,
        own: 'image/jpeg',
        put: async (input) => void (await (input as Scanner).scan(limit())),
        restart: async (input) => {
          await input.close()
          return (await make()) as LocalInput
        },
      })
    },
    stop: async () => {
      for (const folder of folders) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A folder as mounted memory; what mounts do is shown where there are any. */
export async function directoryRig(): Promise<Rig> {
  const folders: string[] = []
  const state = { folder: '' }
  return {
    get options() {
      return { folder: state.folder }
    },
    run: (t, make) =>
      memoryConforms(t, {
        make: async () => {
          state.folder = await mkdtemp(join(tmpdir(), 'azukari-memory-'))
          folders.push(state.folder)
          return (await make()) as RemovableMemory
        },
        reopen: make as Make<RemovableMemory>,
        pullOut: () => rm(state.folder, { recursive: true }),
      }),
    stop: async () => {
      for (const folder of folders) await rm(folder, { recursive: true, force: true })
    },
  }
}
