/** Listens on a device's line: cuts it, counts what goes over it, and can damage what it carries (S4, D3, D5). */
import type { MqttSession, MqttTransport } from '@azukari/device/transport'
import { Problem } from '@azukari/protocol/problem'

export class WireTap implements MqttTransport {
  readonly #real: MqttTransport
  readonly #sessions = new Set<MqttSession>()
  /** The line is down: nothing connects. */
  isCut = false
  /** Messages sent by the device, bytes of blocks among them, and payloads that were neither CBOR nor a block. */
  readonly counts = { messages: 0, blocks: 0, blockBytes: 0, foreign: 0 }
  /** Given a message about to be sent, may give another one in its place. */
  meddle: ((topic: string, payload: Uint8Array) => Uint8Array) | undefined
  /** Called with every block that is sent. */
  onBlock: ((topic: string) => void) | undefined

  constructor(real: MqttTransport) {
    this.#real = real
  }

  async connect(...[options, signal]: Parameters<MqttTransport['connect']>): Promise<MqttSession> {
    if (this.isCut) throw new Problem('link.offline', 'the line is cut')
    const session = await this.#real.connect(options, signal)
    this.#sessions.add(session)
    void session.closed.then(() => this.#sessions.delete(session))
    return {
      closed: session.closed,
      close: () => session.close(),
      subscribe: (filters) => session.subscribe(filters),
      publish: (topic, payload, more) => {
        this.#count(topic, payload)
        return session.publish(topic, this.meddle?.(topic, payload) ?? payload, more)
      },
    }
  }

  cut(): void {
    this.isCut = true
    for (const session of this.#sessions) void session.close()
  }

  join(): void {
    this.isCut = false
  }

  #count(topic: string, payload: Uint8Array): void {
    this.counts.messages++
    if (topic.includes('/up/')) {
      this.counts.blocks++
      this.counts.blockBytes += payload.length
      this.onBlock?.(topic)
      return
    }
    // A tag of COSE (16 to 18) or a map: everything that a device says is CBOR.
    const major = payload[0]! >> 5
    if (major !== 6 && major !== 5) this.counts.foreign++
  }
}
