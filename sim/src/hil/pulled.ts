/** What a reader of any kind must survive (C11): the card is gone in the middle of a conversation, at each of its commands. */
import { CardClient } from '@azukari/device/card'
import { caught, limit } from '@azukari/device/conformance/suite'
import type { CardReader } from '@azukari/device/drivers'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { isProblem } from '@azukari/protocol/problem'
import type { Test } from 'tap'
import { until } from '../site/wait.ts'
import { issue } from '../testkit/card/fixture.ts'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'

/** @param hand puts the card before the reader, and resolves when the reader has seen it; takes it away */
export async function pulledAtEachCommand(
  t: Test,
  reader: CardReader,
  hand: { put(card: VirtualCard): Promise<void>; pull(): void },
): Promise<void> {
  const { card } = issue('ed25519')
  let at = 0
  for (; ; at++) {
    await hand.put(card)
    const channel = await reader.connect(limit())
    let sent = 0
    const pulled = {
      kind: channel.kind,
      transmit: (apdu: Uint8Array, signal: AbortSignal) => {
        if (sent++ === at) hand.pull()
        return channel.transmit(apdu, signal)
      },
      disconnect: () => channel.disconnect(),
    }
    const error = await caught(CardClient.open(pulled, systemClock, limit()))
    await channel.disconnect()
    hand.pull()
    await until('no card', () => reader.cards().length === 0)
    if (error === undefined) break
    if (!isProblem(error, 'card.removed')) t.equal(String(error), 'card.removed', `pulled at command ${at}`)
  }
  t.ok(at >= 2, `pulled at each of ${at} commands`)
}
