/**
 * `azukari-device doctor --try`: each part of a board does once what it is for (S17). A picture is taken and thrown away, a
 * line is printed, a card answers a command, somebody presses a key, a file is written and read. Nothing is kept.
 */
import { decodeResponse } from '@azukari/protocol/card/apdu'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Camera, CardReader, Display, Panel, Printer, Raster, RemovableMemory } from './drivers.ts'
import { readStructure } from './picture/structure.ts'

export interface TryPorts {
  clock: Clock
  /** Told to the person who is to do something now. */
  say(line: string): void
}

/** What came of a try, in words; a part that fails throws. */
export type Tried = { fact: string; isTried: boolean }

/** For one part to do its work, and for a person to press a key. */
const workMs = 60_000
const keyMs = 20_000
const selectMaster = Uint8Array.of(0, 0xa4, 0, 0x0c, 2, 0x3f, 0)
const trialName = 'azukari-doctor.txt'

export async function tryCamera(camera: Camera, ports: TryPorts): Promise<Tried> {
  // A picture that somebody put there is to be kept, not tried with.
  if (camera.waitsFor) return { fact: `takes what is put into ${camera.waitsFor}`, isTried: false }
  const { bytes } = await bounded('camera', (signal) => camera.capture(signal), ports)
  const { width, height } = readStructure(bytes)
  return { fact: `took a picture of ${width} × ${height} pixels, ${Math.ceil(bytes.length / 1024)} KiB`, isTried: true }
}

export async function tryPrinter(printer: Printer, ports: TryPorts): Promise<Tried> {
  const request = { page: linePage(), title: 'azukari-doctor', copies: 1 }
  await bounded('printer', (signal) => printer.print(request, signal), ports)
  return { fact: 'printed a line', isTried: true }
}

export async function tryReader(reader: CardReader, ports: TryPorts): Promise<Tried> {
  const [kind] = reader.cards()
  if (!kind) return { fact: 'no card in it: put one in and try again', isTried: false }
  return bounded(
    'card reader',
    async (signal) => {
      const channel = await reader.connect(signal)
      try {
        const { sw } = decodeResponse(await channel.transmit(selectMaster, signal))
        return { fact: `a card (${kind}) answers ${sw.toString(16).padStart(4, '0')}`, isTried: true }
      } finally {
        await channel.disconnect()
      }
    },
    ports,
  )
}

export async function tryPanel(panel: Panel, ports: TryPorts): Promise<Tried> {
  const [lamp] = panel.lamps
  if (lamp) await panel.lamp(lamp, 'blink')
  ports.say(`Press a key of the panel (${panel.buttons.join(', ')}) within ${keyMs / 1000} s.`)
  const { promise, resolve, reject } = Promise.withResolvers<Tried>()
  using _hearing = panel.onButton((button) => resolve({ fact: `${button} was pressed`, isTried: true }))
  using _limit = ports.clock.timer(keyMs, () => reject(new Problem('panel.unanswered', 'no key was pressed')))
  try {
    return await promise
  } finally {
    if (lamp) await panel.lamp(lamp, 'off')
  }
}

export async function tryDisplay(display: Display, ports: TryPorts): Promise<Tried> {
  await bounded('display', () => display.show({ lines: ['azukari-device doctor'], tone: 'calm' }), ports)
  return { fact: 'shows a line', isTried: true }
}

export async function tryMemory(memory: RemovableMemory, ports: TryPorts): Promise<Tried> {
  const text = new TextEncoder().encode(`azukari-device doctor, ${ports.clock.now()}\n`)
  await bounded('memory', (signal) => memory.put(trialName, text, signal), ports)
  try {
    const file = await memory.open(trialName)
    const read = await file.read(0, text.length + 1).finally(() => file.close())
    if (Buffer.compare(read, text) !== 0) throw new Problem('storage.failed', 'what was read is not what was written')
  } finally {
    await memory.remove(trialName)
  }
  return { fact: 'a file was written, read and removed', isTried: true }
}

/** A part that does not heed its signal is left, too. */
async function bounded<T>(what: string, work: (signal: AbortSignal) => Promise<T>, { clock }: TryPorts): Promise<T> {
  const limit = new AbortController()
  const { promise, reject } = Promise.withResolvers<never>()
  const end = () => {
    const problem = new Problem('part.timeout', `the ${what} did not answer within ${workMs / 1000} s`)
    limit.abort(problem)
    reject(problem)
  }
  using _ = clock.timer(workMs, end)
  return await Promise.race([work(limit.signal), promise])
}

/** A black line on white. */
function linePage(): Raster {
  const [width, height] = [384, 24]
  const rgba = new Uint8Array(width * height * 4).fill(255)
  for (let y = 10; y < 14; y++)
    for (let x = 16; x < width - 16; x++) rgba.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3)
  return { width, height, rgba }
}
