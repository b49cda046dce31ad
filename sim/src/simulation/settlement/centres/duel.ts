/**
 * Two centres and three witnesses from a seed (P9): partitions, lost and late messages, crashes before and after every
 * write, both fighting for the leadership. Whatever was acknowledged must be in the end at both, which must be equal. Clerks
 * of both give files out for the bank, whose gate lets each through once and never one of an older epoch than it has seen.
 */

import type { KeyObject } from 'node:crypto'
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import { BankGate, enterBankFile, noteRelease, releaseNote } from '@azukari/gateway/services/settlement/bank/release'
import { Centre, type PeerLink, type WitnessLink } from '@azukari/gateway/services/settlement/centre/centre'
import { ledgerOf } from '@azukari/gateway/services/settlement/centre/epoch'
import { openWitness, type Witness } from '@azukari/gateway/services/settlement/centre/witness-store'
import { audit } from '@azukari/gateway/services/settlement/ledger/audit'
import type { Database } from '@azukari/gateway/storage/database'
import { signerOf } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { quietLog } from '../../../testkit/log.ts'
import { Crash } from '../../../testkit/settlement/crash-database.ts'
import { seeded } from '../../../testkit/settlement/fixture.ts'
import { SimClock } from '../../../testkit/world/clock.ts'
import { CentreDisk, rowsOf } from './disk.ts'

export interface DuelOptions {
  seed: number
  /** Simulated seconds with faults. */
  seconds?: number
  /** A fault planted on purpose: the backup answers before it has written. */
  early?: boolean
  /** Another: files are given out before their release is acknowledged. */
  hasty?: boolean
}

export interface DuelReport {
  seed: number
  crashes: number
  takeovers: number
  copies: number
  acknowledged: number
  /** Commits of which nobody knew whether they were done. */
  unsure: number
  /** Files that went to the bank; how often one came again, or under an older epoch, and was refused. */
  files: number
  filesAgain: number
  filesOld: number
  /** Centres that were told that they came with an old epoch. */
  refused: number
  violations: string[]
}

interface Life {
  centre: Centre
  kill(): void
}

const limitMs = 1_000
const names = ['a', 'b'] as const

interface Made {
  clock: SimClock
  votes: Database[]
  gate: BankGate
  disks: { a: CentreDisk; b: CentreDisk }
  witnesses: Witness[]
}

class Duel {
  readonly #clock: SimClock
  readonly #random: Random
  readonly #early: boolean
  readonly #hasty: boolean
  readonly #key: KeyObject
  readonly #gate: BankGate
  /** Documents that the bank took. */
  readonly #atBank = new Set<string>()
  #bankEpoch = 0
  #filesAgain = 0
  #filesOld = 0
  /** Whether a centre's clock may stand for a while: then it believes in a lease that has run out. */
  readonly #standing: boolean
  readonly #lagMs = { a: 0, b: 0 }
  readonly #disks: { a: CentreDisk; b: CentreDisk }
  readonly #lives: { a: Life | undefined; b: Life | undefined } = { a: undefined, b: undefined }
  readonly #votes: Database[]
  readonly #witnesses: (Witness | undefined)[]
  /** Pairs of nodes that do not hear each other. */
  readonly #cut = new Set<string>()
  /** Of a hundred messages so many get lost. */
  #lossy = 0
  /** Ids of what was acknowledged. */
  readonly #acknowledged = new Set<string>()
  #posted = 0
  #unsure = 0
  #refused = 0
  #crashes = 0
  #takeovers = 0
  #copies = 0
  readonly #violations: string[] = []

  private constructor({ seed, early = false, hasty = false }: DuelOptions, key: KeyObject, made: Made) {
    this.#random = seeded(seed + 7_000_000)
    this.#hasty = hasty
    this.#key = key
    this.#gate = made.gate
    this.#disks = made.disks
    this.#clock = made.clock
    this.#votes = made.votes
    this.#early = early
    this.#standing = seed % 2 === 0
    this.#witnesses = made.witnesses
  }

  static async make(options: DuelOptions): Promise<Duel> {
    const key = generateKey('ed25519', seeded(options.seed + 7_000_000))
    const clock = new SimClock()
    const votes = [memoryDatabase(), memoryDatabase(), memoryDatabase()]
    return new Duel(options, key, {
      clock,
      votes,
      gate: await BankGate.open(memoryDatabase(), publicOf(key)),
      disks: { a: await CentreDisk.make(), b: await CentreDisk.make() },
      witnesses: await mapInOrder(votes, (database) => openWitness(database, clock)),
    })
  }

  async run(seconds: number): Promise<Omit<DuelReport, 'seed'>> {
    for (const name of names) this.#rise(name)
    const endMs = this.#clock.now() + seconds * 1_000
    this.#faults(endMs)
    for (const name of names) this.#clerk(name, endMs)
    await this.#clock.runUntil(endMs)
    await this.#heal()
    await this.#clock.runUntil(endMs + 600_000, () => this.#inStep())
    await this.#check()
    for (const name of names) this.#fall(name)
    return {
      crashes: this.#crashes,
      takeovers: this.#takeovers,
      copies: this.#copies,
      unsure: this.#unsure,
      files: this.#atBank.size,
      filesAgain: this.#filesAgain,
      filesOld: this.#filesOld,
      refused: this.#refused,
      acknowledged: this.#acknowledged.size,
      violations: this.#violations,
    }
  }

  /** A process begins on what its disk has. */
  #rise(name: 'a' | 'b'): void {
    if (this.#lives[name]) return
    const store = this.#disks[name].open(() => {
      this.#crashes++
      this.#fall(name)
    })
    const other = name === 'a' ? 'b' : 'a'
    const centre = new Centre({
      id: name,
      store,
      clock: this.#clockOf(name),
      random: this.#random,
      log: quietLog,
      witnesses: [0, 1, 2].map((i) => this.#witnessLink(name, i)),
      peer: this.#peerLink(name, other),
      founds: name === 'a',
    })
    this.#lives[name] = { centre, kill: store.kill }
    this.#guard(() => centre.start())
    if (this.#below(3) > 0) this.#plan(name)
  }

  #fall(name: 'a' | 'b'): void {
    const life = this.#lives[name]
    if (!life) return
    this.#lives[name] = undefined
    const { takeovers, copies } = life.centre.counts
    this.#takeovers += takeovers
    this.#copies += copies
    life.kill()
    this.#guard(() => life.centre.stop())
  }

  #clockOf(name: 'a' | 'b'): Clock {
    const clock = this.#clock
    return {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs() - this.#lagMs[name],
      sleep: (ms, signal) => clock.sleep(ms, signal),
      timer: (ms, fire) => clock.timer(ms, fire),
    }
  }

  #plan(name: 'a' | 'b'): void {
    this.#disks[name].plan = { after: this.#below(40), side: this.#below(2) === 0 ? 'before' : 'after' }
  }

  /** Something happens to the world every now and then. */
  #faults(endMs: number): void {
    const nodes = ['a', 'b', 'w0', 'w1', 'w2']
    this.#clock.timer(200 + this.#below(2_500), () => {
      if (this.#clock.now() >= endMs) return
      const some = names[this.#below(2)]!
      const happen = [
        () => this.#cut.clear(),
        () => this.#cut.add(pair(nodes[this.#below(5)]!, nodes[this.#below(5)]!)),
        () => this.#cut.add(pair('a', 'b')),
        () => {
          for (const node of nodes) if (node !== some) this.#cut.add(pair(some, node))
        },
        () => {
          this.#lossy = this.#below(30)
        },
        () => this.#plan(some),
        () => {
          if (!this.#standing) return
          this.#lagMs[some] += this.#below(12_000)
          for (const witness of ['w0', 'w1', 'w2']) this.#cut.add(pair(some, witness))
        },
        () => {
          this.#crashes++
          this.#fall(some)
        },
        () => this.#rise(some),
        () => this.#rise(some),
        () => {
          const i = this.#below(3)
          this.#witnesses[i] = undefined
          this.#clock.timer(this.#below(8_000), async () => {
            this.#witnesses[i] = await openWitness(this.#votes[i]!, this.#clock)
          })
        },
      ]
      happen[this.#below(happen.length)]!()
      this.#faults(endMs)
    })
  }

  async #heal(): Promise<void> {
    this.#cut.clear()
    this.#lossy = 0
    for (const name of names) {
      this.#disks[name].plan = undefined
      this.#rise(name)
      this.#disks[name].plan = undefined
    }
    for (const [i, database] of this.#votes.entries()) this.#witnesses[i] ??= await openWitness(database, this.#clock)
  }

  async #inStep(): Promise<boolean> {
    const [a, b] = names.map((name) => this.#lives[name])
    const leader = [a, b].find((life) => life?.centre.leading)
    const status = await leader?.centre.status()
    if (!status?.paired) return false
    const tips = await mapInOrder([a, b], (life) => life!.centre.log.tip())
    return Buffer.compare(tips[0]!.chain, tips[1]!.chain) === 0 && status.acknowledged === tips[0]!.n
  }

  /** Somebody who posts at a centre, again and again, as long as it leads. */
  #clerk(name: 'a' | 'b', endMs: number): void {
    this.#clock.timer(20 + this.#below(300), async () => {
      if (this.#clock.now() >= endMs) return
      const centre = this.#lives[name]?.centre
      if (centre?.leading) void (this.#below(4) === 0 ? this.#giveOut(name, centre) : this.#post(centre))
      this.#clerk(name, endMs)
    })
  }

  async #post(centre: Centre): Promise<void> {
    const id = this.#random.bytes(16)
    const forBank = this.#below(3) === 0
    try {
      await this.#seen(centre)
      await centre.log.write(async (sql) => {
        const ledger = ledgerOf(sql)
        await ledger.open({ code: 'bank', currency: 'JPY', side: 'debit', overdraft: true })
        await ledger.open({ code: 'value', currency: 'JPY', side: 'credit' })
        await ledger.post(
          {
            id,
            reason: 'sim',
            reference: String(++this.#posted),
            legs: [{ kind: 'post', debit: 'bank', credit: 'value', amountMinor: BigInt(1 + this.#below(500)) }],
          },
          this.#clock.now(),
        )
        if (forBank) await enterBankFile(sql, this.#clock.now(), id, 'payout-file')
      })
      await centre.acknowledged()
    } catch (error) {
      if (!(error instanceof Crash) && !isProblem(error)) throw error
      this.#unsure++
      return
    }
    this.#acknowledged.add(Buffer.from(id).toString('hex'))
  }

  /**
   * A clerk gives a file out and sends it to the bank: one that waits, or, as clerks do after a break, one that was given out
   * before. The line to the bank loses messages and answers too, so it is sent a few times, on and on after a take-over.
   */
  async #giveOut(name: 'a' | 'b', centre: Centre): Promise<void> {
    const again = this.#below(3) === 0
    try {
      const [row] = await this.#disks[name].sqlite.all<{ document: Uint8Array }>(
        `SELECT document FROM bank_out WHERE ${again ? 'released IS NOT NULL' : 'released IS NULL'} ORDER BY at DESC LIMIT 1`,
      )
      if (!row) return
      const { document } = row
      const atMs = this.#clock.now()
      const epoch = await centre.log.write((sql) => noteRelease(sql, atMs, document, again))
      if (!this.#hasty) await centre.acknowledged()
      const file = { name: 'payout', kind: 'payout-file', epoch, atMs }
      const note = releaseNote(signerOf(this.#key), document, file)
      for (let tries = 0; tries < 3; tries++) {
        await this.#clock.sleep(this.#below(4_000))
        await this.#call(name, 'bank', () => this.#bank(document, note)).catch(() => undefined)
      }
    } catch (error) {
      if (!(error instanceof Crash) && !isProblem(error)) throw error
    }
  }

  /** The bank's side of the gate. */
  async #bank(document: Uint8Array, note: Uint8Array): Promise<void> {
    let epoch: number
    try {
      epoch = (await this.#gate.admit(document, note, this.#clock.now())).epoch
    } catch (error) {
      if (isProblem(error, 'bank.file-known')) this.#filesAgain++
      if (isProblem(error, 'centre.old-epoch')) this.#filesOld++
      throw error
    }
    const name = Buffer.from(document).toString('hex')
    if (this.#atBank.has(name)) this.#violations.push(`${name} went to the bank twice`)
    if (epoch < this.#bankEpoch)
      this.#violations.push(`a file of epoch ${epoch} went to the bank after ${this.#bankEpoch}`)
    this.#atBank.add(name)
    this.#bankEpoch = epoch
  }

  /** Who leads sees all that was ever acknowledged, if its clock goes. */
  async #seen(centre: Centre): Promise<void> {
    if (this.#standing || this.#below(5) > 0) return
    const known = new Set(await idsOf(this.#disks[this.#lives.a?.centre === centre ? 'a' : 'b'].sqlite))
    for (const id of this.#acknowledged)
      if (!known.has(id)) return void this.#violations.push(`${id} was acknowledged and the leader does not know it`)
  }

  async #check(): Promise<void> {
    if (!(await this.#inStep())) this.#violations.push('the centres did not come into step')
    const [a, b] = await mapInOrder(names, (name) => rowsOf(this.#disks[name].sqlite))
    for (const table of Object.keys(a!))
      if (table !== 'centre_self' && table !== 'centre_log' && JSON.stringify(a![table]) !== JSON.stringify(b![table]))
        this.#violations.push(`${table} differs between the centres`)
    for (const name of names) {
      const { sqlite } = this.#disks[name]
      const epochs = (await sqlite.all<{ epoch: number }>('SELECT epoch FROM centre_log ORDER BY n')).map(
        ({ epoch }) => epoch,
      )
      if (epochs.some((epoch, i) => epoch < epochs[i - 1]!)) this.#violations.push(`${name} has epochs out of order`)
      const known = new Set(await idsOf(sqlite))
      const lost = [...this.#acknowledged].filter((id) => !known.has(id))
      if (lost.length > 0) this.#violations.push(`${name} lost ${lost.length} that were acknowledged`)
      const given = new Set(
        (await sqlite.all<{ document: Uint8Array }>('SELECT document FROM bank_out WHERE released IS NOT NULL')).map(
          ({ document }) => Buffer.from(document).toString('hex'),
        ),
      )
      for (const file of this.#atBank)
        if (!given.has(file) || !known.has(file))
          this.#violations.push(`the bank has ${file}, which ${name} did not give out`)
      for (const { what, where } of (await audit(sqlite)).findings) this.#violations.push(`${name}: ${what} ${where}`)
    }
  }

  #witnessLink(from: string, i: number): WitnessLink {
    const ask = <T>(work: (witness: Witness) => Promise<T>) =>
      this.#call(from, `w${i}`, () => {
        const witness = this.#witnesses[i]
        if (!witness) throw new Problem('server.unreachable')
        return work(witness)
      })
    return {
      promise: (request) => ask((witness) => witness.promise(request)),
      stand: (request) => ask((witness) => witness.stand(request)),
    }
  }

  #peerLink(from: 'a' | 'b', to: 'a' | 'b'): PeerLink {
    const ask = <T>(work: (centre: Centre) => T | Promise<T>) =>
      this.#call(from, to, () => {
        const life = this.#lives[to]
        if (!life) throw new Problem('server.unreachable')
        return work(life.centre)
      })
    return {
      state: (epoch) => ask((centre) => centre.state(epoch)),
      append: (epoch, entries) =>
        ask(async (centre) => {
          if (!this.#early) {
            const known = centre.log.epoch
            const tip = await centre.append(epoch, entries)
            if (epoch < known) this.#violations.push(`epoch ${epoch} was taken after ${known}`)
            return tip
          }
          this.#clock.timer(this.#below(400), () => this.#guard(() => this.#lives[to]?.centre.append(epoch, entries)))
          const { n, chain } = entries.at(-1)!
          return { n, chain }
        }),
      install: (epoch, over, copy) => ask((centre) => centre.install(epoch, over, copy)),
    }
  }

  /** A call over the network: late, lost on either way, cut off. */
  #call<T>(from: string, to: string, work: () => T | Promise<T>): Promise<T> {
    const way = () => {
      const lost = this.#cut.has(pair(from, to)) || this.#below(100) < this.#lossy
      return lost ? undefined : 1 + this.#below(this.#below(20) === 0 ? 9_000 : 20)
    }
    return new Promise((resolve, reject) => {
      this.#clock.timer(limitMs, () => reject(new Problem('link.timeout')))
      const there = way()
      if (there === undefined) return
      this.#clock.timer(there, () => {
        void Promise.resolve()
          .then(work)
          .then(
            (answer) => () => resolve(answer),
            (error: unknown) => {
              if (isProblem(error, 'centre.old-epoch')) this.#refused++
              const told = isProblem(error) ? error : new Problem('server.unreachable')
              if (!isProblem(error) && !(error instanceof Crash)) this.#violations.push(String(error))
              return () => reject(told)
            },
          )
          .then((tell) => {
            const back = way()
            if (back !== undefined) this.#clock.timer(back, tell)
          })
      })
    })
  }

  #guard(work: () => Promise<unknown> | undefined): void {
    work()?.catch((error) => {
      if (!(error instanceof Crash) && !isProblem(error)) throw error
    })
  }

  #below(n: number): number {
    return Math.floor(this.#random.float() * n)
  }
}

const pair = (one: string, other: string) => (one < other ? `${one}-${other}` : `${other}-${one}`)

async function idsOf(database: Database): Promise<string[]> {
  return (await database.all<{ id: Uint8Array }>('SELECT id FROM ledger_postings')).map(({ id }) =>
    Buffer.from(id).toString('hex'),
  )
}

export async function runDuelSeed({ seconds = 60, ...options }: DuelOptions): Promise<DuelReport> {
  return { seed: options.seed, ...(await (await Duel.make(options)).run(seconds)) }
}
