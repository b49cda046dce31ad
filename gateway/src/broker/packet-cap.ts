/**
 * Bounds size and number of MQTT packets as their bytes pass. The broker behind it has no limit of its own: one client that
 * declares a PUBLISH of 256 MB makes it collect them all (FACTS). The fixed header says how long a packet will be, so
 * a packet that is too long is refused after five bytes; nothing is held here.
 */
import type { Duplex } from 'node:stream'

/** Of the fixed header, MQTT 3.1.1 §2.2.1. */
export const packetType = { publish: 3, puback: 4, pubcomp: 7, subscribe: 8, unsubscribe: 10 } as const

export interface PacketRules {
  /** A SUBSCRIBE or UNSUBSCRIBE holds a list, and the broker behind works on each of its filters before it answers. */
  subscribeMaxBytes: number
  /** Told the type of each packet as its header passes; false ends the connection. */
  allow: (type: number) => boolean
}

export class PacketCap {
  /** Longest packet that may pass, in bytes, header included; may be raised once the sender is known. */
  maxBytes: number
  readonly #rules: PacketRules
  #type = 0
  #state: 'type' | 'length' | 'body' = 'type'
  #length = 0
  #shift = 0
  #left = 0

  constructor(maxBytes: number, rules: PacketRules = { subscribeMaxBytes: maxBytes, allow: () => true }) {
    this.maxBytes = maxBytes
    this.#rules = rules
  }

  /** Whether these bytes may pass; once false, the connection must go. */
  pass(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === 'body') {
        const taken = Math.min(this.#left, bytes.length - at)
        at += taken
        this.#left -= taken
        if (this.#left === 0) this.#state = 'type'
      } else if (this.#state === 'type') {
        this.#type = bytes[at++]! >> 4
        this.#state = 'length'
        this.#length = 0
        this.#shift = 0
      } else {
        const byte = bytes[at++]!
        this.#length += (byte & 0x7f) * 2 ** this.#shift
        this.#shift += 7
        if (this.#length > this.#limit || (byte > 0x7f && this.#shift > 21)) return false
        if (byte <= 0x7f) {
          if (!this.#rules.allow(this.#type)) return false
          this.#left = this.#length
          this.#state = this.#length > 0 ? 'body' : 'type'
        }
      }
    }
    return true
  }

  get #limit(): number {
    const lists = this.#type === packetType.subscribe || this.#type === packetType.unsubscribe
    return lists ? Math.min(this.maxBytes, this.#rules.subscribeMaxBytes) : this.maxBytes
  }
}

/** Puts the cap where the broker takes bytes from a connection: what does not pass never reaches it. */
export function capped<S extends Duplex>(stream: S, cap: PacketCap, refused: () => void): S {
  const read = stream.read.bind(stream)
  stream.read = (size?: number) => {
    const bytes = read(size) as Uint8Array | null
    if (bytes === null || cap.pass(bytes)) return bytes
    refused()
    stream.destroy()
    return null
  }
  return stream
}
