/**
 * Tickets of forms: which form a browser was given, for which kind of member, and when. Bound to the browser by a cookie
 * that pages of other sites cannot send along (SameSite), so that nobody's browser applies for them unseen.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { MemberKind } from '@azukari/protocol/contracts/settlement-members'
import type { Clock, Random } from '@azukari/protocol/ports'

/** How long a form may be filled in. */
const formMs = 2 * 3_600_000

export interface Ticket {
  /** Becomes the id of the application: a form that is sent twice is one application. */
  id: Uint8Array
  kind: MemberKind
}

export class Tickets {
  readonly #secret: Uint8Array
  readonly #clock: Clock
  readonly #random: Random

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
    this.#secret = random.bytes(32)
  }

  /** The value of a new cookie. */
  browser(): string {
    return Buffer.from(this.#random.bytes(16)).toString('base64url')
  }

  issue(kind: MemberKind, browser: string): string {
    const id = Buffer.from(this.#random.bytes(16)).toString('base64url')
    const body = `${kind}.${id}.${this.#clock.now()}`
    return `${body}.${this.#mac(body, browser)}`
  }

  /** Undefined when it is not ours, another browser's, or too old. */
  open(text: string, browser: string): Ticket | undefined {
    const [kind, id, at, mac, ...rest] = text.slice(0, 200).split('.')
    if ((kind !== 'general' && kind !== 'shop') || !id || !at || !mac || rest.length > 0) return undefined
    const [given, right] = [Buffer.from(mac), Buffer.from(this.#mac(`${kind}.${id}.${at}`, browser))]
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined
    const age = this.#clock.now() - Number(at)
    return age >= 0 && age < formMs ? { id: new Uint8Array(Buffer.from(id, 'base64url')), kind } : undefined
  }

  #mac(body: string, browser: string): string {
    return createHmac('sha256', this.#secret).update(`${browser}.${body}`).digest('base64url')
  }
}
