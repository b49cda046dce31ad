/**
 * One of two settlement centres (P9). It leads while a majority of the witnesses leases it the leadership; what it commits
 * counts as acknowledged when the other centre has it on disk too, or, when the other is lost, once the witnesses have
 * recorded that it stands alone: then only it may lead again until both are in step. The other centre takes what the
 * leader hands on, and stands for election when the lease has run out.
 */
import type { Clock, Log, Random, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { FollowedDatabase } from '../../../storage/database.ts'
import { CentreLog, type Entry, type LogTip } from './log.ts'
import {
  majorityOf,
  mayLead,
  type PromiseReply,
  type PromiseRequest,
  type Standing,
  type StandReply,
  type StandRequest,
} from './witness.ts'

/** A witness as a centre sees it; every call ends within its own limit. */
export interface WitnessLink {
  promise(request: PromiseRequest): Promise<PromiseReply>
  stand(request: StandRequest): Promise<StandReply>
}

export interface PeerState extends LogTip {
  genesis?: Uint8Array
}

/** The other centre; every call ends within its own limit. */
export interface PeerLink {
  state(epoch: number): Promise<PeerState>
  append(epoch: number, entries: Entry[]): Promise<LogTip>
  /** Puts a whole copy in place of what it has, if that is still what it said: a copy that comes late must undo nothing. */
  install(epoch: number, over: LogTip, copy: AsyncIterable<Uint8Array>): Promise<LogTip>
}

/** Where a centre's database lies. */
export interface CentreStore {
  readonly database: FollowedDatabase
  /** A whole copy of it, as it is now. */
  copy(): Promise<AsyncIterable<Uint8Array>>
  /** Puts another in its place, durably and whole, or not at all. */
  replace(copy: AsyncIterable<Uint8Array>): Promise<void>
}

export interface CentreOptions {
  id: string
  store: CentreStore
  witnesses: readonly WitnessLink[]
  peer: PeerLink
  clock: Clock
  random: Random
  log: Log
  /** How long a leadership lasts without the witnesses, ms. */
  leaseMs?: number
  /** How long the other centre may be silent before this one asks to stand alone, ms. */
  lossMs?: number
  /** How long a commit waits to be acknowledged, ms. */
  waitMs?: number
  /** Waits so long after its start before it stands for election, ms. */
  patienceMs?: number
  /** Whether it may begin a history when there is none: the one of the two with which the site began. */
  founds: boolean
  /** Leadership began, or ended; the database is not replaced before it resolves. */
  onChange?: (leading: boolean) => Promise<void> | void
}

export interface CentreStatus {
  id: string
  leading: boolean
  epoch: number
  /** Whether what it acknowledges is on the other centre's disk too. */
  paired: boolean
  entries: number
  acknowledged: number
  copies: number
  takeovers: number
}

interface Leadership {
  epoch: number
  standing: Standing
  /** On the monotonic clock. */
  leaseUntilMs: number
  /** Acknowledging needs the other centre. */
  needsPeer: boolean
  acknowledged: number
  /** Where the other centre is; undefined until it said so. */
  peerAt: number | undefined
  /** Since when the other centre lacks something without getting on. */
  behindSinceMs: number | undefined
}

const batchBytes = 1 << 20
/** The clocks of two machines do not run alike: a leader believes its lease a tenth shorter than it asked for. */
const leaseTrust = 0.9

export class Centre {
  readonly #o: Required<Omit<CentreOptions, 'onChange'>> & Pick<CentreOptions, 'onChange'>
  #log: CentreLog
  #lead: Leadership | undefined
  #seenEpoch = 0
  #timer: Timer | undefined
  #stopped = true
  #notBeforeMs = 0
  #busy = false
  #shipping = false
  #copying = false
  #waiting: { n: number; resolve(): void; reject(error: unknown): void }[] = []
  /** Since the start: whole copies taken, leaderships begun. */
  readonly counts = { copies: 0, takeovers: 0 }
  #changed: Promise<void> | undefined

  constructor(options: CentreOptions) {
    this.#o = { leaseMs: 4_000, lossMs: 3_000, waitMs: 15_000, patienceMs: 0, ...options }
    this.#log = new CentreLog(options.store.database)
  }

  /** Whether it leads now: its lease has not run out. */
  get leading(): boolean {
    return this.#lead !== undefined && this.#o.clock.monotonicMs() < this.#lead.leaseUntilMs
  }

  get log(): CentreLog {
    return this.#log
  }

  async status(): Promise<CentreStatus> {
    const entries = (await this.#log.tip()).n
    const lead = this.#lead
    return {
      id: this.#o.id,
      leading: this.leading,
      epoch: this.#log.epoch,
      paired: lead?.needsPeer ?? false,
      entries,
      acknowledged: lead ? (lead.needsPeer ? lead.acknowledged : entries) : 0,
      ...this.counts,
    }
  }

  async start(): Promise<void> {
    this.#stopped = false
    await this.#log.rest()
    this.#notBeforeMs = this.#o.clock.monotonicMs() + this.#o.patienceMs
    this.#later(0)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#stepDown()
  }

  /**
   * Resolves when everything committed so far is acknowledged.
   * @throws {Problem} `centre.not-leader`, `centre.unconfirmed`: it may be done or not, and comes again
   */
  async acknowledged(): Promise<void> {
    const lead = this.#lead
    if (!lead || !this.leading) return Promise.reject(new Problem('centre.not-leader'))
    const { n } = await this.#log.tip()
    if (!lead.needsPeer || lead.acknowledged >= n) return Promise.resolve()
    const { clock, waitMs } = this.#o
    return new Promise((resolve, reject) => {
      const timer = clock.timer(waitMs, () => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting)
        reject(new Problem('centre.unconfirmed'))
      })
      const ended = (tell: () => void) => {
        timer.cancel()
        tell()
      }
      const waiting = { n, resolve: () => ended(resolve), reject: (error: unknown) => ended(() => reject(error)) }
      this.#waiting.push(waiting)
      void this.#ship()
    })
  }

  /** The leader asks where this centre is. @throws {Problem} `centre.old-epoch` */
  async state(epoch: number): Promise<PeerState> {
    await this.#yieldTo(epoch)
    const tip = await this.#log.receive(epoch, [])
    const { genesis } = this.#log
    return { ...tip, ...(genesis && { genesis }) }
  }

  /** The leader's entries; on disk when it returns. @throws {Problem} `centre.old-epoch`, `centre.behind`, `centre.chain` */
  async append(epoch: number, entries: readonly Entry[]): Promise<LogTip> {
    await this.#yieldTo(epoch)
    // What is appended now would be gone with the copy.
    if (this.#copying) throw new Problem('centre.behind', 'a copy is coming')
    return this.#log.receive(epoch, entries)
  }

  /**
   * The leader's whole database in place of this one's.
   * @param over where this one was when the leader asked
   * @throws {Problem} `centre.old-epoch`, `centre.behind` while another comes or when this one has got on since
   */
  async install(epoch: number, over: LogTip, copy: AsyncIterable<Uint8Array>): Promise<LogTip> {
    await this.#yieldTo(epoch)
    const tip = await this.#log.tip()
    if (tip.n !== over.n || Buffer.compare(tip.chain, over.chain) !== 0)
      throw new Problem('centre.behind', `a copy over ${over.n} comes when ${tip.n} is reached`)
    if (this.#copying) throw new Problem('centre.behind', 'a copy is coming already')
    this.#copying = true
    try {
      await this.#log.receive(epoch, [])
      await this.#changed
      await this.#o.store.replace(checked(copy, () => this.#yieldTo(epoch)))
      this.#log = new CentreLog(this.#o.store.database)
      this.counts.copies++
      return this.#log.adopt(epoch)
    } finally {
      this.#copying = false
    }
  }

  /** Another leads under this epoch. @throws {Problem} `centre.old-epoch` when this centre knows of a later one */
  async #yieldTo(epoch: number): Promise<void> {
    const own = this.#log.epoch
    if (epoch < own || (epoch === own && this.#lead))
      throw new Problem('centre.old-epoch', `epoch ${epoch} after ${own}`)
    await this.#stepDown()
    if (this.#copying && epoch > own) throw new Problem('centre.behind', 'a copy is coming')
  }

  #later(ms: number): void {
    this.#timer?.cancel()
    if (!this.#stopped) this.#timer = this.#o.clock.timer(ms, () => void this.#tick())
  }

  async #tick(): Promise<void> {
    const { clock, leaseMs, random, log } = this.#o
    if (!this.#busy) {
      this.#busy = true
      try {
        if (this.#lead && !this.leading) await this.#stepDown()
        if (this.#lead) await this.#renew(this.#lead)
        else if (clock.monotonicMs() >= this.#notBeforeMs && !this.#copying) await this.#stand()
      } catch (error) {
        log.error('the centre could not take its turn', { error: String(error) })
      } finally {
        this.#busy = false
      }
    }
    this.#later(leaseMs * (0.15 + 0.1 * random.float()))
  }

  /** Stands for election. */
  async #stand(): Promise<void> {
    const { id, witnesses, clock, leaseMs, random, log, founds } = this.#o
    const epoch = Math.max(this.#log.epoch, this.#seenEpoch) + 1
    const promises = await this.#ask((witness) => witness.promise({ centre: id, epoch }))
    for (const { granted, epoch } of promises) if (!granted) this.#seenEpoch = Math.max(this.#seenEpoch, epoch)
    const granted = promises.filter((reply) => reply.granted)
    if (this.#stopped || granted.length < majorityOf(witnesses.length)) return
    const standings = granted.map(({ standing }) => standing)
    if (!mayLead(id, standings, witnesses.length)) return
    if (!this.#log.genesis) {
      // What it lacks is all that there ever was, unless nobody ever led.
      if (!founds || standings.some((standing) => standing !== undefined)) return
      await this.#log.found(random.bytes(16))
    }
    const standing: Standing = { epoch, turn: 1, leader: id, alone: true }
    const askedMs = clock.monotonicMs()
    const stands = await this.#ask((witness) => witness.stand({ standing, leaseMs }))
    if (stands.filter((reply) => reply.granted).length < majorityOf(witnesses.length)) return
    if (this.#stopped || this.#copying || this.#lead || this.#log.epoch >= epoch) return
    await this.#log.lead(epoch)
    const { n } = await this.#log.tip()
    this.#lead = {
      epoch,
      standing,
      leaseUntilMs: askedMs + leaseMs * leaseTrust,
      needsPeer: false,
      acknowledged: n,
      peerAt: undefined,
      behindSinceMs: undefined,
    }
    this.counts.takeovers++
    log.info('this centre leads', { epoch })
    this.#tell(true)
    void this.#ship()
  }

  /** Tells the witnesses how it stands, which prolongs the lease; what they record takes effect here. */
  async #renew(lead: Leadership): Promise<void> {
    const { witnesses, clock, leaseMs, lossMs } = this.#o
    if (lead.needsPeer && !lead.standing.alone && (await this.#peerLost(lead, lossMs)))
      lead.standing = { ...lead.standing, turn: lead.standing.turn + 1, alone: true }
    const { standing } = lead
    const askedMs = clock.monotonicMs()
    const replies = await this.#ask((witness) => witness.stand({ standing, leaseMs }))
    if (this.#lead !== lead) return
    const majority = majorityOf(witnesses.length)
    if (replies.filter((reply) => reply.granted).length >= majority) {
      lead.leaseUntilMs = Math.max(lead.leaseUntilMs, askedMs + leaseMs * leaseTrust)
      if (lead.standing === standing && standing.alone && lead.needsPeer) {
        lead.needsPeer = false
        this.#o.log.warn('the other centre is lost; this one stands alone', { epoch: lead.epoch })
        this.#settle(lead)
      }
    } else if (replies.filter(({ granted, epoch }) => !granted && epoch > lead.epoch).length >= majority)
      return this.#stepDown()
    await this.#write(lead)
    void this.#ship()
  }

  async #peerLost(lead: Leadership, lossMs: number): Promise<boolean> {
    if (lead.acknowledged >= (await this.#log.tip()).n) return false
    const nowMs = this.#o.clock.monotonicMs()
    lead.behindSinceMs ??= nowMs
    return nowMs - lead.behindSinceMs > lossMs
  }

  /** Hands on what the other centre does not have; one round at a time. */
  async #ship(): Promise<void> {
    const lead = this.#lead
    if (!lead || this.#shipping) return
    this.#shipping = true
    try {
      while (this.#lead === lead && this.leading) {
        if (lead.peerAt === undefined) await this.#meet(lead)
        if (lead.peerAt === undefined || this.#lead !== lead) break
        const entries = await this.#log.after(lead.peerAt, batchBytes)
        if (!entries) {
          lead.peerAt = undefined
          continue
        }
        if (entries.length === 0) {
          this.#inStep(lead)
          break
        }
        const { n } = await this.#o.peer.append(lead.epoch, entries)
        if (this.#lead !== lead) break
        this.#heard(lead, n)
      }
    } catch (error) {
      lead.peerAt = undefined
      if (isProblem(error, 'centre.old-epoch') && this.#lead === lead) await this.#stepDown()
      else this.#o.log.debug('the other centre does not take what is new', { error: String(error) })
    } finally {
      this.#shipping = false
    }
  }

  /** Finds out where the other centre is; one whose history differs gets a whole copy. */
  async #meet(lead: Leadership): Promise<void> {
    const { peer, store } = this.#o
    const { genesis, ...tip } = await peer.state(lead.epoch)
    if (this.#lead !== lead) return
    const own = this.#log.genesis!
    const follows = genesis && Buffer.compare(genesis, own) === 0 && (await this.#log.holds(tip))
    if (follows && (await this.#log.after(tip.n, 1))) return this.#heard(lead, tip.n)
    const { n } = await peer.install(lead.epoch, tip, await store.copy())
    if (this.#lead === lead) this.#heard(lead, n)
  }

  #heard(lead: Leadership, n: number): void {
    lead.peerAt = n
    lead.behindSinceMs = undefined
    if (!lead.needsPeer || n <= lead.acknowledged) return
    lead.acknowledged = n
    this.#settle(lead)
  }

  /** Both have the same: from now on acknowledging needs the other, and only then the witnesses hear of it. */
  #inStep(lead: Leadership): void {
    if (lead.needsPeer && !lead.standing.alone) return
    lead.needsPeer = true
    lead.acknowledged = lead.peerAt!
    lead.standing = { ...lead.standing, turn: lead.standing.turn + 1, alone: false }
  }

  #settle(lead: Leadership): void {
    const done = this.#waiting.filter(({ n }) => !lead.needsPeer || n <= lead.acknowledged)
    this.#waiting = this.#waiting.filter((one) => !done.includes(one))
    for (const { resolve } of done) resolve()
  }

  /** For processes beside this one, which read it in the database. */
  async #write(lead: Leadership): Promise<void> {
    const n = lead.needsPeer ? lead.acknowledged : (await this.#log.tip()).n
    if (this.#log.acknowledged !== n) await this.#log.setAcknowledged(n)
  }

  async #stepDown(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(new Problem('centre.not-leader'))
    if (!this.#lead) return
    this.#lead = undefined
    this.#o.log.warn('this centre leads no more')
    this.#tell(false)
    await this.#log.rest()
  }

  #tell(leading: boolean): void {
    const { onChange, log } = this.#o
    if (onChange)
      this.#changed = Promise.resolve(this.#changed)
        .then(() => onChange(leading))
        .catch((error: unknown) => log.error('the centre could not change over', { error: String(error) }))
  }

  /** The answers that came. */
  async #ask<T>(call: (witness: WitnessLink) => Promise<T>): Promise<T[]> {
    const answers = await Promise.allSettled(this.#o.witnesses.map(call))
    return answers.filter((answer) => answer.status === 'fulfilled').map(({ value }) => value)
  }
}

async function* checked(copy: AsyncIterable<Uint8Array>, check: () => Promise<void>): AsyncGenerator<Uint8Array> {
  for await (const chunk of copy) yield chunk
  await check()
}
