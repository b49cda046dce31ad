/**
 * Members' sessions (S1–S3): short, in memory, bounded. A restart ends them all; devices open new ones.
 */
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'

export interface Session {
  id: Uint8Array
  device: string
  operation: string
  /** Thumbprint of the card's authentication key. */
  card: Uint8Array
  challenge: Uint8Array
  expiresMs: number
  /** Set when the card has answered. */
  member?: Uint8Array
}

/** Time for the card to answer, and for an answered session to be used. */
const answerMs = 60_000
const useMs = 10 * 60_000
const maxSessions = 10_000

export class Sessions {
  readonly #clock: Clock
  readonly #random: Random
  readonly #open = new Map<string, Session>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  /** @throws {Problem} `service.busy` when too many are open */
  open(device: string, operation: string, card: Uint8Array): Session {
    this.#sweep()
    if (this.#open.size >= maxSessions) throw new Problem('service.busy', 'too many sessions')
    const session: Session = {
      id: this.#random.bytes(16),
      device,
      operation,
      card,
      challenge: this.#random.bytes(32),
      expiresMs: this.#clock.now() + answerMs,
    }
    this.#open.set(key(session.id), session)
    return session
  }

  /** The session of this id, for the device that opened it. @throws {Problem} `session.unknown`, `session.expired` */
  of(id: Uint8Array, device: string): Session {
    const session = this.#open.get(key(id))
    if (!session || session.device !== device) throw new Problem('session.unknown')
    if (session.expiresMs < this.#clock.now()) {
      this.#open.delete(key(id))
      throw new Problem('session.expired')
    }
    return session
  }

  /** A challenge is answered once: a second answer is a replay. @throws {Problem} `act.replayed` */
  prove(session: Session, member: Uint8Array): void {
    if (session.member) throw new Problem('act.replayed', 'the challenge has been answered')
    session.member = member
    session.expiresMs = this.#clock.now() + useMs
  }

  /** The member of a session whose card has answered. @throws {Problem} `session.unknown`, `session.expired` */
  memberOf(id: Uint8Array, device: string): Uint8Array {
    const { member } = this.of(id, device)
    if (!member) throw new Problem('session.unknown', 'the card has not answered yet')
    return member
  }

  /** Whether a session that was proven still stands: its token is worth nothing without it. */
  isOpen(id: Uint8Array, device: string): boolean {
    const session = this.#open.get(key(id))
    return session?.device === device && session.member !== undefined && session.expiresMs >= this.#clock.now()
  }

  /** Like `memberOf`, for what arrives late: undefined when the session is over. */
  findMember(id: Uint8Array, device: string): Uint8Array | undefined {
    const session = this.#open.get(key(id))
    return session?.device === device ? session.member : undefined
  }

  /**
   * Ends the session of a member whose card is at a device, so that it has to prove itself anew.
   * @param device without it: wherever the card is
   * @returns undefined when there is none
   */
  recall(member: Uint8Array, device?: string): Session | undefined {
    const nowMs = this.#clock.now()
    for (const session of this.#open.values())
      if (
        (device === undefined || session.device === device) &&
        session.member &&
        session.expiresMs >= nowMs &&
        key(session.member) === key(member)
      ) {
        this.#open.delete(key(session.id))
        return session
      }
    return undefined
  }

  close(id: Uint8Array): void {
    this.#open.delete(key(id))
  }

  /** Ends every session of a card. Returns them. */
  closeCard(card: Uint8Array): Session[] {
    const ended = [...this.#open.values()].filter((session) => key(session.card) === key(card))
    for (const { id } of ended) this.#open.delete(key(id))
    return ended
  }

  #sweep(): void {
    const now = this.#clock.now()
    for (const [id, session] of this.#open) {
      // In order of opening; answered sessions live longer, so look at a few past the first that stands.
      if (session.expiresMs < now) this.#open.delete(id)
      else if (this.#open.size < maxSessions / 2) break
    }
  }
}

function key(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex')
}
