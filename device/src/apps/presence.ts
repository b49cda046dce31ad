/**
 * Whose card is in (S1–S3, S8): watches the reader, opens the card, opens a session with placement when there is a line,
 * brings the card up to date, and lets go of everything when the card leaves. Without a line the card still works: what
 * it signs is delivered later (D5).
 */
import { sameBytes } from '@azukari/protocol/bytes'
import { pinRules } from '@azukari/protocol/card/layout'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { Contract, ReplyOf, RequestOf, TObject, TSchema } from '@azukari/protocol/contract'
import {
  type Finding,
  findings,
  findingsBySession,
  findingsTold,
  recallSession,
} from '@azukari/protocol/contracts/audit'
import { saveKept } from '@azukari/protocol/contracts/save'
import {
  closeSession,
  conditionsDigest,
  conditionsWritten,
  openSession,
  type PendingConditions,
  pendingConditions,
  pendingConditionsBySession,
  proveSession,
  type SessionToken,
  sessionDomain,
} from '@azukari/protocol/contracts/session'
import { sign1With } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { CardClient, type CardFacts } from '../card.ts'
import type { Consents } from '../consents.ts'
import type { CardChannel, CardReader } from '../drivers.ts'
import type { CardData } from '../fleet/card-data.ts'
import type { Identity } from '../identity.ts'
import type { Link } from '../link.ts'
import { Lock } from '../lock.ts'
import type { Outbox } from '../outbox.ts'
import type { SiteKeys } from '../site-keys.ts'
import { SessionTokens } from './session-tokens.ts'

export interface PresenceOptions {
  reader: CardReader
  link: Pick<Link, 'up' | 'call' | 'onState' | 'onEvent'>
  outbox: Pick<Outbox, 'append'>
  identity: Pick<Identity, 'device'>
  keys: Pick<SiteKeys, 'isInUse'>
  clock: Clock
  random: Random
  log: Log
  operation: 'save' | 'print' | 'look'
  /** What cards are to be given (D6). */
  cardData: Pick<CardData, 'apply'>
  /** What members agreed to, for hours without a line (D8). */
  consents: Pick<Consents, 'allowsLocation' | 'remember' | 'withdraw'>
  /** Asks the person for the PIN. @param triesLeft when they are fewer than usual @param wrong what came of the try before */
  askPin: (name: string, tries: { left?: number; wrong?: Problem }, signal: AbortSignal) => Promise<string>
  /** How many lines a person can see now; with none, findings wait for a device that can show them. */
  lines: () => number
}

/** Between two tries of a built-in card that was refused, ms. */
const refusedMs = 10_000
/** How long findings stand before others take their place, ms. */
const readMs = 6_000

/** What is known of the member's session. */
export interface SessionFacts extends Pick<ReplyOf<typeof proveSession>, 'name' | 'level' | 'home' | 'expiresMs'> {
  id: Uint8Array
  /** D8: whether the places of pictures may be kept. */
  location: boolean
}

export type PresenceNews =
  | { type: 'reading' }
  | { type: 'in'; card: PresentCard }
  | { type: 'session'; card: PresentCard; session: SessionFacts }
  | { type: 'written'; card: PresentCard; count: number }
  | { type: 'findings'; card: PresentCard; findings: readonly Finding[] }
  | { type: 'problem'; problem: Problem }
  | { type: 'out' }

/** A card that is in now. Its work ends with `signal`, when it leaves. */
export interface PresentCard {
  readonly client: CardClient
  readonly facts: CardFacts
  readonly signal: AbortSignal
  readonly session: SessionFacts | undefined
  /** Set when placement refused the card (S2, S3): then nothing is done for it. */
  readonly refused: Problem | undefined
  /** Runs one piece of work on the card, alone. */
  use<T>(work: (client: CardClient) => Promise<T>): Promise<T>
  /** Makes sure that the PIN has been verified since the card came in. @throws {Problem} `card.wrong-pin`, `card.blocked`, `panel.*` */
  requirePin(pin?: string): Promise<void>
  /**
   * Asks a service in the member's name, with a token that is fresh.
   * @param before the contract as a placement of the release before answers it, which gives no tokens
   * @throws {Problem} `session.required` without a session, `session.*`, `link.*`, and what the contract lists
   */
  ask<P extends TObject['properties'], R extends TSchema>(
    contract: Contract<TObject<P>, R>,
    before: Contract<TSchema, R>,
    body: RequestOf<Contract<TObject<P>, R>>,
  ): Promise<ReplyOf<Contract<TObject<P>, R>>>
  /** The same of a contract that no release before this one had. @throws {Problem} as `ask` */
  askService<C extends Contract>(contract: C, body: RequestOf<C>): Promise<ReplyOf<C>>
  /** D8: whether the member lets the places of what is kept be kept with it; false when that is not known. */
  allowsLocation(): Promise<boolean>
  /** D8: from now on places are not kept, on this board at once. @param act what tells the site */
  withdrawLocation(act: Uint8Array): Promise<void>
}

class Present implements PresentCard {
  readonly client: CardClient
  readonly leave = new AbortController()
  readonly #lock = new Lock()
  readonly #askPin: PresenceOptions['askPin']
  readonly #consents: PresenceOptions['consents']
  readonly #tokens: SessionTokens
  /** The session is gone although the card is in: another is to be opened. */
  readonly #onEnded: () => void
  session: SessionFacts | undefined
  refused: Problem | undefined
  /** Findings that were shown while it is in: an act on its way is not told again. */
  readonly told = new Set<number>()
  /** Findings are to be asked for: a session has begun, or what was shown has stood long enough. */
  findingsDue = false
  #pinVerified = false
  #asking: Promise<void> | undefined

  constructor(
    client: CardClient,
    { askPin, consents, link, clock }: Pick<PresenceOptions, 'askPin' | 'consents' | 'link' | 'clock'>,
    onEnded: () => void,
  ) {
    this.client = client
    this.#askPin = askPin
    this.#consents = consents
    this.#tokens = new SessionTokens(link, clock)
    this.#onEnded = onEnded
  }

  get facts(): CardFacts {
    return this.client.facts
  }

  get signal(): AbortSignal {
    return this.leave.signal
  }

  use<T>(work: (client: CardClient) => Promise<T>): Promise<T> {
    return this.#lock.run(() => {
      this.signal.throwIfAborted()
      return work(this.client)
    })
  }

  async requirePin(pin?: string): Promise<void> {
    if (this.#pinVerified) return
    if (pin !== undefined) return this.#verify(pin)
    // Two pieces of work that want the PIN share one question.
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    await this.#asking
  }

  /** Asks until the PIN is right, the person gives up, or the card is blocked. */
  async #ask(): Promise<void> {
    const left = await this.use((client) => client.pinTriesLeft(this.signal))
    if (left === 0) throw new Problem('card.blocked')
    let tries: { left?: number; wrong?: Problem } = left === undefined || left === pinRules.tries ? {} : { left }
    for (;;) {
      const pin = await this.#askPin(this.facts.member.name, tries, this.signal)
      try {
        return await this.#verify(pin)
      } catch (error) {
        if (!isProblem(error, 'card.wrong-pin')) throw error
        tries = { left: Number(error.data?.['triesLeft'] ?? 0), wrong: error }
        if (tries.left === 0) throw new Problem('card.blocked')
      }
    }
  }

  async #verify(pin: string): Promise<void> {
    await this.use((client) => client.verifyPin(pin, this.signal))
    this.#pinVerified = true
  }

  begin(session: SessionFacts, token: SessionToken | undefined): void {
    this.session = session
    this.#tokens.begin(session.id, token)
  }

  async ask<P extends TObject['properties'], R extends TSchema>(
    contract: Contract<TObject<P>, R>,
    before: Contract<TSchema, R>,
    body: RequestOf<Contract<TObject<P>, R>>,
  ): Promise<ReplyOf<Contract<TObject<P>, R>>> {
    return this.#inSession(() => this.#tokens.call(contract, before, body, this.signal))
  }

  askService<C extends Contract>(contract: C, body: RequestOf<C>): Promise<ReplyOf<C>> {
    return this.#inSession(() => this.#tokens.ask(contract, body, this.signal))
  }

  async #inSession<T>(work: () => Promise<T>): Promise<T> {
    const { session } = this
    if (!session) throw new Problem('session.required', 'there is no session with placement')
    try {
      return await work()
    } catch (error) {
      if (isProblem(error) && error.code.startsWith('session.') && this.session === session) {
        this.session = undefined
        this.#onEnded()
      }
      throw error
    }
  }

  async allowsLocation(): Promise<boolean> {
    return this.session?.location ?? this.#consents.allowsLocation(this.facts.member.id)
  }

  async withdrawLocation(act: Uint8Array): Promise<void> {
    if (this.session) this.session.location = false
    await this.#consents.withdraw(this.facts.member.id, act)
  }
}

export class Presence {
  readonly #o: PresenceOptions
  readonly #listeners = new Set<(news: PresenceNews) => void>()
  #card: Present | undefined
  #wake = Promise.withResolvers<void>()

  constructor(options: PresenceOptions) {
    this.#o = options
    options.link.onState((state) => {
      if (state === 'up') this.#recheck()
    })
    // Something of somebody was kept: perhaps of the member whose card is in.
    options.link.onEvent(saveKept, () => this.#recheck())
    // S12: placement has met an impostor and wants to know that the card is still the member's.
    options.link.onEvent(recallSession, ({ session }) => {
      if (!this.#card?.session || !sameBytes(this.#card.session.id, session)) return
      this.#card.session = undefined
      this.#recheck()
    })
  }

  get card(): PresentCard | undefined {
    return this.#card
  }

  onNews(listener: (news: PresenceNews) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The card that is in and that placement has not refused. @throws {Problem} `card.absent`, or why it was refused */
  require(): PresentCard {
    if (!this.#card) throw new Problem('card.absent')
    if (this.#card.refused) throw this.#card.refused
    return this.#card
  }

  /** Looks for conditions that the card does not have yet, soon. */
  refresh(): void {
    this.#recheck()
  }

  /** Watches until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { reader } = this.#o
    using _events = reader.onCard((event) => {
      if (event.type === 'removed') this.#card?.leave.abort(new Problem('card.removed'))
      this.#recheck()
    })
    signal.addEventListener('abort', () => this.#recheck(), { once: true })
    while (!signal.aborted) {
      const wake = this.#wake.promise
      if (reader.cards().length > 0) await this.#whileIn(signal)
      else await wake
    }
  }

  async #whileIn(signal: AbortSignal): Promise<void> {
    const { reader, clock, log } = this.#o
    this.#tell({ type: 'reading' })
    let channel: CardChannel | undefined
    let card: Present | undefined
    try {
      channel = await reader.connect(signal)
      const client = await CardClient.open(channel, clock, signal)
      card = new Present(client, this.#o, () => clock.timer(1_000, () => this.#recheck()))
      this.#card = card
      this.#tell({ type: 'in', card })
      while (!signal.aborted && !card.signal.aborted && reader.cards().length > 0) {
        const wake = this.#wake.promise
        // Nobody can take a built-in card out and put it in again once its member is registered.
        if (!card.refused || channel.kind === 'built-in') await this.#bringUpToDate(card)
        using _again = card.refused ? clock.timer(refusedMs, () => this.#recheck()) : undefined
        await Promise.race([wake, aborted(card.signal)])
      }
    } catch (error) {
      if (!signal.aborted) {
        const problem = isProblem(error) ? error : new Problem('reader.failed', String(error))
        if (!isProblem(error)) log.error('card', { error: String(error) })
        this.#tell({ type: 'problem', problem })
      }
    }
    this.#card = undefined
    card?.leave.abort(new Problem('card.removed'))
    await channel?.disconnect().catch(() => undefined)
    const session = card?.session
    if (session && this.#o.link.up)
      await this.#o.link.call(closeSession, { session: session.id }).catch(() => undefined)
    // A card that could not be opened stays in the slot: look again when something happens.
    if (!card && reader.cards().length > 0 && !signal.aborted) await this.#wake.promise
    if (card) this.#tell({ type: 'out' })
  }

  /** A session when there is none, then whatever the card does not have yet. Problems of the line leave it for later. */
  async #bringUpToDate(card: Present): Promise<void> {
    const { link, clock, log } = this.#o
    if (!link.up) return
    try {
      if (card.session && card.session.expiresMs - clock.now() > 30_000) await this.#fetchPending(card)
      else await this.#openSession(card)
      await this.#tellFindings(card)
    } catch (error) {
      if (card.signal.aborted) return
      const problem = isProblem(error) ? error : new Problem('internal', String(error))
      if (refusals.has(problem.code)) {
        // S2: told to the holder, and the line is closed.
        card.refused = problem
        card.session = undefined
      } else if (problem.code.startsWith('session.')) {
        card.session = undefined
        clock.timer(1_000, () => this.#recheck())
      } else if (problem.code.startsWith('link.') || problem.retry === 'later') {
        clock.timer(5_000, () => this.#recheck())
      } else if (problem.code.startsWith('card.')) throw problem
      if (!isProblem(error)) log.error('session', { error: String(error) })
      if (!problem.code.startsWith('link.') && !problem.code.startsWith('session.'))
        this.#tell({ type: 'problem', problem })
    }
  }

  async #openSession(card: Present): Promise<void> {
    const { link, identity, keys, operation } = this.#o
    const signal = card.signal
    const opened = await link.call(openSession, { card: card.facts.card, operation }, { signal })
    if (!(await keys.isInUse(openSession.service, opened.verifier)))
      throw new Problem('cose.wrong-audience', 'another placement challenged the card')
    const challenge = await card.use((client) => client.challenge(signal))
    const proof = await card.use((client) =>
      sign1With(
        encodeDeterministic({
          session: opened.session,
          challenge: opened.challenge,
          verifier: opened.verifier,
          device: identity.device,
          operation,
          level: card.facts.level.level,
          counter: client.counter,
        }),
        client.identify(signal),
        sessionDomain,
      ),
    )
    const proved = await link.call(
      proveSession,
      { session: opened.session, proof, cardChallenge: challenge },
      { signal },
    )
    const session: SessionFacts = {
      id: opened.session,
      name: proved.name,
      level: proved.level,
      home: proved.home,
      expiresMs: proved.expiresMs,
      location: await this.#o.consents.remember(card.facts.member.id, proved.location ?? false),
    }
    card.refused = undefined
    card.begin(session, proved.token)
    if (proved.cardProof) await card.use((client) => client.proveProvider(proved.cardProof!, signal))
    this.#tell({ type: 'session', card, session })
    // S9, S16: a level or home region that has changed since the card was last written.
    const { level, home } = proved
    if (proved.cardProof && (level !== card.facts.level.level || home !== card.facts.level.home))
      await card.use((client) => client.updateLevel({ level, home }, signal))
    await this.#keepCatalogue(card, proved.catalogue)
    await this.#write(card, proved.pending)
    if (proved.cardProof) await card.use((client) => this.#o.cardData.apply(client, signal))
    if (proved.morePending) await this.#fetchPending(card)
    card.findingsDue = true
  }

  /**
   * S11, S12: what happened to the member's data since they were last told; told once, and as much of it as can be seen at
   * a time. What is left comes when that was read: meanwhile the card goes on being brought up to date.
   */
  async #tellFindings(card: Present): Promise<void> {
    const { clock, outbox, random, lines } = this.#o
    const { session, signal } = card
    if (!session || !card.findingsDue || lines() < 1) return
    const answer = await card.ask(findings, findingsBySession, {}).catch((error) => {
      // A placement of the release before knows nothing of it.
      if (isProblem(error, 'message.unknown-contract')) return { findings: [], more: false }
      throw error
    })
    signal.throwIfAborted()
    // What was shown already is on its way to placement.
    const untold = answer.findings.filter(({ id }) => !card.told.has(id))
    const news = untold.slice(0, lines())
    if (news.length > 0) {
      this.#tell({ type: 'findings', card, findings: news })
      const told = news.map(({ id }) => id)
      await outbox.append(findingsTold, { session: session.id, findings: told }, random.bytes(16))
      for (const id of told) card.told.add(id)
    }
    card.findingsDue = false
    if (!answer.more && untold.length === news.length) return
    clock.timer(readMs, () => {
      card.findingsDue = true
      this.#recheck()
    })
  }

  async #fetchPending(card: Present): Promise<void> {
    for (let more = true; more && card.session; ) {
      const answer = await card.ask(pendingConditions, pendingConditionsBySession, {})
      await this.#keepCatalogue(card, answer.catalogue)
      await this.#write(card, answer.pending)
      more = answer.morePending && answer.pending.length > 0
    }
  }

  /** The catalogue's place and key, when the card has an older one. */
  async #keepCatalogue(card: Present, catalogue: Uint8Array | undefined): Promise<void> {
    if (!catalogue) return
    const known = card.facts.root.catalogue
    if (known && sameBytes(known, catalogue)) return
    await card.use((client) => client.updateRoot({ ...client.facts.root, catalogue }, card.signal))
  }

  /** S8: onto the card, read back, and only then told to placement. */
  async #write(card: Present, pending: readonly PendingConditions[]): Promise<void> {
    const session = card.session
    if (pending.length === 0 || !session) return
    for (const item of pending) await card.use((client) => client.writeConditions(item, card.signal))
    const written = pending.map(({ object, version, record }) => ({
      object,
      version,
      digest: conditionsDigest(record),
    }))
    await this.#o.outbox.append(
      conditionsWritten,
      { session: session.id, written, counter: card.client.counter },
      this.#o.random.bytes(16),
    )
    this.#tell({ type: 'written', card, count: written.length })
  }

  #recheck(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  #tell(news: PresenceNews): void {
    for (const listener of this.#listeners) listener(news)
  }
}

/** Answers with which placement turns a card away (S2, S3). */
const refusals: ReadonlySet<string> = new Set([
  'card.unknown',
  'card.lost',
  'card.rejected',
  'level.mismatch',
  'member.suspended',
])

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
