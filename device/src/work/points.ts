/** An owner's points, redeemed at one of the owner's boards (W11): signed by the board, sent through its outbox, done once. */
import { hex } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { ReplyOf } from '@azukari/protocol/contract'
import { redeemPoints, redemptionDomain, type WorkRedemption } from '@azukari/protocol/contracts/work'
import { sign1, signerOf } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import type { Problem } from '@azukari/protocol/problem'
import type { Identity } from '../identity.ts'
import type { Link } from '../link.ts'
import type { Outbox } from '../outbox.ts'
import type { SiteKeys } from '../site-keys.ts'

export type Redeemed = ReplyOf<typeof redeemPoints>

/** How long a person waits for the answer; the redemption itself waits as long as it takes, ms. */
const answerMs = 20_000

export interface PointsOptions {
  clock: Clock
  random: Random
  log: Log
  link: Link
  outbox: Outbox
  keys: SiteKeys
  identity: Identity
}

export class WorkPoints {
  readonly #o: PointsOptions
  readonly #asked = new Map<string, PromiseWithResolvers<Redeemed>>()

  constructor(options: PointsOptions) {
    this.#o = options
    options.outbox.onOutcome(redeemPoints, ({ id }, outcome) => this.#ended(id, outcome))
  }

  /**
   * @returns what came of it; undefined when it waits to be delivered
   * @throws {Problem} `work.unregistered`, `work.no-member`, `work.points-short`, `link.offline` before the board has ever reached work
   */
  async redeem(points: number, signal: AbortSignal): Promise<Redeemed | undefined> {
    const { clock, random, link, outbox, keys, identity } = this.#o
    const act = random.bytes(16)
    const redemption: WorkRedemption = {
      contract: redeemPoints.id,
      audience: (await keys.recipient('work')).audience,
      act,
      issuedMs: link.siteNow(),
      device: identity.device,
      points,
    }
    const signed = sign1(encodeDeterministic(redemption), signerOf(identity.key), redemptionDomain)
    const ended = Promise.withResolvers<Redeemed>()
    ended.promise.catch(() => undefined)
    this.#asked.set(hex(act), ended)
    const answered = new AbortController()
    try {
      await outbox.append(redeemPoints, { redemption: signed }, act)
      const tooLong = clock.sleep(answerMs, AbortSignal.any([signal, answered.signal])).catch(() => undefined)
      return await Promise.race([ended.promise, tooLong.then(() => undefined)])
    } finally {
      answered.abort()
      this.#asked.delete(hex(act))
    }
  }

  #ended(act: Uint8Array, outcome: { body?: unknown; problem?: Problem }): void {
    this.#o.log.info('points were redeemed, or not', { code: outcome.problem?.code })
    const asked = this.#asked.get(hex(act))
    if (outcome.problem) asked?.reject(outcome.problem)
    else asked?.resolve(redeemPoints.checkReply(outcome.body))
  }
}
