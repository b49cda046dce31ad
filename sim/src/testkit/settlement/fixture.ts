/** Settlement on a bench: the real service over a database in memory, members with real keys, and a clock turned by hand. */

import { createHash } from 'node:crypto'
import { type CentreKeys, centreKeys, type MemberKeys, PayMember, sealApplication } from '@azukari/device/pay/member'
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import type { ServiceRequest } from '@azukari/gateway/service/service'
import { throwUnlisted } from '@azukari/gateway/service/unlisted'
import type { PlacementView } from '@azukari/gateway/services/settlement/billing/ports'
import { createSettlementKeys, type SettlementKeys } from '@azukari/gateway/services/settlement/keystore'
import type { CardCompany } from '@azukari/gateway/services/settlement/payments/card-company'
import { createSettlement, type Settlement, type SettlementOptions } from '@azukari/gateway/services/settlement/service'
import type { Database } from '@azukari/gateway/storage/database'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import {
  apply,
  type MemberKind,
  type Person,
  readGuide,
  register,
} from '@azukari/protocol/contracts/settlement-members'
import { generateKey } from '@azukari/protocol/keys'
import type { Clock, Log, Random, Timer } from '@azukari/protocol/ports'
import { InternalError, Problem } from '@azukari/protocol/problem'
import { quietLog } from '../log.ts'
import { Crash, type CrashMedium } from './crash-database.ts'

/** A clock that stands until it is turned; timers fire when their moment is passed. */
export class FixtureClock implements Clock {
  #nowMs: number
  #timers = new Set<{ at: number; fire: () => void }>()

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }
  now(): number {
    return this.#nowMs
  }
  monotonicMs(): number {
    return this.#nowMs
  }
  async sleep(): Promise<void> {}
  timer(ms: number, fire: () => void): Timer {
    const timer = { at: this.#nowMs + ms, fire }
    this.#timers.add(timer)
    const cancel = () => void this.#timers.delete(timer)
    return { cancel, [Symbol.dispose]: cancel }
  }
  turn(ms: number): void {
    this.#nowMs += ms
    for (const timer of [...this.#timers])
      if (timer.at <= this.#nowMs) {
        this.#timers.delete(timer)
        timer.fire()
      }
  }
  turnTo(iso: string): void {
    this.turn(Date.parse(iso) - this.#nowMs)
  }
}

/** Chance from a seed, so that a failure replays. */
export function seeded(seed: number): Random {
  let counter = 0
  const bytes = (n: number) => {
    const out = Buffer.alloc(n)
    for (let at = 0; at < n; at += 32) createHash('sha256').update(`bench/${seed}/${counter++}`).digest().copy(out, at)
    return new Uint8Array(out)
  }
  return { bytes, float: () => Buffer.from(bytes(6)).readUIntBE(0, 6) / 2 ** 48 }
}

export interface FixtureMember {
  number: string
  device: string
  keys: MemberKeys
  pay: PayMember
  person: Person
}

export interface FixtureOptions extends Partial<Pick<SettlementOptions, 'rules' | 'log'>> {
  seed?: number
  at?: string
  /** What the database lies on, when it is to crash. */
  medium?: CrashMedium
  database?: Database
  cardCompany?: CardCompany
  placement?: PlacementView
  /** Anything more; a function gets the keys. */
  more?: Partial<SettlementOptions> | ((keys: SettlementKeys) => Partial<SettlementOptions>)
}

/** The site's account at the simulated bank. */
export const ownAccount: NonNullable<SettlementOptions['own']> = {
  account: { bank: '9999', branch: '001', kind: 'ordinary', number: '1234567', holder: 'AZUKARI' },
  requester: '0000000001',
}

/** For what asks nothing of placement. */
const noPlacement: PlacementView = {
  account: async () => {
    throw new Problem('placement.unavailable')
  },
}

export class SettlementFixture {
  readonly clock: FixtureClock
  readonly random: Random
  readonly keys: SettlementKeys
  #database: Database | undefined
  settlement!: Settlement
  centre!: CentreKeys
  readonly #options: FixtureOptions
  readonly #streams = new Map<string, { stream: Uint8Array; seq: number }>()
  #members = 0

  constructor(options: FixtureOptions = {}) {
    this.#options = options
    this.clock = new FixtureClock(Date.parse(options.at ?? '2026-11-02T01:00:00Z'))
    this.random = seeded(options.seed ?? 1)
    this.keys = createSettlementKeys(this.random)
    this.#database = options.medium?.open() ?? options.database
  }

  get database(): Database {
    if (!this.#database) throw new InternalError('the bench has not been started')
    return this.#database
  }

  async #make(): Promise<Settlement> {
    const { rules, log = quietLog as Log, cardCompany, placement = noPlacement, more } = this.#options
    return createSettlement({
      unlisted: throwUnlisted,
      database: this.database,
      keys: this.keys,
      clock: this.clock,
      random: this.random,
      log,
      placement,
      defer: setImmediate,
      housekeepingMs: 0,
      rules: { issuer: { name: 'Azukari', invoiceNumber: 'T9876543210987' }, ...rules },
      own: ownAccount,
      ...(cardCompany ? { cardCompany } : {}),
      ...(typeof more === 'function' ? more(this.keys) : more),
    })
  }

  async start(): Promise<this> {
    this.#database ??= await emptyDatabase()
    this.settlement = await this.#make()
    await this.settlement.start()
    const guide = await this.ask(readGuide.id, {}, 'any')
    this.centre = centreKeys(guide as { key: Uint8Array; agreement: Uint8Array })
    return this
  }

  /** As after a crash: whatever was not committed is gone, the service begins anew on the same database. */
  async restart(): Promise<void> {
    await this.settlement.stop()
    this.settlement = await this.#make()
    await this.settlement.start()
  }

  /** A new process on what the last one left, when it died; also when it dies while it starts. */
  async revive(): Promise<void> {
    for (;;)
      try {
        await this.database.get('SELECT 1')
        return
      } catch (error) {
        if (!(error instanceof Crash)) throw error
        this.#database = this.#options.medium!.open()
        await this.#begin().catch((failure) => {
          if (!(failure instanceof Crash)) throw failure
        })
      }
  }

  async #begin(): Promise<void> {
    this.settlement = await this.#make()
    await this.settlement.start()
  }

  /** As `act`, through crashes: the device sends until it is answered, and once more afterwards. */
  async insist<C extends Contract>(
    contract: C,
    body: RequestOf<C>,
    device: string,
    revive: () => Promise<void>,
  ): Promise<ReplyOf<C>> {
    for (let tries = 0; tries < 20; tries++) {
      try {
        return await this.act(contract, body, device, tries === 0 ? undefined : this.#last)
      } catch (error) {
        const again = error instanceof Crash || (error instanceof Problem && error.retry === 'later')
        if (!again) throw error
        await revive()
      }
    }
    throw new Problem('service.unavailable', `${contract.id} was never answered`)
  }

  #last: ServiceRequest | undefined

  async call<C extends Contract>(contract: C, body: RequestOf<C>, device: string): Promise<ReplyOf<C>> {
    return contract.checkReply(await this.ask(contract.id, body, device)) as ReplyOf<C>
  }

  /** One act, in its device's stream, as the gateway hands it on. @param before the request to repeat @throws {Problem} */
  async act<C extends Contract>(
    contract: C,
    body: RequestOf<C>,
    device: string,
    before?: ServiceRequest,
  ): Promise<ReplyOf<C>> {
    const place = this.#streams.get(device) ?? { stream: this.random.bytes(16), seq: 1 }
    this.#streams.set(device, place)
    const request = before ?? {
      caller: this.#caller(device),
      contract: contract.id,
      id: this.random.bytes(16),
      atMs: this.clock.now(),
      body,
      act: { stream: place.stream, seq: place.seq },
    }
    this.#last = request
    const reply = await this.settlement.handle(request)
    if (reply.problem?.retry === 'later') throw Problem.fromWire(reply.problem)
    place.seq++
    // The outbox repeats what it has no answer to; the answer must be the same.
    const again = await this.settlement.handle(request)
    if (again.problem?.retry !== 'later' && JSON.stringify(again) !== JSON.stringify(reply))
      throw new InternalError(`${contract.id} was answered differently when it came again`)
    if (reply.problem) throw Problem.fromWire(reply.problem)
    return contract.checkReply(reply.body) as ReplyOf<C>
  }

  async ask(contract: string, body: unknown, device: string): Promise<unknown> {
    const request = { caller: this.#caller(device), contract, id: this.random.bytes(16), atMs: this.clock.now(), body }
    const { problem, body: answer } = await this.settlement.handle(request)
    if (problem) throw Problem.fromWire(problem)
    return answer
  }

  /** Takes the events that wait for a device. */
  async events<C extends Contract>(contract: C, device: string): Promise<RequestOf<C>[]> {
    const waiting = await this.settlement.takeEvents(0, 1000, device)
    const mine = waiting.filter((event) => event.contract === contract.id)
    await this.settlement.eventsDone(
      device,
      mine.map(({ id }) => id),
    )
    return mine.map(({ body }) => contract.checkRequest(body) as RequestOf<C>)
  }

  newKeys(): MemberKeys {
    return { signing: generateKey('ed25519', this.random), agreement: generateKey('x25519', this.random) }
  }

  memberOf(keys: MemberKeys): PayMember {
    return new PayMember(keys, this.centre, this)
  }

  /** Applies; the clerk accepts; the letter's codes come back as the member reads them. */
  async invite(
    kind: MemberKind,
    person: Person,
    device: string,
  ): Promise<{ number: string; code: string; blockCode: string }> {
    const terms = (await this.ask(readGuide.id, {}, device)) as { terms: string }
    const application = sealApplication(this.centre, { kind, person, terms: terms.terms }, this.random)
    const { application: id } = await this.act(apply, { application }, device)
    const { number, letter } = await this.settlement.enrolment.accept(id, 'clerk-1')
    return { number, ...codesOf((await this.settlement.document(letter))!.content) }
  }

  async enrol(kind: MemberKind = 'general', more: Partial<Person> = {}, card?: Uint8Array): Promise<FixtureMember> {
    const n = ++this.#members
    const device = `term-${n}`
    const person = personOf(n, more)
    const { number, code } = await this.invite(kind, person, device)
    const keys = this.newKeys()
    const pay = this.memberOf(keys)
    await this.act(
      register,
      { registration: pay.registration({ number, code, person, ...(card ? { card } : {}) }) },
      device,
    )
    return { number, device, keys, pay, person }
  }

  #caller(device: string) {
    return { device, region: 'JP-13', roles: ['terminal'] }
  }
}

export function personOf(n: number, more: Partial<Person> = {}): Person {
  return {
    name: `預金 花子${n}`,
    kana: `ヨキン ハナコ${n}`,
    postcode: '100-0001',
    address: `東京都千代田区千代田${n}`,
    account: { bank: '0001', branch: '001', kind: 'ordinary', number: String(1_000_000 + n), holder: `ﾖｷﾝ ﾊﾅｺ${n}` },
    ...more,
  }
}

/** Reads the codes out of the letter's page, as a member does. */
export function codesOf(pdf: Uint8Array): { code: string; blockCode: string } {
  const shown = [
    ...Buffer.from(pdf)
      .toString('latin1')
      .matchAll(/Td (?:<[0-9a-f]+>|\((.*)\)) Tj ET/g),
  ].map(([, latin]) => latin ?? '')
  const after = (label: string) => shown[shown.indexOf(label) + 1]!.replaceAll(' ', '')
  return { code: after(' Registration code'), blockCode: after(' Blocking code') }
}

/** On the engine that AZUKARI_TEST_ENGINE names, with what only tests have; in memory without it. */
async function emptyDatabase(): Promise<Database> {
  if (!process.env['AZUKARI_TEST_ENGINE']) return memoryDatabase()
  const { testDatabase } = await import('@azukari/gateway/test-database')
  return testDatabase()
}
