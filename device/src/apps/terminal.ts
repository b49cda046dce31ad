/** The terminal app: card in → who am I, what do I have. */

import type { CardKind } from '@azukari/protocol/card/layout'
import type { Conditions } from '@azukari/protocol/contracts/save'
import type { FetchPorts } from './fetch.ts'
import type { Presence, SessionFacts } from './presence.ts'
import { readWholeShelf } from './shelf.ts'

export interface WhoAmI {
  name: string
  number: string
  level: number
  home: string
  card: CardKind
  /** Placement's word, when there is a line. */
  session?: SessionFacts
}

export class TerminalApp {
  readonly #presence: Presence
  readonly #ports: FetchPorts

  constructor(presence: Presence, ports: FetchPorts) {
    this.#presence = presence
    this.#ports = ports
  }

  /** Needs no PIN: it is what the card shows to anybody who holds it. @throws {Problem} `card.*` */
  whoAmI(): WhoAmI {
    const { facts, session } = this.#presence.require()
    return {
      name: facts.member.name,
      number: facts.member.number,
      level: facts.level.level,
      home: facts.level.home,
      card: facts.kind,
      ...(session ? { session } : {}),
    }
  }

  /** Needs the PIN: the card opens what was sealed to it. @throws {Problem} `card.*` */
  async whatDoIHave(pin?: string): Promise<Conditions[]> {
    const card = this.#presence.require()
    await card.requirePin(pin)
    return readWholeShelf(this.#ports, card)
  }
}
