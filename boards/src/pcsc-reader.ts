/**
 * Card readers behind PC/SC (S14, S17): contact slots and contactless fields, through pcscd. A connection is exclusive and
 * begins and ends with a reset, so no PIN state is left to or by others. The daemon may be stopped and readers unplugged
 * at any time; they are found again within seconds.
 */
import {
  type CardChannel,
  type CardEvent,
  type CardPresence,
  type CardReader,
  Listeners,
  type PartErrorKind,
  partProblem,
} from '@azukari/device/drivers'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import * as pcsc from 'pcsc-mini'

export interface PcscReaderOptions {
  clock: Clock
  log: Log
  /** Which readers count, by name; all by default. */
  only?: RegExp
  /** Which of them are contactless, by name. */
  contactless?: RegExp
  /** How long one command may take. */
  commandMs?: number
}

/** How soon the daemon is looked for again. */
const againMs = 1_000
/** The longest extended answer with its status, and what PC/SC adds; the library's own room is for short ones. */
const answerMaxBytes = 65_548
const contactlessNames = /contactless|picc|nfc|\bcl\b/i

/** PC/SC's errors, by name, as kinds; what is not here is `failed`. */
const kinds: Readonly<Record<string, PartErrorKind>> = {
  NoSmartCard: 'absent',
  NoSmartcard: 'absent',
  RemovedCard: 'removed',
  ResetCard: 'removed',
  UnpoweredCard: 'removed',
  UnresponsiveCard: 'removed',
  NotTransacted: 'removed',
  CommError: 'removed',
  ReaderUnavailable: 'removed',
  UnknownReader: 'removed',
  InvalidHandle: 'removed',
  SharingViolation: 'busy',
  Timeout: 'timeout',
  UnsupportedCard: 'unsupported',
  ProtoMismatch: 'unsupported',
}

/**
 * What the daemon forgot before we let go of it. The library's finalizer throws at nobody, which would end the process,
 * when such a thing is collected: so it never is. One or two small objects for each time that the daemon ends.
 */
const dead: unknown[] = []

interface Slot {
  reader: pcsc.Reader
  kind: CardPresence
  isPresent: boolean
}

export class PcscReader implements CardReader {
  readonly model = 'PC/SC'
  readonly #o: PcscReaderOptions
  readonly #slots = new Map<string, Slot>()
  readonly #listeners = new Listeners<CardEvent>()
  #client: pcsc.Client | undefined
  #again: Timer | undefined
  #channel: PcscChannel | undefined
  #closed = false

  constructor(options: PcscReaderOptions) {
    this.#o = options
    this.#start()
  }

  /** Names of the readers and fields that are attached. */
  get readers(): readonly string[] {
    return [...this.#slots.keys()]
  }

  get isReady(): boolean {
    return this.#slots.size > 0
  }

  onCard(listener: (event: CardEvent) => void): Disposable {
    return this.#listeners.add(listener)
  }

  cards(): readonly CardPresence[] {
    return [...this.#slots.values()].filter(({ isPresent }) => isPresent).map(({ kind }) => kind)
  }

  async connect(signal: AbortSignal): Promise<CardChannel> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('reader', 'failed', 'closed')
    if (this.#channel?.open) throw partProblem('reader', 'busy', 'another connection is open')
    const present = [...this.#slots.values()].filter(({ isPresent }) => isPresent)
    const [slot] = present
    if (!slot) throw partProblem('reader', 'absent', this.#slots.size === 0 ? 'no reader is attached' : 'no card')
    if (present.length > 1) throw new Problem('card.two')
    const { commandMs = 10_000, clock } = this.#o
    const card = await this.#reset(slot, commandMs, signal)
    this.#channel = new PcscChannel(card, slot, commandMs, clock)
    return this.#channel
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#again?.cancel()
    await this.#channel?.disconnect()
    this.#client?.stop()
  }

  /** Powers the card anew, so that whoever had it before has left nothing. */
  async #reset(slot: Slot, commandMs: number, signal: AbortSignal): Promise<pcsc.Card> {
    const { clock } = this.#o
    const card = await limited(slot.reader.connect(pcsc.CardMode.EXCLUSIVE), commandMs, clock, signal)
    try {
      await limited(card.reconnect(pcsc.CardMode.EXCLUSIVE, pcsc.CardDisposition.RESET), commandMs, clock, signal)
      return card
    } catch (error) {
      await card.disconnect(pcsc.CardDisposition.RESET).catch(() => void dead.push(card))
      throw error
    }
  }

  #start(): void {
    if (this.#closed) return
    try {
      const client = new pcsc.Client()
      this.#client = client
      client.on('reader', (reader) => this.#attach(reader))
      client.on('error', (error) => this.#lost(client, error))
      client.start()
    } catch (error) {
      this.#lost(this.#client, error)
    }
  }

  /** The daemon is gone, or was never there: its readers are, too, until it is found again. */
  #lost(client: pcsc.Client | undefined, error: unknown): void {
    if (this.#closed || client !== this.#client) return
    this.#o.log.info('PC/SC is not to be had; looking again', { error: codeOf(error) })
    this.#client = undefined
    if (client) dead.push(client)
    try {
      client?.stop()
    } catch {
      // It was not running.
    }
    for (const name of [...this.#slots.keys()]) this.#detach(name)
    this.#again?.cancel()
    this.#again = this.#o.clock.timer(againMs, () => this.#start())
  }

  #attach(reader: pcsc.Reader): void {
    const name = reader.name()
    if (this.#o.only && !this.#o.only.test(name)) return
    const kind = (this.#o.contactless ?? contactlessNames).test(name) ? 'contactless' : 'contact'
    const slot: Slot = { reader, kind, isPresent: false }
    this.#slots.set(name, slot)
    reader.on('change', (status) => {
      if (this.#slots.get(name) !== slot) return
      // A mute card is one that does not answer to a reset: nothing can be done with it.
      this.#set(slot, status.has(pcsc.ReaderStatus.PRESENT) && !status.has(pcsc.ReaderStatus.MUTE))
    })
    reader.on('disconnect', () => {
      if (this.#slots.get(name) === slot) this.#detach(name)
    })
  }

  #detach(name: string): void {
    const slot = this.#slots.get(name)
    this.#slots.delete(name)
    if (slot) this.#set(slot, false)
  }

  #set(slot: Slot, isPresent: boolean): void {
    if (slot.isPresent === isPresent) return
    slot.isPresent = isPresent
    this.#listeners.emit({ type: isPresent ? 'inserted' : 'removed', kind: slot.kind })
  }
}

class PcscChannel implements CardChannel {
  readonly kind: CardPresence
  readonly #card: pcsc.Card
  readonly #slot: Slot
  readonly #commandMs: number
  readonly #clock: Clock
  /** The command under way. */
  #pending: Promise<void> | undefined
  open = true

  constructor(card: pcsc.Card, slot: Slot, commandMs: number, clock: Clock) {
    this.#card = card
    this.#slot = slot
    this.kind = slot.kind
    this.#commandMs = commandMs
    this.#clock = clock
  }

  async transmit(apdu: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    if (!this.open) throw partProblem('reader', 'removed', 'disconnected')
    // A card that was taken out and put back is another one: what it knew of us is gone.
    if (!this.#slot.isPresent) throw partProblem('reader', 'removed')
    if (this.#pending) throw partProblem('reader', 'busy', 'the card has not answered yet')
    const work = this.#card.transmit(apdu, new ArrayBuffer(answerMaxBytes))
    const settled = () => {
      this.#pending = undefined
    }
    this.#pending = work.then(settled, settled)
    return Uint8Array.from(await limited(work, this.#commandMs, this.#clock, signal))
  }

  async disconnect(): Promise<void> {
    if (!this.open) return
    this.open = false
    const reset = () => this.#card.disconnect(pcsc.CardDisposition.RESET).catch(() => void dead.push(this.#card))
    if (!this.#pending) return reset()
    // A command that is under way cannot be called off; the card is given free when it has been answered.
    const free = this.#pending.then(reset)
    const enough = Promise.withResolvers<void>()
    using _limit = this.#clock.timer(this.#commandMs, () => enough.resolve())
    await Promise.race([free, enough.promise])
  }
}

/** PC/SC calls cannot be called off: who asked is told, and the answer comes to nobody. */
async function limited<T>(work: Promise<T>, limitMs: number, clock: Clock, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  using _limit = clock.timer(limitMs, () => reject(partProblem('reader', 'timeout', `no answer within ${limitMs} ms`)))
  try {
    return await Promise.race([work, promise])
  } catch (error) {
    if (signal.aborted || error instanceof Problem) throw error
    throw partProblem('reader', kinds[codeOf(error)] ?? 'failed', codeOf(error), { cause: error })
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function codeOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  return code ?? message ?? String(error)
}
