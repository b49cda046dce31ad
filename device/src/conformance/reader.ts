import { decodeResponse } from '@azukari/protocol/card/apdu'
import { isProblem } from '@azukari/protocol/problem'
import type { CardEvent, CardPresence, CardReader } from '../drivers.ts'
import { aborted, type Checks, caught, fails, limit, type Stalled, stalledEnds } from './suite.ts'

export interface ReaderHarness {
  /** A reader without a card. */
  make(): Promise<CardReader>
  /** A reader with a card that answers no command. */
  stalled: Stalled<CardReader>
  /** Puts a card of ours in or on, and waits until the reader can know. */
  insert(reader: CardReader, kind: CardPresence): Promise<void>
  remove(reader: CardReader, kind: CardPresence): Promise<void>
  /** The ways in which cards can be there; the first is used where one is enough. */
  kinds: readonly CardPresence[]
}

/** VERIFY without data answers 9000 when the PIN was verified in this connection. */
const pinState = Uint8Array.of(0, 0x20, 0, 0x81)
const selectMaster = Uint8Array.of(0, 0xa4, 0, 0x0c, 2, 0x3f, 0)

/** S14, S17: what every card reader does. */
export async function readerConforms(t: Checks, fixture: ReaderHarness): Promise<void> {
  const kind = fixture.kinds[0]!
  await t.test('S14: cards that come and go are told, each way', {}, async (t) => {
    const reader = await fixture.make()
    const events: CardEvent[] = []
    const listening = reader.onCard((event) => events.push(event))
    for (const way of fixture.kinds) {
      await fixture.insert(reader, way)
      t.same(reader.cards(), [way])
      await fixture.remove(reader, way)
      t.same(reader.cards(), [])
    }
    t.same(
      events,
      fixture.kinds.flatMap((way) => [
        { type: 'inserted', kind: way },
        { type: 'removed', kind: way },
      ]),
    )
    listening[Symbol.dispose]()
    await fixture.insert(reader, kind)
    t.equal(events.length, fixture.kinds.length * 2, 'who stopped listening hears no more')
    await reader.close()
  })
  await t.test('S17: no card, no connection', {}, async (t) => {
    const reader = await fixture.make()
    await fails(t, 'reader', reader.connect(limit()), 'card.absent')
    const { signal, reason } = aborted()
    t.equal(await caught(reader.connect(signal)), reason)
    await reader.close()
  })
  await t.test('S17: a connection is exclusive, answers commands, and starts and ends with a reset', {}, async (t) => {
    const reader = await fixture.make()
    await fixture.insert(reader, kind)
    const channel = await reader.connect(limit())
    t.equal(channel.kind, kind)
    t.equal(decodeResponse(await channel.transmit(selectMaster, limit())).sw, 0x9000)
    await fails(t, 'reader', reader.connect(limit()), 'part.busy')
    await channel.disconnect()
    await channel.disconnect()
    const again = await reader.connect(limit())
    t.equal(decodeResponse(await again.transmit(pinState, limit())).sw >> 4, 0x63c, 'nobody’s PIN state is left')
    await again.disconnect()
    await reader.close()
  })
  await t.test('S17: a card that is pulled out is missed', {}, async (t) => {
    const reader = await fixture.make()
    await fixture.insert(reader, kind)
    const channel = await reader.connect(limit())
    await fixture.remove(reader, kind)
    const error = await caught(channel.transmit(selectMaster, limit()).then(decodeResponse))
    t.ok(isProblem(error, 'card.removed'), 'an error, or fewer than two bytes')
    await channel.disconnect()
    await fixture.insert(reader, kind)
    const again = await reader.connect(limit())
    t.equal(decodeResponse(await again.transmit(selectMaster, limit())).sw, 0x9000)
    await again.disconnect()
    await reader.close()
  })
  await stalledEnds(t, 'reader', fixture.stalled, async (reader, signal) => {
    const channel = await reader.connect(signal)
    await channel.transmit(selectMaster, signal)
  })
  const [one, other] = fixture.kinds.filter((way) => way !== 'built-in')
  if (one && other)
    await t.test('S17: two cards at once are refused', {}, async (t) => {
      const reader = await fixture.make()
      await fixture.insert(reader, one!)
      await fixture.insert(reader, other!)
      await fails(t, 'reader', reader.connect(limit()), 'card.two', ['card.two'])
      await fixture.remove(reader, other!)
      await (await reader.connect(limit())).disconnect()
      await reader.close()
    })
}
