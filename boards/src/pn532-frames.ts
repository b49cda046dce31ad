/** Frames of the PN532's serial protocol (PN532 user manual §6.2): what is sent, and what is heard among garbage. */

export type Heard = 'acknowledged' | 'not-acknowledged' | Uint8Array

/** Data that one frame may hold: the chip takes 263 bytes, its identifier among them. */
export const frameMaxBytes = 262
const [toChip, fromChip] = [0xd4, 0xd5]
const startCode = [0x00, 0xff]

/** A command frame; extended when it is long. */
export function encodeFrame(data: Uint8Array, identifier = toChip): Uint8Array {
  const body = [identifier, ...data]
  const length = body.length
  const head =
    length < 256
      ? [length, -length & 255]
      : [0xff, 0xff, length >> 8, length & 255, -((length >> 8) + (length & 255)) & 255]
  const sum = body.reduce((all, byte) => all + byte, 0)
  return Uint8Array.from([0, ...startCode, ...head, ...body, -sum & 255, 0])
}

/** What the chip's side sends: answers, and acknowledgements. */
export const answerIdentifier = fromChip
export const acknowledgement = Uint8Array.of(0, 0, 0xff, 0, 0xff, 0)

export class FrameParser {
  readonly #from: number
  #bytes: number[] = []

  /** @param from whose frames count */
  constructor(from = fromChip) {
    this.#from = from
  }

  /** Whole frames among what came; what is damaged is skipped. */
  take(bytes: Iterable<number>): Heard[] {
    for (const byte of bytes) this.#bytes.push(byte)
    const heard: Heard[] = []
    for (;;) {
      const one = this.#next()
      if (one === 'more') return heard
      if (one !== 'skipped') heard.push(one)
    }
  }

  /** Forgets half a frame whose rest never came: it would swallow what comes next. */
  forget(): void {
    this.#bytes = []
  }

  /** Bytes of a frame that is not whole yet. */
  get waiting(): number {
    return this.#bytes.length
  }

  /** Gives half a frame up, and hears what came behind it. */
  giveUp(): Heard[] {
    const heard: Heard[] = []
    while (this.#bytes.length > 1) {
      this.#bytes.shift()
      heard.push(...this.take([]))
    }
    return heard
  }

  #next(): Heard | 'more' | 'skipped' {
    const bytes = this.#bytes
    let at = 0
    while (at + 1 < bytes.length && !(bytes[at] === startCode[0] && bytes[at + 1] === startCode[1])) at++
    bytes.splice(0, at)
    if (bytes.length < 4) return 'more'
    const [, , one, two] = bytes as [number, number, number, number]
    if (one === 0x00 && two === 0xff) return this.#drop(4, 'acknowledged')
    if (one === 0xff && two === 0x00) return this.#drop(4, 'not-acknowledged')
    const isExtended = one === 0xff && two === 0xff
    if (isExtended && bytes.length < 7) return 'more'
    const [start, length, check] = isExtended
      ? [7, (bytes[4]! << 8) | bytes[5]!, bytes[4]! + bytes[5]! + bytes[6]!]
      : [4, one, one + two]
    if ((check & 255) !== 0 || length < 1 || length > frameMaxBytes + 1) return this.#drop(1, 'skipped')
    if (bytes.length < start + length + 1) return 'more'
    const body = bytes.slice(start, start + length)
    const sum = body.reduce((all, byte) => all + byte, bytes[start + length]!)
    if ((sum & 255) !== 0 || body[0] !== this.#from) return this.#drop(1, 'skipped')
    return this.#drop(start + length + 1, Uint8Array.from(body.slice(1)))
  }

  #drop<T>(count: number, what: T): T {
    this.#bytes.splice(0, count)
    return what
  }
}
