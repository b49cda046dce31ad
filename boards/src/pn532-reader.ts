/**
 * An NFC reader with a PN532 on a serial line (S14, S17): contactless cards of ISO/IEC 14443-4 type A. The field is
 * switched off and on before each connection, so that no PIN state is left; a reader that is unplugged is found again.
 */
import {
  type CardChannel,
  type CardEvent,
  type CardPresence,
  type CardReader,
  Listeners,
  partProblem,
} from '@azukari/device/drivers'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { Pn532Chip } from './pn532-chip.ts'

export interface Pn532ReaderOptions {
  path: string
  clock: Clock
  log: Log
  baudRate?: number
  /** How often the field is looked at. */
  pollMs?: number
  /** How long one command of a card may take. */
  commandMs?: number
  againMs?: number
}

/** Commands (PN532 user manual §7). */
const chip = {
  diagnose: 0x00,
  samConfiguration: 0x14,
  rfConfiguration: 0x32,
  exchange: 0x40,
  list: 0x4a,
  release: 0x52,
}
const [fieldItem, retriesItem] = [0x01, 0x05]
/** Attention request: is the card still there (§7.2.1). */
const isStillThere = 0x06
/** One target, 106 kbit/s type A. */
const oneTypeA = [1, 0]
/** SAK bit of cards that take APDUs (ISO/IEC 14443-3 §6.4.3.4). */
const takesApdus = 0x20
/** More of the same message comes (§7.3.8). */
const more = 0x40
const statusMask = 0x3f
/** Data of an APDU in one exchange. */
const pieceBytes = 240
const answerMaxBytes = 65_538
const quickMs = 1_000

export class Pn532Reader implements CardReader {
  readonly model = 'PN532'
  readonly #o: Pn532ReaderOptions
  readonly #chip: Pn532Chip
  readonly #listeners = new Listeners<CardEvent>()
  readonly #stop = new AbortController()
  #isReady = false
  #isPresent = false
  #openings = 0
  #channel: Pn532Channel | undefined
  #polling: Promise<void> = Promise.resolve()

  constructor(options: Pn532ReaderOptions) {
    this.#o = options
    const { path, baudRate = 115_200, clock, log, againMs } = options
    this.#chip = new Pn532Chip({
      path,
      baudRate,
      clock,
      log,
      ...(againMs ? { againMs } : {}),
      opened: () => {
        const opening = ++this.#openings
        this.#polling = this.#poll(opening).catch((error) => this.#failed(opening, error))
      },
      lost: () => {
        this.#openings++
        this.#isReady = false
        this.set(false)
      },
    })
  }

  /** Whether the chip is there and set up. */
  get isReady(): boolean {
    return this.#isReady
  }

  onCard(listener: (event: CardEvent) => void): Disposable {
    return this.#listeners.add(listener)
  }

  cards(): readonly CardPresence[] {
    return this.#isPresent ? ['contactless'] : []
  }

  async connect(signal: AbortSignal): Promise<CardChannel> {
    signal.throwIfAborted()
    if (this.#stop.signal.aborted) throw partProblem('reader', 'failed', 'closed')
    if (this.#channel?.open) throw partProblem('reader', 'busy', 'another connection is open')
    if (!this.#isReady) throw partProblem('reader', 'absent', 'the reader does not answer')
    if (!this.#isPresent) throw partProblem('reader', 'absent', 'no card')
    const { commandMs = 10_000 } = this.#o
    const channel = new Pn532Channel(this.#chip, commandMs, (isPresent) => this.set(isPresent))
    // From here on the field is the channel's.
    this.#channel = channel
    try {
      await this.#chip.ask(chip.rfConfiguration, [fieldItem, 0], quickMs)
      await this.#chip.ask(chip.rfConfiguration, [fieldItem, 1], quickMs)
      const found = await this.#chip.ask(chip.list, oneTypeA, quickMs)
      if (!found[0]) throw partProblem('reader', 'absent', 'no card')
      if (!(found[4]! & takesApdus)) throw partProblem('reader', 'unsupported', 'it takes no commands')
      signal.throwIfAborted()
      return channel
    } catch (error) {
      channel.open = false
      throw error
    }
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    await this.#channel?.disconnect()
    this.#stop.abort(partProblem('reader', 'failed', 'closed'))
    await this.#chip.close()
    await this.#polling
  }

  set(isPresent: boolean): void {
    if (isPresent === this.#isPresent) return
    this.#isPresent = isPresent
    this.#listeners.emit({ type: isPresent ? 'inserted' : 'removed', kind: 'contactless' })
  }

  async #poll(opening: number): Promise<void> {
    const { clock, pollMs = 250 } = this.#o
    await this.#chip.ask(chip.samConfiguration, [1, 20, 1], quickMs)
    // Looking for a card ends after one try: it is looked for again and again.
    await this.#chip.ask(chip.rfConfiguration, [retriesItem, 0xff, 1, 1], quickMs)
    this.#isReady = true
    while (opening === this.#openings && !this.#stop.signal.aborted) {
      const isPresent = this.#channel?.open
        ? (await this.#chip.ask(chip.diagnose, [isStillThere], quickMs))[0] === 0
        : ((await this.#chip.ask(chip.list, oneTypeA, quickMs))[0] ?? 0) > 0
      if (opening !== this.#openings) return
      this.set(isPresent)
      await clock.sleep(pollMs, this.#stop.signal)
    }
  }

  #failed(opening: number, error: unknown): void {
    if (this.#stop.signal.aborted || opening !== this.#openings) return
    this.#chip.reset(isProblem(error) ? (error.detail ?? error.code) : String(error))
  }
}

class Pn532Channel implements CardChannel {
  readonly kind = 'contactless'
  readonly #chip: Pn532Chip
  readonly #commandMs: number
  readonly #told: (isPresent: boolean) => void
  open = true
  #isGone = false

  constructor(of: Pn532Chip, commandMs: number, told: (isPresent: boolean) => void) {
    this.#chip = of
    this.#commandMs = commandMs
    this.#told = told
  }

  async transmit(apdu: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    if (!this.open || this.#isGone) throw partProblem('reader', 'removed', 'disconnected')
    const parts: number[] = []
    let at = 0
    for (;;) {
      const piece = apdu.subarray(at, at + pieceBytes)
      at += piece.length
      const isMore = at < apdu.length
      const [status = 1, ...data] = await this.#exchange([isMore ? 1 | more : 1, ...piece], signal)
      if ((status & statusMask) !== 0) this.#gone(status)
      parts.push(...data)
      if (parts.length > answerMaxBytes) throw partProblem('reader', 'failed', 'an endless answer')
      if (!isMore && !(status & more)) return Uint8Array.from(parts)
    }
  }

  /** After a failure its late answer could be taken for that to the next command: so there is no next one. */
  async #exchange(data: number[], signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#chip.ask(chip.exchange, data, this.#commandMs, signal)
    } catch (error) {
      this.#isGone = true
      throw error
    }
  }

  async disconnect(): Promise<void> {
    if (!this.open) return
    await this.#chip.ask(chip.release, [0], quickMs).catch(() => undefined)
    await this.#chip.ask(chip.rfConfiguration, [fieldItem, 0], quickMs).catch(() => undefined)
    await this.#chip.ask(chip.rfConfiguration, [fieldItem, 1], quickMs).catch(() => undefined)
    this.open = false
  }

  /** After any error of the radio the card has lost what it knew of us: it is another one until it is connected anew. */
  #gone(status: number): never {
    this.#isGone = true
    this.#told(false)
    throw partProblem('reader', 'removed', `radio status ${status & statusMask}`)
  }
}
