/**
 * The card built into the device (S14): a card in software, in the device's keystore, behind the contract of every other
 * reader. It is there as soon as one was issued (`azukari-device card issue`) and stays in; since nobody takes it out, what
 * its PIN opened is closed again a while after the PIN was last needed.
 */
import { KeptCard } from '@azukari/device/applet/kept-card'
import {
  type CardChannel,
  type CardEvent,
  type CardPresence,
  type CardReader,
  Listeners,
  partProblem,
} from '@azukari/device/drivers'
import { Keystore, type KeystoreOptions } from '@azukari/device/keystore'
import { decodeCommand, instructions } from '@azukari/protocol/card/apdu'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { describe, isProblem } from '@azukari/protocol/problem'

export interface BuiltInReaderOptions extends KeystoreOptions {
  clock: Clock
  log: Log
  /** How often it is looked whether a card was issued or erased. */
  lookMs?: number
  /** How long after its last use the PIN's effect ends: the card is then reset, as if it was taken out and put in. */
  forgetMs?: number
}

const kind = 'built-in'
/** Commands that the PIN opens, and the one that shows it. */
const pinUses: ReadonlySet<number> = new Set([instructions.verify, instructions.performSecurityOperation])

export class BuiltInReader implements CardReader {
  readonly model = 'built-in card'
  readonly #o: BuiltInReaderOptions
  readonly #store: Keystore
  readonly #listeners = new Listeners<CardEvent>()
  #isPresent = false
  #again: Timer | undefined
  #channel: BuiltInChannel | undefined
  #why = ''
  #closed = false

  constructor(options: BuiltInReaderOptions) {
    this.#o = options
    this.#store = new Keystore(options)
    void this.#look()
  }

  onCard(listener: (event: CardEvent) => void): Disposable {
    return this.#listeners.add(listener)
  }

  cards(): readonly CardPresence[] {
    return this.#isPresent ? [kind] : []
  }

  async connect(signal: AbortSignal): Promise<CardChannel> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('reader', 'failed', 'closed')
    if (this.#channel?.open) throw partProblem('reader', 'busy', 'another connection is open')
    if (!this.#isPresent) throw partProblem('reader', 'absent', 'no card was issued: azukari-device card issue')
    // Loaded anew from the medium: nothing of an earlier connection is left, and nothing is believed that was not kept.
    const card = await mapped(KeptCard.load(this.#store, this.#o.random))
    signal.throwIfAborted()
    if (this.#channel?.open) throw partProblem('reader', 'busy', 'another connection is open')
    this.#channel = new BuiltInChannel(card, this.#o, () => this.#takeOutAndPutIn())
    return this.#channel
  }

  async advice(): Promise<string | undefined> {
    return (await KeptCard.isIssued(this.#store)) ? undefined : 'Issue its card: azukari-device card issue.'
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#again?.cancel()
    await this.#channel?.disconnect()
  }

  async #look(): Promise<void> {
    try {
      const isIssued = await KeptCard.isIssued(this.#store)
      this.#why = ''
      if (!this.#closed) this.#set(isIssued)
    } catch (error) {
      const why = isProblem(error) ? (error.detail ?? error.code) : String(error)
      if (why !== this.#why) this.#o.log.warn('the keystore cannot be looked at', { error: why })
      this.#why = why
      if (!this.#closed) this.#set(false)
    }
    if (!this.#closed) this.#again = this.#o.clock.timer(this.#o.lookMs ?? 2_000, () => void this.#look())
  }

  #set(isPresent: boolean): void {
    if (isPresent === this.#isPresent) return
    this.#isPresent = isPresent
    if (!isPresent) this.#channel?.lose()
    this.#listeners.emit({ type: isPresent ? 'inserted' : 'removed', kind })
  }

  #takeOutAndPutIn(): void {
    if (!this.#isPresent) return
    this.#set(false)
    this.#set(true)
  }
}

class BuiltInChannel implements CardChannel {
  readonly kind = kind
  readonly #card: KeptCard
  readonly #o: BuiltInReaderOptions
  readonly #forget: () => void
  #timer: Timer | undefined
  #pending: Promise<unknown> | undefined
  #isLost = false
  open = true

  constructor(card: KeptCard, options: BuiltInReaderOptions, forget: () => void) {
    this.#card = card
    this.#o = options
    this.#forget = forget
  }

  async transmit(apdu: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    if (!this.open || this.#isLost) throw partProblem('reader', 'removed', 'disconnected')
    if (this.#pending) throw partProblem('reader', 'busy', 'the card has not answered yet')
    const work = mapped(this.#card.transmit(apdu))
    const settled = () => {
      this.#pending = undefined
    }
    this.#pending = work.then(settled, settled)
    const answer = await work
    // What came too late was done, and is told to nobody.
    signal.throwIfAborted()
    if (this.#isLost) throw partProblem('reader', 'removed')
    if (this.#card.pinVerified && pinUses.has(decodeCommand(apdu)?.ins ?? -1)) this.#forgetLater()
    return answer
  }

  async disconnect(): Promise<void> {
    if (!this.open) return
    this.open = false
    this.#timer?.cancel()
    // A change that is being kept is kept first: whoever connects next reads it.
    await this.#pending
  }

  /** The card is gone. */
  lose(): void {
    this.#isLost = true
    this.#timer?.cancel()
  }

  #forgetLater(): void {
    this.#timer?.cancel()
    if (this.open) this.#timer = this.#o.clock.timer(this.#o.forgetMs ?? 300_000, this.#forget)
  }
}

/** A medium that fails is a reader that fails; what it says goes to the log. */
async function mapped<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!isProblem(error)) throw error
    if (error.code === 'card.absent' || error.code === 'card.damaged') throw error
    const said = `${describe(error.code, 'en').title}: ${error.detail ?? ''}`
    throw partProblem('reader', 'failed', said, { cause: error })
  }
}
