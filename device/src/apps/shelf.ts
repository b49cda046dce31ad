/**
 * What a member has, as the card tells it (S10): the storing conditions, opened by the card, newest first. Needs neither
 * placement nor a line.
 */
import { decode } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { Conditions, conditionsDomain } from '@azukari/protocol/contracts/save'
import type { PresentCard } from './presence.ts'

const checkConditions = checker(Conditions, 'conditions')

/** The objects that the card knows. Needs the PIN. @throws {Problem} `card.*`, `cose.*` when a record was not made for this card */
export async function readShelf(card: PresentCard): Promise<Conditions[]> {
  return card.use(async (client) => {
    const shelf: Conditions[] = []
    for (const held of client.readConditions())
      shelf.push(checkConditions(decode(await client.open(held.record, conditionsDomain, card.signal))))
    return shelf.sort((a, b) => b.takenMs - a.takenMs)
  })
}
