/**
 * A card that can be put into simulated and virtual readers, and whose power can go at any byte or command. The card's
 * application is the device's own (`@azukari/device/applet`); here are its power and the memory that loses it.
 */
import { CardApplet } from '@azukari/device/applet/applet'
import { type IssueOptions, issueCard as issueMemory } from '@azukari/device/applet/issue'
import { CardMemory } from '@azukari/device/applet/memory'
import type { Random } from '@azukari/protocol/ports'

const nothing = new Uint8Array(0)

/** Where the power goes: after so many more written bytes, or before or after the n-th command from now (0 = the next). */
export interface PowerCut {
  writtenBytes?: number
  command?: { index: number; when: 'before' | 'after' }
}

/** Thrown inside the card when the power goes; never leaves it. */
class PowerLost extends Error {}

/** A card's memory that can lose power at any byte. */
export class FragileMemory extends CardMemory {
  /** Bytes that can still be written before the power goes; undefined when it stays. */
  #budgetBytes: number | undefined

  /** The next `bytes` bytes are still written, then the power is gone. */
  losePowerAfter(bytes: number | undefined): void {
    this.#budgetBytes = bytes
  }

  protected override commit(bytes: number, make: (taken: number) => void): void {
    const left = this.#budgetBytes ?? bytes
    make(Math.min(bytes, left))
    if (bytes > left) {
      this.#budgetBytes = undefined
      throw new PowerLost()
    }
    if (this.#budgetBytes !== undefined) this.#budgetBytes -= bytes
  }
}

export class VirtualCard {
  readonly #memory: FragileMemory
  readonly #applet: CardApplet
  #powered = true
  #cut: { left: number; when: 'before' | 'after' } | undefined

  constructor(memory: FragileMemory, random: Random) {
    this.#memory = memory
    this.#applet = new CardApplet(memory, random)
  }

  /** A card from its saved image. @throws {Problem} `cbor.*`, `message.invalid` */
  static load(image: Uint8Array, random: Random): VirtualCard {
    return new VirtualCard(FragileMemory.load(image), random)
  }

  /** Wrong PINs that it still bears; 0: it is blocked. */
  get triesLeft(): number {
    return this.#memory.triesLeft('pin')
  }

  /** The whole card as one file, private keys included: keep it as secret as a card. */
  save(): Uint8Array {
    return this.#memory.save()
  }

  get powered(): boolean {
    return this.#powered
  }

  /** Power on, or reset: selection, PIN and provider state are gone. Planned power cuts are, too. */
  reset(): void {
    this.#powered = true
    this.#cut = undefined
    this.#memory.losePowerAfter(undefined)
    this.#applet.reset()
  }

  powerOff(): void {
    this.#powered = false
  }

  /** Plans where the power goes; a reset forgets it. */
  cutPower(cut: PowerCut): void {
    this.#memory.losePowerAfter(cut.writtenBytes)
    this.#cut = cut.command && { left: cut.command.index, when: cut.command.when }
  }

  /** Answers one command; no bytes at all when there is no power, or when it goes meanwhile. */
  transmit(apdu: Uint8Array): Uint8Array {
    if (!this.#powered) return nothing
    const due = this.#cut !== undefined && this.#cut.left-- === 0
    if (due && this.#cut?.when === 'before') {
      this.#powered = false
      return nothing
    }
    try {
      const answer = this.#applet.transmit(apdu)
      if (due) this.#powered = false
      return due ? nothing : answer
    } catch (error) {
      if (!(error instanceof PowerLost)) throw error
      this.#powered = false
      return nothing
    }
  }
}

/** A card as issued, in a person's hand. @throws {Problem} `message.invalid` */
export function issueCard(options: IssueOptions) {
  const { memory, registration } = issueMemory(options)
  return { card: VirtualCard.load(memory.save(), options.random), registration }
}
