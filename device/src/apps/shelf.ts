/**
 * What a member has, as the card tells it (S10), newest first: the storing conditions on the card, opened by the card;
 * and, where the card is too small for all, its catalogue, fetched like any object. Needs no placement; the card's own
 * conditions need no line either.
 */
import { decode } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { Catalogue, Conditions, conditionsDomain } from '@azukari/protocol/contracts/save'
import { isProblem } from '@azukari/protocol/problem'
import { type FetchPorts, fetchObject } from './fetch.ts'
import type { PresentCard } from './presence.ts'

const checkConditions = checker(Conditions, 'conditions')
const checkCatalogue = checker(Catalogue, 'catalogue')
const catalogueLimits = { maxBytes: 1 << 26, maxItems: 1 << 23 }

/** The objects that the card knows by itself. Needs the PIN. @throws {Problem} `card.*`, `cose.*` when a record was not made for this card */
export async function readShelf(card: PresentCard): Promise<Conditions[]> {
  return card.use(async (client) => {
    const shelf: Conditions[] = []
    for (const held of client.readConditions())
      shelf.push(checkConditions(decode(await client.open(held.record, conditionsDomain, card.signal))))
    return newestFirst(shelf)
  })
}

/** With the catalogue, when the card names one and a data server gives it; what the card itself says is newer. */
export async function readWholeShelf(ports: FetchPorts, card: PresentCard): Promise<Conditions[]> {
  const own = await readShelf(card)
  const address = card.facts.root.catalogue
  if (!address || !ports.link.up) return own
  try {
    const place = await card.use((client) => client.open(address, conditionsDomain, card.signal))
    const { bytes } = await fetchObject(ports, card, checkConditions(decode(place)))
    const all = new Map(checkCatalogue(decode(bytes, catalogueLimits)).items.map((item) => [nameOf(item), item]))
    for (const item of own) if (item.version >= (all.get(nameOf(item))?.version ?? 0)) all.set(nameOf(item), item)
    return newestFirst([...all.values()])
  } catch (error) {
    if (!isProblem(error) || card.signal.aborted) throw error
    ports.log.info('the catalogue could not be fetched; the card’s own conditions are shown', { code: error.code })
    return own
  }
}

function newestFirst(items: Conditions[]): Conditions[] {
  return items.sort((a, b) => b.takenMs - a.takenMs)
}

function nameOf(item: Conditions): string {
  return Buffer.from(item.object).toString('hex')
}
