/** What is on a card, as a reader sees it (S15); no secrets. */
import { hex } from '@azukari/protocol/bytes'
import type { Clock } from '@azukari/protocol/ports'
import { CardClient } from '../card.ts'
import type { CardChannel } from '../drivers.ts'

/** @throws {Problem} `card.*` */
export async function showCard(channel: CardChannel, clock: Clock, signal: AbortSignal) {
  const client = await CardClient.open(channel, clock, signal)
  const { facts } = client
  return {
    kind: facts.kind,
    serial: hex(facts.serial),
    card: hex(facts.card),
    member: { id: hex(facts.member.id), number: facts.member.number, name: facts.member.name },
    level: facts.level.level,
    home: facts.level.home,
    counter: client.counter,
    tornSlots: client.tornSlots,
    pinTriesLeft: await client.pinTriesLeft(signal),
    catalogue: facts.root.catalogue !== undefined,
    conditions: client
      .readConditions()
      .map(({ tag, version, counter, record }) => ({ tag: hex(tag), version, counter, bytes: record.length })),
  }
}
