import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DirectoryMemory } from '@azukari/boards/directory-memory'
import { CardClient } from '@azukari/device/card'
import { cameraConforms } from '@azukari/device/conformance/camera'
import { inputConforms } from '@azukari/device/conformance/input'
import { memoryConforms } from '@azukari/device/conformance/memory'
import { displayConforms, panelConforms } from '@azukari/device/conformance/panel'
import { powerConforms } from '@azukari/device/conformance/power'
import { printerConforms, testPage } from '@azukari/device/conformance/printer'
import { readerConforms } from '@azukari/device/conformance/reader'
import { closeBoard } from '@azukari/device/drivers'
import { decodePicture, decodeUpright, readExif, takenMsOf } from '@azukari/device/picture'
import { jpegWithoutPlace } from '@azukari/device/place/jpeg'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import t from 'tap'
import { issueCard } from '../card/virtual-card.ts'
import { SeededRandom } from '../world/chance.ts'
import { SimClock } from '../world/clock.ts'
import {
  decodePng,
  SimulatedCamera,
  SimulatedDisplay,
  SimulatedInput,
  SimulatedMemory,
  SimulatedPanel,
  SimulatedPower,
  SimulatedPrinter,
  SimulatedReader,
  simulatedBoard,
} from './index.ts'
import { drawScene } from './scene.ts'

const clock = systemClock
const photos = process.env.AZUKARI_DATA
  ? join(process.env.AZUKARI_DATA, 'photos')
  : (['../../../../../shared/data/photos', '../../../../../../shared/data/photos']
      .map((path) => join(import.meta.dirname, path))
      .find(existsSync) ?? '')
const never = new AbortController().signal
const issue = (seed = 1) => {
  const random = new SeededRandom(seed)
  const providerKey = coseKey(publicOf(generateKey('ed25519', random)))
  return issueCard({
    kind: 'ed25519',
    member: { id: random.bytes(16), number: '1', name: 'M' },
    level: 1,
    homeRegion: 'JP-13',
    pin: '1234',
    puk: '12345678',
    providerKey,
    random,
  }).card
}

t.test('S17: the simulated parts conform', async (t) => {
  await t.test('camera', (t) =>
    cameraConforms(t, {
      make: async () => new SimulatedCamera({ clock, random: new SeededRandom(1), width: 64, height: 48 }),
      stalled: undefined,
      unplug: async (camera) => (camera as SimulatedCamera).faults.fail('absent', Number.POSITIVE_INFINITY),
    }),
  )
  await t.test('printer', (t) =>
    printerConforms(t, {
      make: async () => new SimulatedPrinter({ clock }),
      stalled: undefined,
      printed: async (printer) => (printer as SimulatedPrinter).pages.map(({ page }) => page),
      takePaper: async (printer) => {
        ;(printer as SimulatedPrinter).sheets = 0
      },
      jam: async (printer) => (printer as SimulatedPrinter).faults.fail('jam', Number.POSITIVE_INFINITY),
      mend: async (printer) => {
        const simulated = printer as SimulatedPrinter
        simulated.sheets = 10
        simulated.faults.clear()
      },
    }),
  )
  await t.test('reader', (t) =>
    readerConforms(t, {
      make: async () => new SimulatedReader({ clock }),
      stalled: undefined,
      insert: async (reader, kind) =>
        (reader as SimulatedReader).insert(issue(kind === 'contact' ? 1 : 2), kind as 'contact'),
      remove: async (reader, kind) => (reader as SimulatedReader).remove(kind),
      kinds: ['contact', 'contactless'],
    }),
  )
  await t.test('panel', (t) =>
    panelConforms(t, {
      make: async () => new SimulatedPanel({ lamps: ['ready', 'problem'], entry: ['pin', 'text', 'choice'] }),
      write: async (panel, text) => (panel as SimulatedPanel).write(text),
      pick: async (panel, index) => (panel as SimulatedPanel).pick(index),
      press: async (panel, button) => (panel as SimulatedPanel).press(button),
      type: async (panel, pin) =>
        pin === undefined ? (panel as SimulatedPanel).cancelPin() : (panel as SimulatedPanel).typePin(pin),
    }),
  )
  await t.test('display', (t) =>
    displayConforms(t, {
      make: async () => new SimulatedDisplay(),
      seen: async (display) => (display as SimulatedDisplay).current,
    }),
  )
  await t.test('input', (t) =>
    inputConforms(t, {
      make: async () => new SimulatedInput(),
      put: async (input, name, bytes) =>
        (input as SimulatedInput).put(name, name.endsWith('.pdf') ? 'application/pdf' : 'text/plain', bytes),
      restart: async (input) => input,
    }),
  )
  await t.test('memory', (t) =>
    memoryConforms(t, {
      make: async () => new SimulatedMemory(),
      reopen: async (memory) => memory,
      fill: async (memory) => {
        ;(memory as SimulatedMemory).capacityBytes = 900
      },
      protect: async (memory) => {
        ;(memory as SimulatedMemory).readOnly = true
      },
      pullOut: async (memory) => (memory as SimulatedMemory).eject(),
    }),
  )
  await t.test('power', (t) =>
    powerConforms(t, {
      make: async () => new SimulatedPower(),
      set: async (power, state) => {
        ;(power as SimulatedPower).shown = state
      },
    }),
  )
})

t.test('D8: without its position a picture is the same picture, and says all else that it said', async (t) => {
  const camera = new SimulatedCamera({
    clock: new SimClock(1_700_000_000_000),
    random: new SeededRandom(3),
    width: 60,
    height: 40,
    position: { latitude: -33.856784, longitude: 151.215297 },
  })
  const { bytes } = await camera.capture(never)
  const stripped = jpegWithoutPlace(bytes)
  const { position, ...rest } = readExif(bytes)
  t.ok(position)
  t.same(readExif(stripped), rest)
  t.same(decodePicture(stripped), decodePicture(bytes))
  t.ok(readExif(bytes).position, 'the original is not touched')
  t.same(jpegWithoutPlace(stripped), stripped)
  const xmp = Buffer.from('http://ns.adobe.com/xap/1.0/\0<x exif:GPSLatitude="33,51.4S"/>')
  const head = Uint8Array.of(0xff, 0xe1, (xmp.length + 2) >> 8, (xmp.length + 2) & 255)
  const withXmp = Buffer.concat([bytes.subarray(0, 2), head, xmp, bytes.subarray(2)])
  t.notMatch(Buffer.from(jpegWithoutPlace(withXmp)).toString('latin1'), 'GPSLatitude')
  for (let length = 0; length < 400; length += 7)
    t.throws(() => jpegWithoutPlace(bytes.subarray(0, length)), { code: 'place.not-removable' })
})

t.test('S17: a simulated camera makes pictures as cameras do, the same for the same seed', async (t) => {
  const position = { latitude: -33.856784, longitude: 151.215297 }
  for (let orientation = 1; orientation <= 8; orientation++) {
    const random = new SeededRandom(orientation)
    const camera = new SimulatedCamera({
      clock: new SimClock(1_700_000_000_000),
      random,
      width: 60,
      height: 40,
      orientation,
      position,
    })
    const captured = await camera.capture(never)
    const exif = readExif(captured.bytes)
    t.same(
      { ...exif, position: undefined },
      {
        orientation,
        takenAt: '2023:11:15 07:13:20',
        offset: '+09:00',
        make: 'Azukari',
        model: camera.model,
        position: undefined,
      },
    )
    t.ok(
      Math.abs(exif.position!.latitude - position.latitude) < 1e-6 &&
        Math.abs(exif.position!.longitude - position.longitude) < 1e-6,
    )
    t.equal(takenMsOf(exif), captured.takenAtMs)
    const upright = decodeUpright(captured.bytes)
    const scene = drawScene(new SeededRandom(orientation), 60, 40)
    t.same([upright.width, upright.height], [60, 40], 'turned upright it has the extent of the scene')
    let difference = 0
    for (let i = 0; i < scene.rgba.length; i++) difference += Math.abs(scene.rgba[i]! - upright.rgba[i]!)
    t.ok(
      difference / scene.rgba.length < 9,
      `orientation ${orientation}: ${(difference / scene.rgba.length).toFixed(1)} per value`,
    )
  }
  const twice = await Promise.all(
    [1, 2].map(() =>
      new SimulatedCamera({ clock: new SimClock(0), random: new SeededRandom(5), width: 32, height: 32 }).capture(
        never,
      ),
    ),
  )
  t.same(twice[0], twice[1])
})

t.test(
  'S17: the photos of a folder come in order',
  { skip: !existsSync(photos) && 'no photos on this machine' },
  async (t) => {
    const camera = new SimulatedCamera({
      clock,
      random: new SeededRandom(1),
      photos: { files: systemFiles(), directory: photos },
    })
    const first = await camera.capture(never)
    t.ok(first.bytes.length > 10_000)
    t.notSame((await camera.capture(never)).bytes.length, first.bytes.length)
  },
)

t.test('S17: pages come out as PNG files; a printer can be slow and can lie', async (t) => {
  const out: [string, Uint8Array][] = []
  const printer = new SimulatedPrinter({ clock, out: async (name, png) => void out.push([name, png]) })
  await printer.print({ page: testPage(30, 20), title: '写真 1', copies: 2 }, never)
  t.same(
    out.map(([name]) => name),
    ['0001-_1.png', '0002-_1.png'],
  )
  t.same(Buffer.from(decodePng(out[0]![1]).rgba), Buffer.from(testPage(30, 20).rgba))
  printer.lies = true
  await printer.print({ page: testPage(3, 3), title: 'x', copies: 1 }, never)
  t.equal(out.length, 2, 'it said so, and nothing came out')
  const simClock = new SimClock()
  const slow = new SimulatedPrinter({ clock: simClock, delayMs: 60_000 })
  const printed = slow.print({ page: testPage(3, 3), title: 'x', copies: 1 }, never)
  await simClock.runUntil(simClock.now() + 59_000)
  t.equal(slow.pages.length, 0)
  await simClock.runUntil(simClock.now() + 2_000)
  await printed
})

t.test('S14: a built-in card serves when no other is there, and is no second card', async (t) => {
  const reader = new SimulatedReader({ clock, builtIn: issue(1) })
  const channel = await reader.connect(never)
  t.equal(channel.kind, 'built-in')
  t.ok(await CardClient.open(channel, clock, never))
  await channel.disconnect()
  reader.insert(issue(2), 'contactless')
  const visitor = await reader.connect(never)
  t.equal(visitor.kind, 'contactless')
  reader.insert(issue(3), 'contact')
  await t.rejects(
    visitor.transmit(Uint8Array.of(0, 0xa4, 0, 0), never),
    { code: 'card.removed' },
    'a second card ends it',
  )
  await visitor.disconnect()
  await t.rejects(reader.connect(never), { code: 'card.two' })
})

t.test('S17: memory that loses power while written has the old file or the new', async (t) => {
  const memory = new SimulatedMemory()
  await memory.put('a', new Uint8Array(100).fill(1), never)
  memory.tearAfter(50)
  await t.rejects(memory.put('a', new Uint8Array(100).fill(2), never), { code: 'memory.absent' })
  memory.insert()
  t.same(Buffer.from(await (await memory.open('a')).read(0, 200)), Buffer.alloc(100, 1))
})

t.test('D2: a board has the parts it is given, and is closed as a whole', async (t) => {
  const board = simulatedBoard({ clock, random: new SeededRandom(1), camera: {}, panel: { person: () => '1234' } })
  t.ok(board.camera)
  t.notOk(board.printer)
  t.equal(await board.panel.askPin({ prompt: 'PIN', limitMs: 1_000, digits: { min: 4, max: 12 } }, never), '1234')
  await closeBoard(board)
  await t.rejects(board.memory.list(), { code: 'memory.absent' })
  t.ok(DirectoryMemory)
})
