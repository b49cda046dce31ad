/**
 * A card in software whose memory rests in the device's keystore (S14, S15). It answers a command only when everything that
 * the command changed outlasts a power cut, change by change in the order in which a chip makes them: so a try at the PIN
 * is counted on the medium before anybody can tell whether it was right, and pulling the plug wins none.
 */
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Keystore } from '../keystore.ts'
import { CardApplet } from './applet.ts'
import { CardMemory } from './memory.ts'

/** The card's name in the keystore. */
const item = 'card'

/** A memory that keeps what it was after each change, until that is written. */
class KeptMemory extends CardMemory {
  readonly #states: Uint8Array[] = []

  protected override commit(bytes: number, make: (taken: number) => void): void {
    make(bytes)
    this.#states.push(this.save())
  }

  nextState(): Uint8Array | undefined {
    return this.#states.shift()
  }
}

export class KeptCard {
  readonly #store: Keystore
  readonly #memory: KeptMemory
  readonly #applet: CardApplet
  /** What was written is not known any more: like a card that lost power, it answers nothing until it is loaded again. */
  #isDead = false

  private constructor(store: Keystore, memory: KeptMemory, random: Random) {
    this.#store = store
    this.#memory = memory
    this.#applet = new CardApplet(memory, random)
  }

  /** Whether a card was issued into this keystore. */
  static isIssued(store: Keystore): Promise<boolean> {
    return store.has(item)
  }

  /** The card, freshly powered. @throws {Problem} `card.absent` when none was issued; `card.damaged`, `config.invalid`, `storage.*` */
  static async load(store: Keystore, random: Random): Promise<KeptCard> {
    const image = await store.read(item)
    if (!image) throw new Problem('card.absent', `no card was issued into ${store.folder}: azukari-device card issue`)
    try {
      return new KeptCard(store, KeptMemory.load(image), random)
    } catch (cause) {
      throw new Problem('card.damaged', 'the built-in card is not understood', { cause })
    }
  }

  /** Puts an issued card into a keystore that has none. @throws {Problem} `config.invalid`, `storage.*` */
  static async install(store: Keystore, memory: CardMemory): Promise<void> {
    if (await store.has(item)) throw new Problem('config.invalid', 'there is a card already: it is not overwritten')
    const image = memory.save()
    await store.write(item, image)
    image.fill(0)
  }

  /** Erases the card: keys, conditions and all. @throws {Problem} `storage.*` */
  static erase(store: Keystore): Promise<void> {
    return store.remove(item)
  }

  get pinVerified(): boolean {
    return this.#applet.pinVerified
  }

  /** One command at a time. @throws {Problem} `storage.*`, `config.invalid`: then the card is dead, and must be loaded again */
  async transmit(apdu: Uint8Array): Promise<Uint8Array> {
    if (this.#isDead) return new Uint8Array(0)
    this.#isDead = true
    const answer = this.#applet.transmit(apdu)
    for (let state = this.#memory.nextState(); state; state = this.#memory.nextState()) {
      await this.#store.write(item, state)
      state.fill(0)
    }
    this.#isDead = false
    return answer
  }
}
