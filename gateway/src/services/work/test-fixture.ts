/** Work on a database of its own with a clock that stands still until it is pushed, and devices that are keys alone. */
import type { KeyObject } from 'node:crypto'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import {
  registerForWork,
  registrationDomain,
  resultDomain,
  sendResult,
  takeUnit,
  type WorkResult,
  type WorkUnit,
} from '@azukari/protocol/contracts/work'
import { peek1, sign1, signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { throwUnlisted } from '../../service/unlisted.ts'
import type { OpenTestDatabase } from '../../test-database.ts'
import { sha256 } from './blobs/store.ts'
import type { PostCharge } from './bookings/worker.ts'
import type { Submission } from './jobs/jobs.ts'
import { createWork, type Work } from './service.ts'
import { type WorkSettings, workSettings } from './settings.ts'

const nothing = () => undefined
const log: Log = { debug: nothing, info: nothing, warn: nothing, error: console.error, child: () => log }

export interface Fixture {
  work: Work
  /** Lets time pass and ends what ends by it. */
  pass(ms: number): Promise<void>
  /** What the next draws of chance give; 0.99 without. */
  draws: number[]
  /** Thumbprint of the key with which work signs. */
  audience: Uint8Array
  signingKey: KeyObject
  device(owner: string): Promise<TestWorker>
  /** One that is not registered. */
  stranger(): TestWorker
  /** What settlement was asked to book. */
  posted: RequestOf<typeof postCharge>[]
  /** What settlement answers in place of booking it, in turn. */
  refusals: Problem[]
  close(): Promise<void>
}

export async function fixture(open: OpenTestDatabase, settings: Partial<WorkSettings> = {}): Promise<Fixture> {
  let nowMs = Date.UTC(2026, 10, 30)
  const draws: number[] = []
  const clock: Clock = { ...systemClock, now: () => nowMs }
  const random: Random = { ...systemRandom, bytes: (n) => systemRandom.bytes(n), float: () => draws.shift() ?? 0.99 }
  const database = await open()
  const posted: Fixture['posted'] = []
  const refusals: Problem[] = []
  const post: PostCharge = async (charge) => {
    const refusal = refusals.shift()
    if (refusal) throw refusal
    return { seq: posted.push(charge), atMs: nowMs }
  }
  const keys = { signing: generateKey('ed25519', random), agreement: generateKey('x25519', random) }
  const all = { ...workSettings(undefined), ...settings }
  const work = await createWork({ database, keys, settings: all, clock, random, log, post, unlisted: throwUnlisted })
  await work.start()
  const codes = new Map<string, string>()
  // Timers of the system's clock do not keep a process alive.
  const alive = setInterval(nothing, 1 << 30)
  const stranger = () => new TestWorker(work, signerOf(keys.signing).kid, () => nowMs)
  return {
    work,
    draws,
    signingKey: publicOf(keys.signing),
    audience: signerOf(keys.signing).kid,
    posted,
    refusals,
    pass: async (ms) => {
      nowMs += ms
      work.wake()
      await work.idle()
    },
    device: async (owner) => {
      const code = codes.get(owner) ?? (await work.addOwner({ owner, contact: 'x', by: 'test' }))
      codes.set(owner, code)
      const worker = stranger()
      await worker.register(code)
      return worker
    },
    stranger,
    close: async () => {
      clearInterval(alive)
      await work.stop()
      await database.close()
    },
  }
}

/** What a device says of a unit that it computed. */
export interface Said {
  output?: Uint8Array
  fuelUsed?: number
  problem?: string
  /** Instead of what is true. */
  forged?: Partial<WorkResult>
}

let count = 0

export class TestWorker {
  readonly id = `device-${++count}`
  readonly key = generateKey('ed25519', systemRandom)
  readonly #work: Work
  readonly #audience: Uint8Array
  readonly #now: () => number
  readonly #stream = systemRandom.bytes(16)
  #seq = 0

  constructor(work: Work, audience: Uint8Array, now: () => number) {
    this.#work = work
    this.#audience = audience
    this.#now = now
  }

  async register(code: string, device = this.id): Promise<{ owner: string }> {
    const registration = {
      contract: registerForWork.id,
      audience: this.#audience,
      issuedMs: this.#now(),
      device,
      key: coseKey(publicOf(this.key)),
      code,
    }
    const signed = sign1(encodeDeterministic(registration), signerOf(this.key), registrationDomain)
    return this.call(registerForWork, { registration: signed })
  }

  async call<C extends Contract>(contract: C, body: RequestOf<C>): Promise<ReplyOf<C>> {
    return this.#ask(contract, body)
  }

  /** @throws {Error} when there is none */
  async take(): Promise<WorkUnit> {
    const unit = await this.tryTake()
    if (!unit) throw new Error(`${this.id} gets no unit`)
    return unit
  }

  async tryTake(): Promise<WorkUnit | undefined> {
    const { unit } = await this.call(takeUnit, {})
    return unit && (decode(peek1(unit).payload) as WorkUnit)
  }

  async send(unit: WorkUnit, said: Said, key = this.key): Promise<string> {
    const { output = new Uint8Array(), fuelUsed = 1_000, problem, forged } = said
    const result: WorkResult = {
      contract: sendResult.id,
      audience: this.#audience,
      act: systemRandom.bytes(16),
      issuedMs: this.#now(),
      expiresMs: this.#now() + 1e9,
      job: unit.job,
      unit: unit.unit,
      attempt: unit.attempt,
      hash: sha256(output),
      sizeBytes: output.length,
      fuelUsed,
      wallMs: 1,
      ...forged,
    }
    if (problem !== undefined) result.problem = problem
    const signed = sign1(encodeDeterministic(result), signerOf(key), resultDomain)
    const { standing } = await this.act(sendResult, { result: signed, output })
    return standing
  }

  /** As a new act each time. */
  async act<C extends Contract>(contract: C, body: RequestOf<C>): Promise<ReplyOf<C>> {
    return this.#ask(contract, body, { stream: this.#stream, seq: ++this.#seq })
  }

  async #ask<C extends Contract>(
    contract: C,
    body: RequestOf<C>,
    act?: { stream: Uint8Array; seq: number },
  ): Promise<ReplyOf<C>> {
    const request = {
      caller: { device: this.id, region: 'JP-13', roles: [] },
      contract: contract.id,
      id: systemRandom.bytes(16),
      atMs: this.#now(),
      body,
    }
    const reply = await this.#work.handle(act ? { ...request, act } : request)
    if (reply.problem) throw Problem.fromWire(reply.problem)
    return reply.body as ReplyOf<C>
  }
}

/** The smallest module. */
export const submission = (
  module: Uint8Array,
  inputs: readonly string[],
  more: Partial<Submission> = {},
): Submission => ({
  module,
  inputs: inputs.map((text) => new TextEncoder().encode(text)),
  split: {},
  name: 'test',
  customer: 'acme',
  mode: 'strict',
  merge: 'concat',
  ceilingMinor: 1_000_000,
  lifeMs: 86_400_000,
  fuel: 1_000_000,
  memoryMaxBytes: 2 ** 20,
  wallMs: 60_000,
  by: 'admin',
  ...more,
})
