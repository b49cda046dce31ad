/**
 * The link: one sealed channel to the gateway over whatever MQTT broker the site has (D3, ARCHITECTURE §4).
 *
 * It connects, enrols if it must, greets, and then carries calls, acts, blocks and events until the line breaks; then it
 * waits with jitter and begins again. It keeps nothing: what must not be lost is in the outbox.
 */
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { acknowledgeEvents, enrol } from '@azukari/protocol/contracts/fleet'
import {
  type ActKey,
  type Channel,
  decodeEvent,
  decodeReply,
  encodeRequest,
  type Reply,
} from '@azukari/protocol/envelope'
import { coseKey } from '@azukari/protocol/keys'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem, type ProblemWire } from '@azukari/protocol/problem'
import { deviceSubscriptions, deviceTopic, parseTopic } from '@azukari/protocol/topics'
import { backoffMs } from './backoff.ts'
import { checkOpenReply, connectToken, enrolment, greeting, type OpenReply, siteNews } from './greeting.ts'
import { type Identity, parseClaim, type SiteTrust } from './identity.ts'
import type { ActSender } from './outbox.ts'
import type { MqttMessage, MqttSession, MqttTransport } from './transport.ts'

export type LinkState = 'off' | 'connecting' | 'enrolling' | 'greeting' | 'up' | 'waiting'

export interface CallOptions {
  signal?: AbortSignal | undefined
  limitMs?: number
  /** The member's session token, for contracts whose authority is `member`. */
  token?: Uint8Array | undefined
}

export interface LinkOptions {
  site: string
  identity: Identity
  /** The one-time claim: needed until the device is enrolled, and when the site does not know it any more. */
  claim?: string | undefined
  model: string
  version: string
  roles: readonly string[]
  transport: MqttTransport
  clock: Clock
  random: Random
  log: Log
  /** Durable: returns a greater number at every call, and never less than asked. */
  nextEpoch: (atLeast: number) => Promise<number>
  /** Keeps what enrolment taught, durably: whose messages to believe, and the signed key directory. */
  keepTrust: (trust: SiteTrust, directory: Uint8Array | undefined) => Promise<void>
  limits?: Partial<LinkLimits>
}

export interface LinkLimits {
  connectMs: number
  callMs: number
  keepaliveMs: number
  /** Calls and acts under way at once. */
  calls: number
}

/** What no state on the way to the site may last, nor silence of one that is there, ms: longer than the longest pause. */
const stuckMs = 15 * 60_000

/** How far off a token's time may be without a new one; a gateway allows for more. */
const believedWithinMs = 60_000

const defaults: LinkLimits = { connectMs: 10_000, callMs: 20_000, keepaliveMs: 30_000, calls: 256 }

/** Problems of those who do not know each other, or not any more. */
const strangers: ReadonlySet<string> = new Set([
  'device.unknown',
  'device.revoked',
  'cose.unknown-key',
  'cose.bad-signature',
  'cose.wrong-audience',
])

interface Waiting {
  resolve(reply: Reply): void
  reject(problem: Problem): void
}

/** An event's handler; the event is acknowledged when all of its handlers have resolved, so they must have kept what they need. */
export type EventHandler = (body: unknown) => Promise<void> | void

/** Takes a block of a download as it came: what it holds is not checked yet, and it must not wait. */
export type BlockHandler = (index: number, payload: Uint8Array) => void

export class Link implements ActSender {
  readonly #options: LinkOptions
  readonly #limits: LinkLimits
  readonly #waiting = new Map<string, Waiting>()
  readonly #events = new Map<string, { contract: Contract; handlers: EventHandler[] }>()
  readonly #blocks = new Map<string, BlockHandler>()
  readonly #listeners = new Set<(state: LinkState, why?: Problem) => void>()
  #state: LinkState = 'off'
  #session: MqttSession | undefined
  #channel: Channel | undefined
  #boot: string | undefined
  /** The gateway knows a birth of this device up to here. */
  #epochFloor = 0
  #openReply: ((reply: OpenReply) => void) | undefined
  #tellAgain: (() => void) | undefined
  /** Since when the state is what it is, and since when nothing that was asked was answered; monotonic, ms. */
  #stateMs = 0
  #silence: { sinceMs: number; calls: number } | undefined
  /** The site and this device do not know each other any more, and there is a claim that may change that. */
  #enrolAgain = false
  /** The claim has been tried again and was refused, too. */
  #claimSpent = false
  /** What the last welcome said of the time, and when that was. */
  #told: { siteMs: number; atMs: number } | undefined

  constructor(options: LinkOptions) {
    this.#options = options
    this.#limits = { ...defaults, ...options.limits }
  }

  get state(): LinkState {
    return this.#state
  }

  /**
   * Whether the line does not go on in a way that nothing here expects: every wait has a limit, so no state on the way to
   * the site lasts, and a site that is there answers. A site that is away is no such thing: the device works on.
   */
  get stuck(): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    if (this.up)
      return this.#silence !== undefined && this.#silence.calls >= 3 && nowMs - this.#silence.sinceMs > stuckMs
    return this.#state !== 'off' && nowMs - this.#stateMs > stuckMs
  }

  get up(): boolean {
    return this.#state === 'up'
  }

  /**
   * The site's wall clock, ms since the epoch: what the gateway last said and has passed since, however this device's own
   * clock is set meanwhile; before the first welcome, this device's own.
   */
  siteNow(): number {
    const { clock } = this.#options
    return this.#told ? Math.round(this.#told.siteMs + clock.monotonicMs() - this.#told.atMs) : clock.now()
  }

  /** Hears every change of state, with the problem that caused it. Returns a function that stops it. */
  onState(listener: (state: LinkState, why?: Problem) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onEvent<C extends Contract>(contract: C, handler: (body: RequestOf<C>) => Promise<void> | void): void {
    const known = this.#events.get(contract.id)
    if (known) known.handlers.push(handler as EventHandler)
    else this.#events.set(contract.id, { contract, handlers: [handler as EventHandler] })
  }

  /** Hears the blocks of one download, by its id in hex, until disposed of. */
  onBlocks(transfer: string, handler: BlockHandler): Disposable {
    this.#blocks.set(transfer, handler)
    return {
      [Symbol.dispose]: () => {
        if (this.#blocks.get(transfer) === handler) this.#blocks.delete(transfer)
      },
    }
  }

  /** Asks and waits. @throws {Problem} what the service answered; `link.offline`, `link.timeout` */
  async call<C extends Contract>(contract: C, body: RequestOf<C>, options: CallOptions = {}): Promise<ReplyOf<C>> {
    const { random } = this.#options
    const limitMs = options.limitMs ?? this.#limits.callMs
    // Judged by the gateway's clock, from which a board's may well be a minute off.
    const at = this.siteNow()
    const reply = await this.#ask(
      {
        contract: contract.id,
        id: random.bytes(16),
        atMs: at,
        expiresMs: at + limitMs,
        body: contract.checkRequest(body),
        ...(options.token && { token: options.token }),
      },
      limitMs,
      options.signal,
    )
    // This board's clock was set since the last greeting: the next one tells the site's time anew.
    if (reply.problem?.code === 'message.expired') this.#tellAgain?.()
    if (reply.problem) throw Problem.fromWire(reply.problem)
    return contract.checkReply(reply.body) as ReplyOf<C>
  }

  async sendAct(
    contract: string,
    id: Uint8Array,
    key: ActKey,
    atMs: number,
    body: unknown,
    signal?: AbortSignal,
  ): Promise<Reply> {
    return this.#ask({ contract, id, atMs, act: key, body }, this.#limits.callMs, signal)
  }

  /** Sends one block of a transfer; resolves when the broker has it, which says nothing about the gateway. */
  async sendBlock(transfer: string, index: number, block: Uint8Array): Promise<void> {
    const session = this.#session
    if (!session || !this.up) throw new Problem('link.offline')
    await session.publish(
      deviceTopic(this.#options.site, this.#options.identity.device, 'up', transfer, index),
      block,
      { qos: 1 },
    )
  }

  /** Connects and stays connected until aborted. Never throws: every failure becomes a state with its problem. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options
    let failures = 0
    while (!signal.aborted) {
      let why: Problem | undefined
      try {
        await this.#connection(signal, () => {
          failures = 0
        })
      } catch (error) {
        why = isProblem(error) ? error : new Problem('link.offline', String(error))
        if (!signal.aborted) log.info('link down', { code: why.code, detail: why.detail })
        this.#noteRefusal(why)
      }
      this.#drop(why ?? new Problem('link.offline'))
      if (signal.aborted) break
      this.#enter('waiting', why)
      await clock.sleep(backoffMs(++failures, random), signal).catch(() => undefined)
    }
    this.#enter('off')
  }

  async #connection(signal: AbortSignal, onUp: () => void): Promise<void> {
    const { identity, site, transport, clock, random } = this.#options
    this.#enter('connecting')
    if (!identity.trust || this.#enrolAgain) await this.#enrol(signal)
    const epoch = await this.#options.nextEpoch(this.#epochFloor)
    const farewell = encode({ epoch })
    const deathTopic = deviceTopic(site, identity.device, 'death')
    const believed = { siteMs: this.siteNow(), atMs: clock.monotonicMs() }
    const session = await transport.connect(
      {
        clientId: identity.device,
        username: 'device',
        password: connectToken(this.#options, this.siteNow()),
        will: { topic: deathTopic, payload: farewell, retain: true },
        keepaliveMs: this.#limits.keepaliveMs,
        connectLimitMs: this.#limits.connectMs,
        onMessage: (message) => this.#receive(message),
      },
      signal,
    )
    const stopped = new Promise<string>((resolve) =>
      signal.addEventListener('abort', () => resolve('stopped'), { once: true }),
    )
    try {
      await session.subscribe(deviceSubscriptions(site, identity.device))
      this.#session = session
      for (let first = true; ; first = false) {
        const again = new Promise<string>((resolve) => {
          this.#tellAgain = () => resolve('again')
        })
        this.#enter('greeting')
        const epochNow = first ? epoch : await this.#options.nextEpoch(this.#epochFloor)
        await Promise.race([
          this.#greet(session, epochNow, signal),
          session.closed.then((reason) => Promise.reject(new Problem('link.offline', reason))),
        ])
        // With a token that was too old the gateway lets a device greet, which tells the time, and no more.
        if (first) this.#checkBelieved(believed)
        onUp()
        this.#enter('up')
        const ended = await Promise.race([session.closed, stopped, again])
        if (ended === 'again') {
          // The gateway restarted or lost the channel: everybody would greet at once, so wait a little, at random. What
          // would be asked meanwhile under the old channel nobody could open, so the link is not up from now on.
          this.#enter('greeting')
          this.#rejectAll(new Problem('session.unknown'))
          await clock.sleep(random.float() * 1_000, signal)
          continue
        }
        if (ended === 'stopped')
          await session.publish(deathTopic, farewell, { qos: 1, retain: true }).catch(() => undefined)
        throw new Problem('link.offline', ended)
      }
    } finally {
      this.#session = undefined
      this.#channel = undefined
      await session.close()
    }
  }

  /**
   * What stands between this device and its site when they do not believe each other: a device that was shut out, or a
   * site that was made anew. A claim that was given since the last enrolment lets it enrol again; its secret proves both.
   */
  #noteRefusal({ code }: Problem): void {
    const { identity, claim } = this.#options
    if (this.#enrolAgain && code.startsWith('claim.')) {
      this.#enrolAgain = false
      this.#claimSpent = true
    }
    const fresh = claim && identity.trust && !this.#claimSpent && claim.trim().split('.')[0] !== identity.trust.claim
    if (fresh && strangers.has(code)) this.#enrolAgain = true
  }

  /** @throws {Problem} `link.offline` when the time of this connection's token was wrong: the next one has the site's */
  #checkBelieved({ siteMs, atMs }: { siteMs: number; atMs: number }): void {
    const offMs = Math.round(this.siteNow() - siteMs - (this.#options.clock.monotonicMs() - atMs))
    if (Math.abs(offMs) < believedWithinMs) return
    this.#options.log.warn('the clock was off; the site’s time counts from now on', { offMs })
    throw new Problem('link.offline', `the clock was off by ${offMs} ms`)
  }

  async #enrol(signal: AbortSignal): Promise<void> {
    const { identity, site, claim: claimText, transport } = this.#options
    if (!claimText) throw new Problem('claim.unknown', 'this device is not enrolled and has no claim')
    const claim = parseClaim(claimText)
    this.#enter('enrolling')
    const topic = deviceTopic(site, identity.device, 'call', enrol.name)
    const session = await transport.connect(
      {
        clientId: identity.device,
        username: 'claim',
        password: connectToken(this.#options, this.siteNow(), coseKey(identity.key)),
        will: { topic: deviceTopic(site, identity.device, 'death'), payload: encode({ epoch: 0 }), retain: false },
        keepaliveMs: this.#limits.keepaliveMs,
        connectLimitMs: this.#limits.connectMs,
        onMessage: (message) => this.#receive(message),
      },
      signal,
    )
    try {
      await session.subscribe([deviceTopic(site, identity.device, 'reply')])
      const { id, message, trustFrom } = enrolment(this.#options, claim)
      const send = () => session.publish(topic, message, { qos: 1 })
      const reply = await this.#openExchange(id, send, signal, (answer) => answer)
      const { trust, directory } = trustFrom(reply)
      await this.#options.keepTrust(trust, directory)
      identity.trust = trust
      this.#enrolAgain = false
    } finally {
      await session.close()
    }
  }

  async #greet(session: MqttSession, epoch: number, signal: AbortSignal): Promise<void> {
    const { identity, site, clock } = this.#options
    if (!identity.trust) throw new Problem('device.unknown', 'not enrolled')
    const { id, message, welcomeOf, agree } = greeting(this.#options, identity.trust, epoch, this.siteNow())
    const topic = deviceTopic(site, identity.device, 'birth')
    const agreeOn = (reply: OpenReply) => {
      if (reply.p) throw this.#refusedBirth(Problem.fromWire(reply.p as ProblemWire))
      const welcome = welcomeOf(reply)
      this.#told = { siteMs: welcome.at, atMs: clock.monotonicMs() }
      this.#channel = agree(welcome)
    }
    const publish = () => session.publish(topic, message, { qos: 1, retain: true })
    await this.#openExchange(id, publish, signal, agreeOn)
  }

  /** A device whose disk was put back greets with an epoch that has been: the next one is past what the gateway knows. */
  #refusedBirth(problem: Problem): Problem {
    const known = problem.data?.['epoch']
    if (problem.code === 'birth.stale' && typeof known === 'number') this.#epochFloor = known + 1
    return problem
  }

  /** Publishes and waits for the open reply with this id. */
  async #openExchange<T>(
    id: Uint8Array,
    publish: () => Promise<void>,
    signal: AbortSignal,
    take: (reply: OpenReply) => T,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#openReply = (reply) => {
      if (!reply.i || !sameBytes(reply.i, id)) return
      try {
        // At once: what arrives behind it is sealed under what it agrees on.
        resolve(take(reply))
      } catch (error) {
        reject(error)
      }
    }
    const abort = () => reject(new Problem('link.offline', 'stopped'))
    signal.addEventListener('abort', abort, { once: true })
    using _limit = this.#options.clock.timer(this.#limits.callMs, () =>
      reject(new Problem('link.timeout', 'no answer to the greeting')),
    )
    try {
      const [taken] = await Promise.all([promise, publish()])
      return taken
    } finally {
      signal.removeEventListener('abort', abort)
      this.#openReply = undefined
    }
  }

  async #ask(request: Parameters<typeof encodeRequest>[0], limitMs: number, signal?: AbortSignal): Promise<Reply> {
    const { site, identity, clock } = this.#options
    const session = this.#session
    const channel = this.#channel
    if (!session || !channel || !this.up) throw new Problem('link.offline')
    if (this.#waiting.size >= this.#limits.calls) throw new Problem('service.busy', 'too many calls under way')
    signal?.throwIfAborted()
    const key = hex(request.id)
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    this.#waiting.set(key, { resolve, reject })
    const abort = () => reject(isProblem(signal?.reason) ? signal.reason : new Problem('link.offline', 'cancelled'))
    signal?.addEventListener('abort', abort, { once: true })
    using _limit = clock.timer(limitMs, () => {
      this.#silence ??= { sinceMs: clock.monotonicMs(), calls: 0 }
      this.#silence.calls++
      reject(new Problem('link.timeout', request.contract))
    })
    try {
      const topic = deviceTopic(site, identity.device, 'call', request.contract.slice(0, request.contract.indexOf('@')))
      const sent = session.publish(topic, channel.seal(encodeRequest(request), topic), { qos: 1 })
      sent.catch(reject)
      const reply = await promise
      this.#silence = undefined
      return reply
    } finally {
      this.#waiting.delete(key)
      signal?.removeEventListener('abort', abort)
    }
  }

  /** Every message that arrives. A bad one is logged and dropped: it may be a stranger's. */
  #receive({ topic, payload }: MqttMessage): void {
    const { site, identity, log } = this.#options
    try {
      const base = `v1/${site}/d/${identity.device}/`
      if (topic === `v1/${site}/site`) return this.#onSite(payload)
      if (topic === `${base}reply`) {
        // Sealed messages start with the tag of COSE_Encrypt0; an open reply is a map.
        if (payload[0] === 0xd0) return this.#onReply(payload, topic)
        return this.#onOpenReply(checkOpenReply(decode(payload)))
      }
      if (topic.startsWith(`${base}evt/`)) return this.#onEvent(payload, topic)
      if (topic.startsWith(`${base}down/`)) {
        const { name = '', index = 0 } = parseTopic(topic)
        return this.#blocks.get(name)?.(index, payload)
      }
    } catch (error) {
      if (isProblem(error, 'session.unknown')) return this.#tellAgain?.()
      log.warn('a message was dropped', {
        topic,
        code: isProblem(error) ? error.code : 'internal',
        error: String(error),
      })
    }
  }

  #onReply(payload: Uint8Array, topic: string): void {
    if (!this.#channel) return
    const reply = decodeReply(this.#channel.open(payload, topic))
    this.#waiting.get(hex(reply.id))?.resolve(reply)
  }

  #onOpenReply(reply: OpenReply): void {
    if (reply.hint === 'session.unknown' && this.up) this.#tellAgain?.()
    else this.#openReply?.(reply)
  }

  #onSite(payload: Uint8Array): void {
    const { identity, site } = this.#options
    if (!identity.trust) return
    const news = siteNews(payload, identity.trust)
    if (news.site !== site) return
    const boot = hex(news.boot)
    if (this.#boot !== undefined && this.#boot !== boot && this.up) this.#tellAgain?.()
    this.#boot = boot
  }

  #onEvent(payload: Uint8Array, topic: string): void {
    if (!this.#channel) return
    const event = decodeEvent(this.#channel.open(payload, topic))
    const known = this.#events.get(event.contract)
    if (!known) return
    void this.#handleEvent(known, event)
  }

  async #handleEvent(
    { contract, handlers }: { contract: Contract; handlers: EventHandler[] },
    event: { id: Uint8Array; body: unknown },
  ): Promise<void> {
    try {
      const body = contract.checkRequest(event.body)
      for (const handler of handlers) await handler(body)
      if (!contract.passing) await this.call(acknowledgeEvents, { ids: [event.id] })
    } catch (error) {
      // Not acknowledged, so it comes again.
      if (!isProblem(error)) this.#options.log.error('an event failed', { contract: contract.id, error: String(error) })
    }
  }

  #enter(state: LinkState, why?: Problem): void {
    if (state === this.#state) return
    this.#state = state
    this.#stateMs = this.#options.clock.monotonicMs()
    this.#silence = undefined
    for (const listener of this.#listeners) listener(state, why)
  }

  #drop(problem: Problem): void {
    this.#rejectAll(problem)
    this.#tellAgain = undefined
  }

  #rejectAll(problem: Problem): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(problem)
  }
}
