/**
 * What a member decides over their data, at a device (D8): the card signs the wish, the outbox carries it through hours
 * without a network, and placement's receipts say what was destroyed where.
 */
import { hex } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import {
  ClosingReceipt,
  closingDomain,
  ErasureReceipt,
  erasureDomain,
  type MemberRequest,
  makeRequest,
  memberRequestDomain,
  readErasures,
  readSettings,
  readSettingsBySession,
  type Wish,
} from '@azukari/protocol/contracts/member-request'
import { sign1With } from '@azukari/protocol/cose'
import type { Random } from '@azukari/protocol/ports'
import type { Consents } from '../consents.ts'
import type { Link } from '../link.ts'
import type { Outbox } from '../outbox.ts'
import type { SignedDocument, SiteKeys } from '../site-keys.ts'
import type { Presence, PresentCard } from './presence.ts'

export interface MemberRequestsOptions {
  presence: Presence
  outbox: Outbox
  link: Link
  random: Random
  /** The time as the device knows it, ms since the epoch. */
  now: () => number
  keys: Pick<SiteKeys, 'recipient' | 'open'>
  consents: Pick<Consents, 'settle' | 'restore'>
}

/** A wish that is written down and will be delivered. */
export interface MadeRequest {
  act: Uint8Array
  /** Placement's answer, whenever it comes: how many objects are to be erased. @throws {Problem} when it was refused */
  accepted: Promise<{ objects: number }>
}

export interface Erasures {
  /** Objects of which something is left somewhere. */
  open: number
  /** Servers that are still asked. */
  waiting: string[]
  receipts: ErasureReceipt[]
  closing?: ClosingReceipt
}

/** A wish is worth this long, so that a device may be without a network for weeks. */
const wishMs = 30 * 86_400_000
const perPage = 8
/** Answers that are waited for at once; older ones are not told any more. */
const awaitedMax = 256

/** Whoever takes requests signs what became of them. */
const keeper = makeRequest.service
const erasureDocument: SignedDocument<ErasureReceipt> = {
  domain: erasureDomain,
  check: checker(ErasureReceipt, 'erasure receipt'),
  atMs: ({ doneMs }) => doneMs,
}
const closingDocument: SignedDocument<ClosingReceipt> = {
  domain: closingDomain,
  check: checker(ClosingReceipt, 'closing receipt'),
  atMs: ({ doneMs }) => doneMs,
}

export class MemberRequests {
  readonly #o: MemberRequestsOptions
  readonly #awaited = new Map<string, PromiseWithResolvers<{ objects: number }>>()

  constructor(options: MemberRequestsOptions) {
    this.#o = options
    options.outbox.onOutcome(makeRequest, async ({ id }, outcome) => {
      await options.consents.settle(id)
      const awaited = this.#awaited.get(hex(id))
      this.#awaited.delete(hex(id))
      if (outcome.problem) awaited?.reject(outcome.problem)
      else awaited?.resolve({ objects: (outcome.body as { objects: number }).objects })
    })
  }

  /**
   * Has the card sign a wish and writes it down. When this resolves it will be delivered.
   * @throws {Problem} `device.unknown` before the first enrolment, `card.*`, `outbox.full`
   */
  async make(wish: Wish, pin?: string): Promise<MadeRequest> {
    const { presence, outbox, random, now, keys } = this.#o
    const card = presence.require()
    await card.requirePin(pin)
    const { audience } = await keys.recipient(keeper)
    const act = random.bytes(16)
    const said: MemberRequest = {
      contract: makeRequest.id,
      audience,
      act,
      issuedMs: now(),
      expiresMs: now() + wishMs,
      member: card.facts.member.id,
      wish,
    }
    const signed = await card.use((client) =>
      sign1With(encodeDeterministic(said), client.signAct(card.signal), memberRequestDomain),
    )
    const awaited = Promise.withResolvers<{ objects: number }>()
    awaited.promise.catch(() => undefined)
    if (this.#awaited.size >= awaitedMax) this.#awaited.delete(this.#awaited.keys().next().value!)
    this.#awaited.set(hex(act), awaited)
    // D8: what is withdrawn is not used any more, also before the site hears of it.
    if (wish.kind === 'consent') await this.#consented(card, wish.location, act)
    await outbox.append(makeRequest, { wish: signed }, act)
    return { act, accepted: awaited.promise }
  }

  /** What is given again is used when the site says so. */
  async #consented(card: PresentCard, location: boolean, act: Uint8Array): Promise<void> {
    if (location) await this.#o.consents.restore(card.facts.member.id)
    else await card.withdrawLocation(act)
  }

  /** How far a wish to erase is; every receipt is checked. @throws {Problem} `object.unknown`, `link.*`, `cose.*` */
  async erasures(act: Uint8Array, signal: AbortSignal): Promise<Erasures> {
    const { keys } = this.#o
    const found: Erasures = { open: 0, waiting: [], receipts: [] }
    const waiting = new Set<string>()
    for (let after: Uint8Array | undefined; ; ) {
      const page = await this.#o.link.call(
        readErasures,
        { act, limit: perPage, ...(after ? { after } : {}) },
        { signal },
      )
      found.open = page.open
      if (page.closing) found.closing = await keys.open(keeper, page.closing, closingDocument)
      for (const one of page.erasures) {
        for (const server of one.waiting) waiting.add(server)
        if (one.receipt) found.receipts.push(await keys.open(keeper, one.receipt, erasureDocument))
      }
      after = page.erasures.at(-1)?.object
      if (page.erasures.length < perPage) break
    }
    return { ...found, waiting: [...waiting] }
  }

  /** What the member has agreed to. Needs the session. @throws {Problem} `session.*`, `link.*` */
  settings(): Promise<{ location: boolean; abroad: boolean; retentionDays: number }> {
    const card = this.#o.presence.require()
    return card.ask(readSettings, readSettingsBySession, {})
  }
}
