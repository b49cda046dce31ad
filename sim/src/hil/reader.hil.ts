/** Card readers in the loop: what may befall our driver, PC/SC's real daemon, and our virtual card over real APDUs. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { PcscReader } from '@azukari/boards/pcsc-reader'
import { CardClient } from '@azukari/device/card'
import { caught, limit } from '@azukari/device/conformance/suite'
import type { CardPresence } from '@azukari/device/drivers'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { until } from '../site/wait.ts'
import { issue } from '../testkit/card/fixture.ts'
import { quietLog } from '../testkit/log.ts'
import { VirtualReader } from './pcscd.ts'
import { pulledAtEachCommand } from './pulled.ts'

t.setTimeout(120_000)
const daemon = await VirtualReader.start()
t.teardown(() => daemon.stop())
const slotOf = { contact: daemon.slots[0], contactless: daemon.slots[1] }

async function make(more: { commandMs?: number } = {}): Promise<PcscReader> {
  for (const slot of daemon.slots) slot.remove()
  const reader = new PcscReader({ clock: systemClock, log: quietLog, contactless: / 01$/, ...more })
  await until('two slots', () => reader.readers.length === 2)
  await until('empty slots', () => reader.cards().length === 0)
  return reader
}

const put = async (reader: PcscReader, card: ReturnType<typeof issue>['card'], kind: CardPresence = 'contact') => {
  slotOf[kind as 'contact'].remove()
  await until('no card', () => !reader.cards().includes(kind))
  slotOf[kind as 'contact'].insert(card)
  await until('the card', () => reader.cards().includes(kind))
}

t.test('C11 S14: a card is opened and proves itself, contact and contactless', async (t) => {
  const reader = await make()
  for (const kind of ['contact', 'contactless'] as const) {
    await put(reader, issue(kind === 'contact' ? 'ed25519' : 'p256').card, kind)
    const channel = await reader.connect(limit())
    t.ok(await CardClient.open(channel, systemClock, limit()), kind)
    await channel.disconnect()
    slotOf[kind].remove()
    await until('no card', () => reader.cards().length === 0)
  }
  await reader.close()
})

t.test('C11 S17: a card pulled at any command is missed, and works when it is put in again', async (t) => {
  const reader = await make()
  await pulledAtEachCommand(t, reader, {
    put: (card) => put(reader, card),
    pull: () => slotOf.contact.remove(),
  })
  await reader.close()
})

t.test('S17: a card that answers too slowly is told, and the next one works', async (t) => {
  const reader = await make({ commandMs: 500 })
  await put(reader, issue('ed25519').card)
  const channel = await reader.connect(limit())
  slotOf.contact.delayMs = 2_000
  await t.rejects(channel.transmit(Uint8Array.of(0, 0xa4, 0, 0x0c, 2, 0x3f, 0), limit()), { code: 'part.timeout' })
  slotOf.contact.delayMs = 0
  await channel.disconnect()
  slotOf.contact.remove()
  await until('no card', () => reader.cards().length === 0)
  await put(reader, issue('ed25519').card)
  const again = await reader.connect(limit())
  t.equal((await again.transmit(Uint8Array.of(0, 0xa4, 0, 0x0c, 2, 0x3f, 0), limit())).length >= 2, true)
  await again.disconnect()
  await reader.close()
})

t.test(
  'S17: the daemon ends and comes back, with a card in use: missed at once, back within five seconds',
  async (t) => {
    const reader = await make()
    for (let times = 0; times < 3; times++) {
      await put(reader, issue('ed25519').card)
      const channel = await reader.connect(limit())
      await daemon.stopDaemon()
      await until('the loss', () => reader.cards().length === 0 && reader.readers.length === 0)
      t.ok(isProblem(await caught(channel.transmit(Uint8Array.of(0, 0xa4, 0, 0), limit())), 'card.removed'))
      await channel.disconnect()
      t.ok(isProblem(await caught(reader.connect(limit())), 'card.absent'))
      await daemon.startDaemon()
      await until('two slots', () => reader.readers.length === 2, 5_000)
      await put(reader, issue('ed25519').card)
      await (await reader.connect(limit())).disconnect()
    }
    // What the daemon forgot is not collected either: that ended the process.
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 100))
    await reader.close()
  },
)

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}
