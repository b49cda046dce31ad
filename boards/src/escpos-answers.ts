/** What an ESC/POS printer says, out of bytes among which there may be garbage: statuses, and ids of what was printed. */

/** Bits that every real-time status has, and their values (DLE EOT). */
const [statusMask, statusBits] = [0x93, 0x12]
/** GS ( H, function 48: head, four digits, NUL. */
const idHead = [0x37, 0x22]
const idBytes = 7
const keptMax = 64

export class EscposAnswers {
  /** Oldest first; whoever asks for one throws the earlier ones away. */
  readonly statuses: number[] = []
  readonly printed: number[] = []
  #part: number[] = []

  take(bytes: Iterable<number>): void {
    for (const byte of bytes) {
      this.#part.push(byte)
      while (this.#part.length > 0 && !this.#couldBeId()) this.#single(this.#part.shift()!)
      if (this.#part.length < idBytes) continue
      keep(this.printed, Number(String.fromCharCode(...this.#part.slice(2, 6))))
      this.#part = []
    }
  }

  /** Whether what came may be the beginning of an id. */
  #couldBeId(): boolean {
    return this.#part.every((byte, at) => {
      if (at < idHead.length) return byte === idHead[at]
      return at < idBytes - 1 ? byte >= 0x30 && byte <= 0x39 : byte === 0
    })
  }

  #single(byte: number): void {
    if ((byte & statusMask) === statusBits) keep(this.statuses, byte)
  }
}

function keep(list: number[], value: number): void {
  list.push(value)
  if (list.length > keptMax) list.shift()
}
