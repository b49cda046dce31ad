/** A simulated card reader: slot, field and built-in card; cards are put in, taken out and torn at any moment. */
import {
  type CardChannel,
  type CardEvent,
  type CardPresence,
  type CardReader,
  Listeners,
  partProblem,
} from '@azukari/device/drivers'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { VirtualCard } from '../card/virtual-card.ts'
import { Faults } from './fault.ts'

export interface SimulatedReaderOptions {
  clock: Clock
  model?: string
  /** Time per command; at once by default. */
  delayMs?: number
  /** A card that is part of the device. It is used when no other is there, and does not count as a second one. */
  builtIn?: VirtualCard
}

export class SimulatedReader implements CardReader {
  readonly model: string
  readonly faults = new Faults('reader')
  readonly #options: SimulatedReaderOptions
  readonly #cards = new Map<CardPresence, VirtualCard>()
  readonly #listeners = new Listeners<CardEvent>()
  #channel: SimulatedChannel | undefined
  #closed = false

  constructor(options: SimulatedReaderOptions) {
    this.#options = options
    this.model = options.model ?? 'Azukari Simulated Reader'
    if (options.builtIn) this.#cards.set('built-in', options.builtIn)
  }

  /** Puts a card in (contact) or into the field (contactless). One that is there already is taken out first. */
  insert(card: VirtualCard, kind: Exclude<CardPresence, 'built-in'> = 'contact'): void {
    this.remove(kind)
    card.reset()
    this.#cards.set(kind, card)
    this.#listeners.emit({ type: 'inserted', kind })
  }

  /** Takes a card out: it loses power, whatever it is doing. */
  remove(kind: CardPresence = 'contact'): void {
    const card = this.#cards.get(kind)
    if (!card) return
    card.powerOff()
    this.#cards.delete(kind)
    this.#listeners.emit({ type: 'removed', kind })
  }

  onCard(listener: (event: CardEvent) => void): Disposable {
    return this.#listeners.add(listener)
  }

  cards(): readonly CardPresence[] {
    return [...this.#cards.keys()]
  }

  async connect(signal: AbortSignal): Promise<CardChannel> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('reader', 'failed', 'closed')
    this.faults.check()
    const outside = [...this.#cards].filter(([kind]) => kind !== 'built-in')
    if (outside.length > 1) throw new Problem('card.two')
    const [kind, card] = outside[0] ?? [...this.#cards][0] ?? []
    if (!kind || !card) throw partProblem('reader', 'absent')
    if (this.#channel?.open) throw partProblem('reader', 'busy', 'another connection is open')
    card.reset()
    this.#channel = new SimulatedChannel(
      kind,
      card,
      () => this.#cards.get(kind) === card && outsideOf(this.#cards) < 2,
      this.#options,
    )
    return this.#channel
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#channel?.disconnect()
  }
}

class SimulatedChannel implements CardChannel {
  readonly kind: CardPresence
  open = true
  readonly #card: VirtualCard
  readonly #present: () => boolean
  readonly #options: SimulatedReaderOptions

  constructor(kind: CardPresence, card: VirtualCard, present: () => boolean, options: SimulatedReaderOptions) {
    this.kind = kind
    this.#card = card
    this.#present = present
    this.#options = options
  }

  async transmit(apdu: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    if (!this.open) throw partProblem('reader', 'removed', 'disconnected')
    if (this.#options.delayMs) await this.#options.clock.sleep(this.#options.delayMs, signal)
    if (!this.#present()) throw partProblem('reader', 'removed')
    // A card that loses power gives no bytes and no error, as real stacks do.
    return this.#card.transmit(apdu)
  }

  async disconnect(): Promise<void> {
    if (!this.open) return
    this.open = false
    if (this.#present()) this.#card.reset()
  }
}

function outsideOf(cards: ReadonlyMap<CardPresence, VirtualCard>): number {
  return cards.size - (cards.has('built-in') ? 1 : 0)
}
