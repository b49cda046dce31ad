/** The gateway's own contracts: what a device reports of itself, transfers, events, and frames to data servers. */
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { endDownload, takeBlocks } from '@azukari/protocol/contracts/download'
import {
  acknowledgeEvents,
  nextJob,
  offerRelease,
  putCardResults,
  putDiagnostics,
  readBundle,
  readState,
  reconcileState,
  reportState,
  rotateKey,
} from '@azukari/protocol/contracts/fleet'
import { readKeyDirectory } from '@azukari/protocol/contracts/keys'
import { carryFrame } from '@azukari/protocol/contracts/read'
import { finishTransfer, haveTransfer, initTransfer } from '@azukari/protocol/contracts/transfer'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { Budgets } from '../budgets/budgets.ts'
import { quotaExceeded } from '../budgets/pool.ts'
import { keepCardResults } from '../fleet/card-data.ts'
import { endJobPart, keepDiagnostics, orderFor } from '../fleet/jobs.ts'
import { keepParts, sameParts } from '../fleet/parts.ts'
import type { ReleaseDownloads } from '../fleet/release-downloads.ts'
import type { Releases } from '../fleet/releases.ts'
import { report, stateOf } from '../fleet/states.ts'
import type { DirectoryIssuer } from '../key-directory/issuer.ts'
import { noteHeld } from '../key-directory/store.ts'
import type { Devices } from '../registry/devices.ts'
import { nextKeyOf } from '../registry/rotate.ts'
import type { Caller, Service, ServiceReply, ServiceRequest } from '../service/service.ts'
import { checkListed, type Unlisted } from '../service/unlisted.ts'
import type { CommitGroup } from '../storage/group.ts'
import type { TransferBuffer } from '../transfer/buffer.ts'
import type { DownloadCarrier } from '../transfer/carrier.ts'
import type { Pump } from './pump.ts'

/** Carries a frame between a card and a data server, unopened (S10). @throws {Problem} `server.unreachable` */
export type FrameCarrier = (server: string, frame: Uint8Array) => Promise<Uint8Array>

/** What a device last reported of its parts. */
export interface DeviceReport {
  atMs: number
  parts: RequestOf<typeof reportState>['parts']
  outboxRows: number
  outboxBytes: number
}

export interface OwnServiceOptions {
  site: string
  devices: Devices
  buffer: TransferBuffer
  pump: Pump
  carryFrame: FrameCarrier
  commits: CommitGroup
  releases: Releases
  releaseDownloads: ReleaseDownloads
  /** Carries downloads to devices, the services' and the gateway's own. */
  carrier: DownloadCarrier
  directory: DirectoryIssuer
  clock: Clock
  log: Log
  /** Where it shows what is in use. */
  budgets?: Budgets
  unlisted: Unlisted
}

/** Results of cards that one device may report: each card is a row, and cards are what the device says they are. */
const cardResultRate = { perSecond: 0.1, burst: 1_000 }

/** Devices whose last report is held. */
const maxReports = 20_000

type Handle<C extends Contract> = (body: RequestOf<C>, caller: Caller) => Promise<ReplyOf<C>> | ReplyOf<C>

export class OwnService implements Service {
  readonly name = 'gateway'
  readonly reports = new Map<string, DeviceReport>()
  readonly #options: OwnServiceOptions
  readonly #handlers = new Map<string, { contract: Contract; handle: Handle<Contract> }>()

  constructor(options: OwnServiceOptions) {
    this.#options = options
    const { devices, buffer, pump, commits, releases, carrier, directory, clock, budgets = new Budgets() } = options
    const cardResults = budgets.rate('card_results', { device: cardResultRate })
    this.#add(reportState, async (body, { device }) => {
      const before = this.reports.get(device)
      // A report comes every few minutes and nearly always says the same: that is not written again.
      if (!before || !sameParts(before.parts, body.parts))
        await commits.run((sql) => keepParts(sql, device, body.parts, clock.now()))
      this.reports.delete(device)
      this.reports.set(device, { atMs: clock.now(), ...body })
      if (this.reports.size > maxReports) this.reports.delete(this.reports.keys().next().value!)
      return {}
    })
    this.#add(readState, async (_body, { device }) => {
      const { id, model, version, epoch, region, enrolledMs } = await devices.require(device)
      return { device: id, model, version, epoch, region, enrolledMs, nowMs: clock.now() }
    })
    this.#add(reconcileState, ({ have, reported, keys }, { device }) =>
      commits.run(async (sql) => {
        const held = await report(sql, device, reported, clock.now())
        const { desired } = await stateOf(sql, device)
        if (keys !== undefined) await noteHeld(sql, device, keys, clock.now())
        const newer = keys === undefined ? undefined : directory.newerThan(keys)
        return { reported: held, ...(desired.version > have && { desired }), ...(newer && { directory: newer }) }
      }),
    )
    this.#add(readKeyDirectory, ({ have }) => {
      const newer = directory.newerThan(have)
      return newer ? { directory: newer } : {}
    })
    this.#add(nextJob, ({ result }, { device }) =>
      commits.run(async (sql) => {
        if (result) await endJobPart(sql, device, result)
        const order = await orderFor(sql, device)
        return order ? { order } : {}
      }),
    )
    this.#add(putDiagnostics, async ({ job, report }, { device }) => {
      await commits.run((sql) => keepDiagnostics(sql, device, job, report, clock.now()))
      return {}
    })
    this.#add(putCardResults, async ({ results }, { device }) => {
      const { burst } = cardResultRate
      if (cardResults.take('device', device, clock.monotonicMs(), results.length) > 0)
        throw quotaExceeded(cardResults.name, { held: burst, limit: burst })
      await commits.run((sql) => keepCardResults(sql, results, clock.now()))
      return {}
    })
    this.#add(readBundle, async ({ release, path, at, length }) => ({
      bytes: await releases.piece(release, path, at, length),
    }))
    this.#add(offerRelease, async ({ release }, { device }) => ({
      offer: await options.releaseDownloads.offer(device, release),
    }))
    this.#add(rotateKey, async ({ signed }, { device }) => {
      await commits.run(async (sql) =>
        devices.rekey(sql, device, nextKeyOf(await devices.require(device, sql), options.site, signed)),
      )
      return {}
    })
    this.#add(acknowledgeEvents, async ({ ids }, { device }) => {
      await pump.acknowledged(device, ids)
      return {}
    })
    this.#add(initTransfer, (body, { device }) => buffer.init(device, body))
    this.#add(haveTransfer, ({ transfer }, { device }) => buffer.have(device, transfer))
    this.#add(finishTransfer, ({ transfer }, { device }) => buffer.finish(device, transfer))
    this.#add(takeBlocks, async (body, { device }) => {
      await carrier.take(device, body)
      return {}
    })
    this.#add(endDownload, async (body, { device }) => {
      await carrier.end(device, body)
      return {}
    })
    this.#add(carryFrame, async ({ server, frame }) => ({ frame: await options.carryFrame(server, frame) }))
  }

  async handle(request: ServiceRequest): Promise<ServiceReply> {
    const known = this.#handlers.get(request.contract)
    if (!known) return { problem: new Problem('message.unknown-contract', request.contract).toWire() }
    try {
      return { body: await known.handle(known.contract.checkRequest(request.body), request.caller) }
    } catch (error) {
      if (isProblem(error)) {
        const problem = error.toWire()
        checkListed(known.contract, problem, this.#options.unlisted)
        return { problem }
      }
      this.#options.log.error('a call failed', {
        contract: request.contract,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      })
      return { problem: new Problem('internal').toWire() }
    }
  }

  async takeEvents(): Promise<[]> {
    return []
  }

  async eventsDone(): Promise<void> {}

  onEvents(): () => void {
    return () => undefined
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  #add<C extends Contract>(contract: C, handle: Handle<C>): void {
    this.#handlers.set(contract.id, { contract, handle: handle as unknown as Handle<Contract> })
  }
}
