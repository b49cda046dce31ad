/** Serial NFC readers in the loop: our PN532 driver over the real serial port to a pty, and our virtual card in its field. */
import { answerIdentifier, encodeFrame } from '@azukari/boards/pn532-frames'
import { Pn532Reader } from '@azukari/boards/pn532-reader'
import { CardClient } from '@azukari/device/card'
import { readerConforms } from '@azukari/device/conformance/reader'
import { caught, limit } from '@azukari/device/conformance/suite'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { until } from '../site/wait.ts'
import { issue } from '../testkit/card/fixture.ts'
import { quietLog } from '../testkit/log.ts'
import { Pn532Module } from './pn532-module.ts'
import { PtyPair } from './pty.ts'
import { pulledAtEachCommand } from './pulled.ts'

t.setTimeout(180_000)
// Waits of drivers keep no process alive, as the boards' own line does.
const alive = setInterval(() => undefined, 1_000)
const pair = await PtyPair.open()
t.teardown(async () => {
  clearInterval(alive)
  await pair.close()
})
let far = new Pn532Module(pair.far)
const options = { path: pair.path, clock, log: quietLog, againMs: 100, pollMs: 50 }
const selectMaster = Uint8Array.of(0, 0xa4, 0, 0x0c, 2, 0x3f, 0)

async function make(more: { commandMs?: number } = {}): Promise<Pn532Reader> {
  far.remove()
  const reader = new Pn532Reader({ ...options, ...more })
  await until('the reader', () => reader.isReady)
  return reader
}

async function put(reader: Pn532Reader, card = issue('p256').card): Promise<void> {
  far.insert(card)
  await until('the card', () => reader.cards().length > 0)
}

t.test('S14 S17: PN532', (t) =>
  readerConforms(t, {
    make,
    stalled: undefined,
    kinds: ['contactless'],
    insert: (reader) => put(reader as Pn532Reader),
    remove: async (reader) => {
      far.remove()
      await until('no card', () => reader.cards().length === 0)
    },
  }),
)

t.test('C11 S14: a card is opened and proves itself over the air, with answers longer than a frame', async (t) => {
  const reader = await make()
  await put(reader)
  const channel = await reader.connect(limit())
  t.ok(await CardClient.open(channel, clock, limit()))
  await channel.disconnect()
  await reader.close()
})

t.test('C11 S17: a card taken away at any command is missed, and works when it is back', async (t) => {
  const reader = await make()
  await pulledAtEachCommand(t, reader, {
    put: (card) => put(reader, card),
    pull: () => far.remove(),
  })
  await reader.close()
})

t.test(
  'S17: a slow card, garbage on the line, and a reader that is mute: told, and it works when they do',
  async (t) => {
    const reader = await make({ commandMs: 500 })
    await put(reader)
    const channel = await reader.connect(limit())
    far.delayMs = 1_500
    t.ok(isProblem(await caught(channel.transmit(selectMaster, limit())), 'part.timeout'))
    far.delayMs = 0
    await channel.disconnect()
    for (let i = 0; i < 20; i++) far.garbage(Uint8Array.from({ length: 90 }, (_, at) => (at * 37 + i * 11) & 255))
    far.isMute = true
    await until('the loss', () => !reader.isReady)
    t.ok(isProblem(await caught(reader.connect(limit())), 'card.absent'))
    far.isMute = false
    await until('the reader', () => reader.isReady)
    await put(reader)
    const again = await reader.connect(limit())
    t.ok((await again.transmit(selectMaster, limit())).length >= 2)
    await again.disconnect()
    await reader.close()
  },
)

t.test('S17: half a frame, whose rest never comes, swallows no answer', async (t) => {
  const reader = await make({ commandMs: 2_000 })
  await put(reader)
  const channel = await reader.connect(limit())
  for (let cut = 6; cut < 40; cut += 11) {
    far.garbage(encodeFrame(new Uint8Array(200), answerIdentifier).subarray(0, cut))
    t.ok((await channel.transmit(selectMaster, limit())).length >= 2, `${cut} bytes of a frame`)
  }
  t.ok(reader.isReady)
  await channel.disconnect()
  await reader.close()
})

t.test('S17: unplugged with a card in use, and plugged in again: works within five seconds', async (t) => {
  const reader = await make()
  await put(reader)
  const channel = await reader.connect(limit())
  await pair.unplug()
  await until('the loss', () => !reader.isReady)
  t.same(reader.cards(), [])
  t.ok((await caught(channel.transmit(selectMaster, limit()))) instanceof Error)
  await channel.disconnect()
  await pair.plug()
  far = new Pn532Module(pair.far)
  await until('the reader', () => reader.isReady, 5_000)
  await put(reader)
  await (await reader.connect(limit())).disconnect()
  await reader.close()
})
