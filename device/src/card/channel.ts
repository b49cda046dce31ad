/** Commands over a card channel: lengths, chaining, GET RESPONSE, and a limit on every wait. */
import {
  type Command,
  chain,
  checkStatus,
  decodeResponse,
  encodeCommand,
  instructions,
  type Response,
  shortDataBytes,
} from '@azukari/protocol/card/apdu'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { CardChannel } from '../drivers.ts'

/** Longest wait for one answer; RSA on a slow card takes a second or two. */
const apduTimeoutMs = 10_000
/** Most bytes in one extended command or answer; a card need not buffer more. */
const extendedBytes = 2048
/** Rounds of GET RESPONSE for one answer: 256 bytes each. */
const restRoundsMax = 32

export class CardCommands {
  readonly #channel: CardChannel
  readonly #clock: Clock
  /** Whether the card takes extended APDUs; short ones until it has said so. */
  extended = false

  constructor(channel: CardChannel, clock: Clock) {
    this.#channel = channel
    this.#clock = clock
  }

  /** Most bytes that one READ or UPDATE BINARY moves. */
  get partBytes(): number {
    return this.extended ? extendedBytes : shortDataBytes
  }

  /** Sends one command, as a chain when it is long, collects the whole answer. @throws {Problem} `card.*` */
  async send(command: Command, what: string, signal: AbortSignal): Promise<Uint8Array> {
    const data = command.data?.length ?? 0
    const chained = this.extended && data <= extendedBytes ? [command] : chain(command)
    let response: Response = { data: new Uint8Array(0), sw: 0x9000 }
    for (const part of chained) {
      response = await this.#exchange(part, what, signal)
      if (part !== chained.at(-1)) checkStatus(response, what)
    }
    if (response.sw >> 8 === 0x6c)
      response = await this.#exchange({ ...command, le: response.sw & 255 || 256 }, what, signal)
    const parts = [response.data]
    for (let round = 0; response.sw >> 8 === 0x61; round++) {
      if (round >= restRoundsMax) throw new Problem('card.failed', `${what}: the answer does not end`)
      response = await this.#exchange({ cla: 0, ins: instructions.getResponse, p1: 0, p2: 0, le: 256 }, what, signal)
      parts.push(response.data)
    }
    checkStatus(response, what)
    return parts.length === 1 ? response.data : new Uint8Array(Buffer.concat(parts))
  }

  async #exchange(command: Command, what: string, signal: AbortSignal): Promise<Response> {
    const limit = new AbortController()
    using _ = this.#clock.timer(apduTimeoutMs, () =>
      limit.abort(new Problem('card.failed', `${what}: no answer in time`)),
    )
    return decodeResponse(
      await this.#channel.transmit(encodeCommand(command, this.extended), AbortSignal.any([signal, limit.signal])),
    )
  }
}
