/**
 * A slot of vsmartcard's virtual PC/SC reader (vpcd), and a virtual card in it. A card that is in is a connection to its
 * slot: a 16-bit length before every message; one byte 0 off, 1 on, 2 reset, 4 ATR; longer ones are commands.
 */
import { connect, type NetConnectOpts, type Socket } from 'node:net'

/** Of vpcd's first slot, unless its configuration says another; the second has the next. */
export const slotPort = 35_963

/** No historical bytes; T=0 and T=1 are offered (ISO 7816-3 §8). */
const atr = Buffer.from('3b80800101', 'hex')

/** What a slot needs of a card. */
export interface InsertedCard {
  powerOff(): void
  reset(): void
  transmit(apdu: Uint8Array): Uint8Array
}

export interface Insertion {
  /** Rejects when no reader is there. */
  reached: Promise<void>
  /** The card is out again: by `remove`, or the reader went away. */
  out: Promise<void>
}

export class ReaderSlot {
  readonly #to: NetConnectOpts
  #line: Socket | undefined
  /** Waits before every answer. */
  delayMs = 0

  constructor(to: NetConnectOpts) {
    this.#to = to
  }

  /** Puts the card in. */
  insert(card: InsertedCard): Insertion {
    this.remove()
    card.powerOff()
    const line = connect(this.#to)
    this.#line = line
    let waiting = Buffer.alloc(0)
    line.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk])
      while (waiting.length >= 2 && waiting.length >= 2 + waiting.readUInt16BE()) {
        const end = 2 + waiting.readUInt16BE()
        this.#receive(waiting.subarray(2, end), card, line)
        waiting = waiting.subarray(end)
      }
    })
    const reached = new Promise<void>((resolve, reject) => {
      line.once('connect', resolve)
      line.on('error', reject)
    })
    reached.catch(() => undefined)
    const out = new Promise<void>((resolve) =>
      line.on('close', () => {
        card.powerOff()
        resolve()
      }),
    )
    return { reached, out }
  }

  remove(): void {
    this.#line?.destroy()
    this.#line = undefined
  }

  #receive(message: Buffer, card: InsertedCard, line: Socket): void {
    if (message.length === 1) {
      if (message[0] === 0) card.powerOff()
      else if (message[0] === 4) answer(line, atr)
      else card.reset()
      return
    }
    const bytes = Buffer.from(card.transmit(Uint8Array.from(message)))
    // A card whose power went says nothing, and is gone.
    if (bytes.length === 0) return this.remove()
    if (this.delayMs > 0) setTimeout(() => answer(line, bytes), this.delayMs)
    else answer(line, bytes)
  }
}

function answer(line: Socket, bytes: Buffer): void {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(bytes.length)
  line.write(Buffer.concat([head, bytes]))
}
