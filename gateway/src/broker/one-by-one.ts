/**
 * Packets for whoever subscribed, one after the other. aedes numbers packets when they are published and lets a subscriber
 * have only rising numbers, but what is retained or QoS 1 goes through awaited steps that QoS 0 does not: side by side, the
 * later one overtakes and the earlier one is taken for a duplicate and lost.
 */
import type { Log } from '@azukari/protocol/ports'
import type { PublishPacket } from 'aedes'

export class OneByOne {
  readonly #waiting: PublishPacket[] = []
  readonly #bytesAtMost: number
  readonly #publish: (packet: PublishPacket, done: () => void) => void
  readonly #log: Log
  #bytes = 0
  #busy = false

  /** @param bytesAtMost of packets that wait; what comes beyond it is dropped, and the log says so */
  constructor(bytesAtMost: number, publish: (packet: PublishPacket, done: () => void) => void, log: Log) {
    this.#bytesAtMost = bytesAtMost
    this.#publish = publish
    this.#log = log
  }

  push(packet: PublishPacket): void {
    if (this.#bytes + sizeOf(packet) > this.#bytesAtMost) {
      this.#log.warn('subscribers take too little; a message was dropped', { topic: packet.topic })
      return
    }
    this.#bytes += sizeOf(packet)
    this.#waiting.push(packet)
    if (!this.#busy) this.#next()
  }

  #next(): void {
    const packet = this.#waiting.shift()
    this.#busy = packet !== undefined
    if (!packet) return
    this.#publish(packet, () => {
      this.#bytes -= sizeOf(packet)
      this.#next()
    })
  }
}

/** What a packet takes of memory, about: an empty one is not for nothing. */
function sizeOf({ topic, payload }: PublishPacket): number {
  return topic.length + payload.length + 256
}
