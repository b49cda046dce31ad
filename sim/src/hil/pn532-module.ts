/** A PN532 module at the far end of a serial line, with our virtual card in its field. */
import { acknowledgement, answerIdentifier, encodeFrame, FrameParser } from '@azukari/boards/pn532-frames'
import type { SerialPort } from 'serialport'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'

const hostIdentifier = 0xd4
const more = 0x40
const pieceBytes = 240
/** Statuses (PN532 user manual §7.1). */
const [good, noAnswer, noTarget] = [0x00, 0x01, 0x27]
/** Type A, takes APDUs; four bytes of number; an answer to select. */
const target = [1, 1, 0x00, 0x04, 0x20, 4, 1, 2, 3, 4, 2, 0x78]

export class Pn532Module {
  readonly #line: SerialPort
  readonly #parser = new FrameParser(hostIdentifier)
  #card: VirtualCard | undefined
  #isActive = false
  #command: number[] = []
  #answer: Uint8Array = new Uint8Array(0)
  /** Says nothing. */
  isMute = false
  /** Waits before each answer of a card. */
  delayMs = 0

  constructor(line: SerialPort) {
    this.#line = line
    line.on('data', (bytes: Buffer) => {
      for (const heard of this.#parser.take(bytes)) if (heard instanceof Uint8Array) this.#take(heard)
    })
  }

  insert(card: VirtualCard): void {
    card.powerOff()
    this.#card = card
    this.#isActive = false
  }

  remove(): void {
    this.#card?.powerOff()
    this.#card = undefined
    this.#isActive = false
  }

  garbage(bytes: Uint8Array): void {
    this.#line.write(Buffer.from(bytes))
  }

  #take([code = 0, ...data]: Uint8Array): void {
    this.#say(acknowledgement)
    const answer = this.#do(code, data)
    const say = () => this.#say(encodeFrame(Uint8Array.from(answer), answerIdentifier))
    if (code === 0x40 && this.delayMs > 0) setTimeout(say, this.delayMs)
    else say()
  }

  #do(code: number, data: number[]): number[] {
    switch (code) {
      case 0x00:
        return [0x01, this.#card && this.#isActive ? good : noAnswer]
      case 0x14:
        return [0x15]
      case 0x32:
        if (data[0] === 1 && data[1] === 0) {
          this.#card?.powerOff()
          this.#isActive = false
        }
        return [0x33]
      case 0x40:
        return [0x41, ...this.#exchange(data)]
      case 0x4a:
        if (!this.#card) return [0x4b, 0]
        // A card that is active already is only asked again; one that is new is powered.
        if (!this.#isActive) this.#card.reset()
        this.#isActive = true
        this.#command = []
        this.#answer = new Uint8Array(0)
        return [0x4b, ...target]
      case 0x52:
        return [0x53, good]
      default:
        return [0x7f]
    }
  }

  #exchange([which = 0, ...data]: number[]): number[] {
    if (!this.#card || !this.#isActive) return [noTarget]
    this.#command.push(...data)
    if (which & more) return [good]
    if (this.#command.length > 0) {
      this.#answer = this.#card.transmit(Uint8Array.from(this.#command))
      this.#command = []
      if (this.#answer.length === 0) return [noAnswer]
    }
    const piece = this.#answer.subarray(0, pieceBytes)
    this.#answer = this.#answer.subarray(pieceBytes)
    return [this.#answer.length > 0 ? good | more : good, ...piece]
  }

  #say(bytes: Uint8Array): void {
    if (!this.isMute) this.#line.write(Buffer.from(bytes))
  }
}
