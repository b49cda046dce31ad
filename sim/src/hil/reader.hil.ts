/** Card readers in the loop: our driver, PC/SC's real daemon, and our virtual card over real APDUs. */

import { PcscReader } from '@azukari/boards/pcsc-reader'
import { readerConforms } from '@azukari/device/conformance/reader'
import { systemClock } from '@azukari/protocol/adapters/clock'
import t from 'tap'
import { issue } from '../card/bench.ts'
import { quietLog } from '../site/log.ts'
import { until } from '../site/wait.ts'
import { VirtualReader } from './pcscd.ts'

t.setTimeout(120_000)
const daemon = await VirtualReader.start()
t.teardown(() => daemon.stop())
const card = { contact: issue('ed25519').card, contactless: issue('p256').card }
const slotOf = { contact: daemon.slots[0], contactless: daemon.slots[1] }
const make = async () => {
  for (const slot of daemon.slots) slot.remove()
  const reader = new PcscReader({ clock: systemClock, log: quietLog, contactless: / 01$/ })
  await until('two slots', () => reader.readers.length === 2)
  await until('empty slots', () => reader.cards().length === 0)
  return reader
}

t.test('S14 S17: PC/SC', (t) =>
  readerConforms(t, {
    make,
    kinds: ['contact', 'contactless'],
    insert: async (reader, kind) => {
      slotOf[kind as 'contact'].insert(card[kind as 'contact'])
      await until(`the ${kind} card`, () => reader.cards().includes(kind))
    },
    remove: async (reader, kind) => {
      slotOf[kind as 'contact'].remove()
      await until(`no ${kind} card`, () => !reader.cards().includes(kind))
    },
  }),
)
