/**
 * The tokens of a member's session (docs/decisions/0017): placement gives one when the card has proved itself, and another
 * whenever one is needed and the last is near its end, for as long as the session stands.
 */
import type { Contract, ReplyOf, RequestOf, TObject, TSchema } from '@azukari/protocol/contract'
import { renewSession, type SessionToken } from '@azukari/protocol/contracts/session'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Link } from '../link.ts'

/** A token with less life than this left is not used any more: what it goes with takes a while to arrive. */
const spareMs = 20_000

export class SessionTokens {
  readonly #link: Pick<Link, 'call'>
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #session: Uint8Array = new Uint8Array(0)
  /** Absent when placement is of the release before and gives none. */
  #held: { token: Uint8Array; untilMs: number } | undefined

  constructor(link: Pick<Link, 'call'>, clock: Pick<Clock, 'monotonicMs'>) {
    this.#link = link
    this.#clock = clock
  }

  begin(session: Uint8Array, token: SessionToken | undefined): void {
    this.#session = session
    this.#held = undefined
    if (token) this.#hold(token)
  }

  async call<P extends TObject['properties'], R extends TSchema>(
    contract: Contract<TObject<P>, R>,
    before: Contract<TSchema, R>,
    body: RequestOf<Contract<TObject<P>, R>>,
    signal: AbortSignal,
  ): Promise<ReplyOf<Contract<TObject<P>, R>>> {
    if (!this.#held) return this.#link.call(before, { ...body, session: this.#session }, { signal })
    return this.ask(contract, body, signal)
  }

  /** @throws {Problem} `session.required` when placement is of the release before and gives no tokens */
  async ask<C extends Contract>(contract: C, body: RequestOf<C>, signal: AbortSignal): Promise<ReplyOf<C>> {
    if (!this.#held) throw new Problem('session.required', 'placement gave no token')
    try {
      return await this.#link.call(contract, body, { signal, token: await this.#fresh(signal) })
    } catch (error) {
      // The service's clock is ahead of ours, or the answer was long in coming: another token will do.
      if (!isProblem(error, 'session.expired')) throw error
      return this.#link.call(contract, body, { signal, token: await this.#renew(signal) })
    }
  }

  async #fresh(signal: AbortSignal): Promise<Uint8Array> {
    const held = this.#held
    return held && held.untilMs - this.#clock.monotonicMs() > spareMs ? held.token : this.#renew(signal)
  }

  async #renew(signal: AbortSignal): Promise<Uint8Array> {
    return this.#hold(await this.#link.call(renewSession, { session: this.#session }, { signal }))
  }

  /** By the device's own count: its clock may be wrong. */
  #hold({ token, lifeMs }: SessionToken): Uint8Array {
    this.#held = { token, untilMs: this.#clock.monotonicMs() + lifeMs }
    return token
  }
}
