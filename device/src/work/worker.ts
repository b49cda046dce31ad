/**
 * Takes part in work (W3, W4, W7): registers, asks for a unit, fetches module and input, runs the unit in the compute child while
 * nobody needs the board, keeps its lease, sends the signed result through the outbox, asks again.
 */
import { createHash } from 'node:crypto'
import { hex } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import {
  fetchForUnit,
  giveUnitBack,
  keepUnit,
  readWorkAccount,
  registerForWork,
  registrationDomain,
  resultDomain,
  sendResult,
  takeUnit,
  unitDomain,
  type WorkRegistration,
  type WorkResult,
  WorkUnit,
  workInput,
  workModule,
} from '@azukari/protocol/contracts/work'
import { sign1, signerOf } from '@azukari/protocol/cose'
import { coseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { backoffMs } from '../backoff.ts'
import { beginning, type Unit, type UnitResult, type UnitRun } from '../compute/unit.ts'
import type { Identity } from '../identity.ts'
import type { Link } from '../link.ts'
import type { Outbox } from '../outbox.ts'
import type { SignedDocument, SiteKeys } from '../site-keys.ts'
import type { WorkBlobs } from './blobs.ts'
import { type Conditions, type Rest, restFor } from './model.ts'
import { NoteKeeper, type WorkAccount } from './note.ts'
import type { WorkRecord } from './record.ts'
import { noPart, readSetting, type WorkSetting } from './setting.ts'

/** Starts a unit in a process of its own: `startUnit` of `compute/adapters/compute-child.ts`. */
export type Compute = (unit: Unit, options: { clock: Clock }) => UnitRun

export interface WorkerOptions {
  folder: string
  files: Files
  clock: Clock
  random: Random
  log: Log
  link: Link
  outbox: Outbox
  keys: SiteKeys
  identity: Identity
  blobs: WorkBlobs
  record: WorkRecord
  compute: () => Promise<Compute>
  /** What happens at the board. */
  conditions: { now(): Promise<Conditions> }
}

/** What it does now, for the owner. */
export type WorkState =
  | { is: 'off' }
  | { is: 'resting'; why: Rest }
  | { is: 'waiting'; why?: string }
  | { is: 'computing'; job: string; unit: number; sinceMs: number }

/** How often setting and conditions are looked at, ms: a person who steps up to the board is not to wait for the unit. */
const lookMs = 500
/** How long a unit is held while it is paused, ms. */
const restKeptMs = 600_000
/** How often the site is asked what was earned, ms. */
const accountMs = 15_000
/** How long a result may be under way before nobody takes it, ms. */
const resultLifeMs = 30 * 86_400_000
/** What goes wrong with a module in the same way everywhere: the result says so. All else is tried elsewhere. */
const sameEverywhere: ReadonlySet<string> = new Set([
  'work.fuel',
  'work.stack',
  'work.output',
  'work.trap',
  'work.module-refused',
])

const unitDocument: SignedDocument<WorkUnit> = {
  domain: unitDomain,
  check: checker(WorkUnit, 'unit'),
  atMs: ({ issuedMs }) => issuedMs,
}

export class WorkApp {
  readonly #o: WorkerOptions
  /** Acts whose outcome is waited for, by id. */
  readonly #sent = new Map<string, () => void>()
  #setting: WorkSetting = noPart
  /** Thumbprint of the key and the code with which it is registered in this run. */
  #registered = ''
  #state: WorkState = { is: 'off' }
  #restingSinceMs: number | undefined
  readonly #note: NoteKeeper
  #account: WorkAccount | undefined
  #accountMs = Number.NEGATIVE_INFINITY

  constructor(options: WorkerOptions) {
    this.#o = options
    this.#note = new NoteKeeper(options)
    options.outbox.onOutcome(sendResult, ({ id }, outcome) => this.#told(id, outcome))
  }

  get state(): WorkState {
    return this.#state
  }

  async run(signal: AbortSignal): Promise<void> {
    const { random, log } = this.#o
    for (let failures = 0; !signal.aborted; ) {
      let waitMs = lookMs
      try {
        const rest = await this.#look()
        if (this.#setting.code === undefined) this.#state = { is: 'off' }
        else if (rest) this.#state = { is: 'resting', why: rest }
        else waitMs = await this.#once(this.#setting.code, signal)
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        const code = isProblem(error) ? error.code : 'internal'
        log.warn('work waits', { code, detail: isProblem(error) ? error.detail : String(error) })
        this.#state = { is: 'waiting', why: code }
        if (code === 'work.unregistered') this.#registered = ''
        waitMs = backoffMs(Math.min(8, ++failures), random)
      }
      await this.#keepNote(signal)
      await this.#wait(waitMs, signal).catch(() => undefined)
    }
  }

  /** Leaves word for the owner, with what the site says of what was earned. Only for people to see, so a failure is no matter. */
  async #keepNote(signal: AbortSignal): Promise<void> {
    const { link, clock, log } = this.#o
    const nowMs = clock.monotonicMs()
    if (this.#setting.code !== undefined && link.up && nowMs - this.#accountMs > accountMs) {
      this.#accountMs = nowMs
      await link.call(readWorkAccount, {}, { signal }).then(
        ({ owner, device, ownerMicroPoints, leftMicroPoints, redemptions }) => {
          const { valid, wrong, waiting, microPoints } = device
          this.#account = { owner, valid, wrong, waiting, microPoints, ownerMicroPoints }
          if (leftMicroPoints !== undefined) this.#account.leftMicroPoints = leftMicroPoints
          if (redemptions) this.#account.redemptions = redemptions
        },
        () => undefined,
      )
    }
    const why = this.#state.is === 'resting' || this.#state.is === 'waiting' ? this.#state.why : undefined
    const note: Parameters<NoteKeeper['keep']>[0] = { is: this.#state.is }
    if (why !== undefined) note.why = why
    if (this.#account) note.account = this.#account
    await this.#note.keep(note).catch((error) => log.warn('the note is not written', { error: String(error) }))
  }

  /** Reads setting and conditions. @returns why it rests; undefined when it may compute */
  async #look(): Promise<Rest | undefined> {
    const { files, folder, conditions } = this.#o
    this.#setting = await readSetting(files, folder)
    const before = this.#state.is === 'resting' ? this.#state.why : undefined
    return restFor(this.#setting, await conditions.now(), before)
  }

  /** In short steps, so that the setting counts at once. */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const { clock, files, folder } = this.#o
    const before = JSON.stringify(this.#setting)
    for (let left = ms; left > 0; left -= lookMs) {
      await clock.sleep(Math.min(lookMs, left), signal)
      if (left > lookMs && JSON.stringify(await readSetting(files, folder)) !== before) return
    }
  }

  /** One unit, from asking to its result's outcome. @returns how long to wait before the next one, ms */
  async #once(code: string, signal: AbortSignal): Promise<number> {
    const { link, keys, identity, record } = this.#o
    if (!link.up) {
      this.#state = { is: 'waiting', why: 'link.offline' }
      return lookMs
    }
    await this.#register(code, signal)
    const { unit: signed, againMs, why } = await link.call(takeUnit, {}, { signal })
    if (!signed) {
      this.#state = why === undefined ? { is: 'waiting' } : { is: 'waiting', why }
      return againMs
    }
    const unit = await keys.open('work', signed, unitDocument)
    if (unit.audience !== identity.device) throw new Problem('cose.wrong-audience', 'another device’s unit')
    // Its result waits in the outbox: it was computed before the board was started.
    if (await record.isOnItsWay(unit)) return lookMs
    await this.#compute(unit, signal)
    return 0
  }

  async #register(code: string, signal: AbortSignal): Promise<void> {
    const { link, keys, identity, log } = this.#o
    const kid = thumbprint(identity.key)
    if (this.#registered === `${hex(kid)} ${code}`) return
    const { audience } = await keys.recipient('work')
    const registration: WorkRegistration = {
      contract: registerForWork.id,
      audience,
      issuedMs: link.siteNow(),
      device: identity.device,
      key: coseKey(publicOf(identity.key)),
      code,
    }
    const signed = sign1(encodeDeterministic(registration), signerOf(identity.key), registrationDomain)
    const { owner } = await link.call(registerForWork, { registration: signed }, { signal })
    this.#registered = `${hex(kid)} ${code}`
    log.info('registered for work', { owner })
  }

  async #compute(unit: WorkUnit, signal: AbortSignal): Promise<void> {
    const { link, clock, log } = this.#o
    const key = { job: unit.job, unit: unit.unit, attempt: unit.attempt }
    this.#state = { is: 'computing', job: hex(unit.job), unit: unit.unit, sinceMs: link.siteNow() }
    const gone = new AbortController()
    const until = AbortSignal.any([signal, gone.signal])
    const keeping = this.#keep(key, unit.leaseMs, gone, until)
    try {
      const ran = await this.#ran(unit, until)
      await this.#send(unit, ran, signal)
    } catch (error) {
      if (signal.aborted || gone.signal.aborted) return
      const problem = isProblem(error) ? error.code : 'internal'
      log.warn('a unit is given back', { code: problem, detail: String(error) })
      await link.call(giveUnitBack, { ...key, problem }, { signal }).catch(() => undefined)
      await clock.sleep(lookMs, signal)
    } finally {
      gone.abort(new Problem('work.stopped'))
      await keeping
    }
  }

  /** Says again and again that it still computes, as long as there is a line and it does not rest for long. */
  async #keep(
    key: Pick<WorkUnit, 'job' | 'unit' | 'attempt'>,
    leaseMs: number,
    gone: AbortController,
    until: AbortSignal,
  ): Promise<void> {
    const { link, clock, log } = this.#o
    while (!until.aborted) {
      await clock.sleep(leaseMs / 3, until).catch(() => undefined)
      if (until.aborted || !link.up || this.#hasRestedLong()) continue
      await link.call(keepUnit, key, { signal: until }).catch((error) => {
        if (!isProblem(error, 'work.unit-gone')) return
        log.info('nobody wants the unit any more', { unit: key.unit })
        gone.abort(new Problem('work.unit-gone'))
      })
    }
  }

  /** Then another device may have the unit; a result that comes late all the same is credited while the unit is open. */
  #hasRestedLong(): boolean {
    return this.#restingSinceMs !== undefined && this.#o.clock.monotonicMs() - this.#restingSinceMs > restKeptMs
  }

  /** What came of it; a fault that it has everywhere is a result, too. @throws {Problem} what another device may not have */
  async #ran(unit: WorkUnit, signal: AbortSignal): Promise<UnitResult | Problem> {
    const { blobs, link, compute, clock } = this.#o
    const key = { job: unit.job, unit: unit.unit, attempt: unit.attempt }
    const ask = (hash: Uint8Array) => async () => void (await link.call(fetchForUnit, { ...key, hash }, { signal }))
    const module = await blobs.get(workModule, unit.module, ask(unit.module), signal)
    const input =
      unit.inputBytes === 0 ? new Uint8Array() : await blobs.get(workInput, unit.input, ask(unit.input), signal)
    const start = await compute()
    try {
      const run = start({ module, input, from: beginning, limits: unit.limits }, { clock })
      const stop = () => run.stop()
      signal.addEventListener('abort', stop, { once: true })
      const ended = new AbortController()
      const watching = this.#pauseWhileNeeded(run, AbortSignal.any([signal, ended.signal]))
      try {
        return await run.result
      } finally {
        ended.abort()
        signal.removeEventListener('abort', stop)
        await watching
      }
    } catch (error) {
      if (isProblem(error) && sameEverywhere.has(error.code)) return error
      throw error
    }
  }

  async #pauseWhileNeeded(run: UnitRun, until: AbortSignal): Promise<void> {
    const { clock, log } = this.#o
    const computing = this.#state
    let rested: Rest | undefined
    this.#restingSinceMs = undefined
    while (!until.aborted) {
      await clock.sleep(lookMs, until).catch(() => undefined)
      if (until.aborted) return
      const rest = await this.#look()
      await this.#keepNote(until)
      if (rest === rested) continue
      log.info(rest ? 'the unit is paused' : 'the unit goes on', { why: rest })
      this.#state = rest ? { is: 'resting', why: rest } : computing
      this.#restingSinceMs = rest && (this.#restingSinceMs ?? clock.monotonicMs())
      if (rest) run.pause()
      else run.resume()
      rested = rest
    }
  }

  /** Into the outbox, so that it is paid however long the line is down; resolves when the site has said what became of it. */
  async #send(unit: WorkUnit, ran: UnitResult | Problem, signal: AbortSignal): Promise<void> {
    const { keys, identity, link, outbox, random, record } = this.#o
    const output = ran instanceof Problem ? new Uint8Array() : ran.output
    const issuedMs = link.siteNow()
    const result: WorkResult = {
      contract: sendResult.id,
      audience: (await keys.recipient('work')).audience,
      act: random.bytes(16),
      issuedMs,
      expiresMs: issuedMs + resultLifeMs,
      job: unit.job,
      unit: unit.unit,
      attempt: unit.attempt,
      hash: createHash('sha256').update(output).digest(),
      sizeBytes: output.length,
      fuelUsed: fuelOf(ran),
      wallMs: ran instanceof Problem ? 0 : Math.round(ran.wallMs),
    }
    if (ran instanceof Problem) result.problem = ran.code
    const signed = sign1(encodeDeterministic(result), signerOf(identity.key), resultDomain)
    const told = new Promise<void>((resolve) => {
      this.#sent.set(hex(result.act), resolve)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await record.add(result)
    await outbox.append(sendResult, output.length > 0 ? { result: signed, output } : { result: signed }, result.act)
    await told
  }

  async #told(act: Uint8Array, outcome: { body?: unknown; problem?: Problem }): Promise<void> {
    const { record, log } = this.#o
    const standing = outcome.problem ? outcome.problem.code : sendResult.checkReply(outcome.body).standing
    log.info('a result was taken', { standing })
    await record.settle(act, standing)
    this.#sent.get(hex(act))?.()
    this.#sent.delete(hex(act))
  }
}

function fuelOf(ran: UnitResult | Problem): number {
  if (!(ran instanceof Problem)) return ran.fuelUsed
  const fuel = ran.data?.['fuelUsed']
  return typeof fuel === 'number' ? fuel : 0
}
