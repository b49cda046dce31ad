/** Work: splits jobs into units, hands them to devices that idle, and merges what they agree on (W1–W7). */
import { base32 } from '@azukari/protocol/base32'
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import type { RedemptionShown } from '@azukari/protocol/contracts/work'
import { signerOf } from '@azukari/protocol/cose'
import { coseKey } from '@azukari/protocol/keys'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Budgets } from '../../budgets/budgets.ts'
import { createServiceHost, type ServiceHost } from '../../service/host.ts'
import { PeriodicWorker } from '../../service/periodic-worker.ts'
import type { ServiceStore } from '../../service/service.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { Database } from '../../storage/database.ts'
import { blobSource, sha256 } from './blobs/store.ts'
import { bookingHandlers } from './bookings/handlers.ts'
import { leftOf, type Redeemed, redeem, redemptionsOf } from './bookings/model.ts'
import { bookings } from './bookings/store.ts'
import { book, type PostCharge } from './bookings/worker.ts'
import { deviceHandlers } from './devices/handlers.ts'
import { devices, owners, points } from './devices/store.ts'
import { dispatchHandlers, endSilent } from './dispatch/handlers.ts'
import { copies } from './dispatch/store.ts'
import { endJobs, Jobs } from './jobs/jobs.ts'
import { jobs } from './jobs/store.ts'
import { licenceHandlers } from './licences/handlers.ts'
import { Licences } from './licences/offers.ts'
import { workMigrations } from './migrations.ts'
import type { WorkSettings } from './settings.ts'
import { deviceSigners, resultHandlers } from './validation/handlers.ts'
import type { WorkContext, WorkKeys } from './work-context.ts'

export interface WorkOptions {
  database: Database
  keys: WorkKeys
  settings: WorkSettings
  clock: Clock
  random: Random
  log: Log
  budgets?: Budgets | undefined
  unlisted: Unlisted
  /** Has settlement book it. */
  post: PostCharge
}

/** How often it looks for what ends by time. */
const lookMs = 60_000
/** Leases that one transaction ends. */
const silentAtOnce = 100

export interface Work extends ServiceHost {
  readonly jobs: Jobs
  readonly licences: Licences
  /** @throws {Problem} `work.owner-known` */
  addOwner(of: NewOwner): Promise<string>
  owners(): Promise<OwnerShown[]>
  /** @throws {Problem} `work.owner-unknown` */
  setOwnerMember(owner: string, member: string): Promise<void>
  /** @throws {Problem} `work.owner-unknown`, `work.no-member`, `work.points-short` */
  redeem(owner: string, points: number): Promise<Redeemed>
  heldKeys(): HeldKey[]
  /** How many jobs run and how many units devices compute now. */
  figures(): Promise<{ jobs: number; computing: number }>
  wake(): void
  /** Resolves when nothing that was to end is left. */
  idle(): Promise<void>
}

export interface OwnerShown {
  owner: string
  contact: string
  member?: string
  leftMicroPoints: number
  redemptions: RedemptionShown[]
  devices: {
    device: string
    valid: number
    validInRow: number
    wrong: number
    lost: number
    quota: number
    microPoints: number
  }[]
}

export async function createWork(options: WorkOptions): Promise<Work> {
  const { database, keys, settings, clock, random, log, budgets, unlisted, post } = options
  const worker = new PeriodicWorker({
    name: 'jobs and leases that end',
    clock,
    log,
    idleMs: lookMs,
    duty: database.duty,
    round: () => look(host.store, { post, log }),
  })
  const shared = (store: ServiceStore): WorkContext => ({
    store,
    clock,
    random,
    log,
    settings,
    signer: signerOf(keys.signing),
    wake: () => worker.wake(),
  })
  const host = await createServiceHost({
    name: 'work',
    database,
    clock,
    random,
    log,
    unlisted,
    ...(budgets && { budgets }),
    migrations: workMigrations,
    signers: deviceSigners,
    downloads: (_kind, reference) => blobSource(database, reference),
    handlers: (store) => {
      const context = shared(store)
      return [
        ...deviceHandlers(context),
        ...dispatchHandlers(context),
        ...resultHandlers(context),
        ...bookingHandlers(context),
        ...licenceHandlers(context),
      ]
    },
    onStart: () => worker.start(),
    onStop: () => worker.stop(),
  })
  return Object.assign(host, {
    jobs: new Jobs(shared(host.store)),
    licences: new Licences(shared(host.store)),
    addOwner: (of: NewOwner) => addOwner(host.store, random, of),
    owners: () => ownersShown(host.store),
    setOwnerMember: (owner: string, member: string) => setOwnerMember(host.store, owner, member),
    redeem: async (owner: string, points: number) => {
      const id = random.bytes(16)
      return host.store.transaction((context) => redeem(context, settings, { id, owner, points }))
    },
    heldKeys: (): HeldKey[] => [
      { use: 'sign', key: coseKey(keys.signing), fromMs: 0 },
      { use: 'agree', key: coseKey(keys.agreement), fromMs: 0 },
    ],
    figures: () => figuresOf(host.store),
    wake: () => worker.wake(),
    idle: () => worker.idle(),
  })
}

/** Ends leases and jobs whose time is over. @returns when to look again at the latest, ms */
async function look(store: ServiceStore, books: { post: PostCharge; log: Log }): Promise<number> {
  const ended = await store.transaction((context) => endSilent(context, silentAtOnce))
  const { nowMs, untilEnd, lease } = await store.transaction(async (context) => ({
    nowMs: context.nowMs,
    untilEnd: await endJobs(context),
    lease: await copies.nextLease(context.sql),
  }))
  const isMoreDue = await book({ store, ...books }, nowMs)
  const due = await bookings.nextMs(store.sql)
  const nextMs = Math.min(
    untilEnd,
    (lease ?? Number.POSITIVE_INFINITY) - nowMs,
    (due ?? Number.POSITIVE_INFINITY) - nowMs,
  )
  return ended === silentAtOnce || isMoreDue ? 1 : Math.max(100, Math.min(lookMs, nextMs))
}

export interface NewOwner {
  owner: string
  contact: string
  member?: string | undefined
  /** The operator who adds it. */
  by: string
}

/** @returns the code, of which only the hash is kept */
async function addOwner(
  store: ServiceStore,
  random: Random,
  { owner, contact, member, by }: NewOwner,
): Promise<string> {
  const code = base32(random.bytes(10))
  const hash = sha256(new TextEncoder().encode(code))
  await store.transaction(async ({ sql, nowMs }) => {
    if (await owners.get(sql, owner)) throw new Problem('work.owner-known', owner)
    await owners.add(sql, {
      id: owner,
      contact,
      code: hash,
      member: member ?? null,
      made_by: by,
      created_ms: nowMs,
    })
  })
  return code
}

/** @throws {Problem} `work.owner-unknown` */
async function setOwnerMember(store: ServiceStore, owner: string, member: string): Promise<void> {
  const { changes } = await store.transaction(({ sql }) => owners.setMember(sql, owner, member))
  if (changes === 0) throw new Problem('work.owner-unknown', owner)
}

async function ownersShown({ sql }: ServiceStore): Promise<OwnerShown[]> {
  const all = await devices.all(sql)
  const shown: OwnerShown[] = []
  for (const { id, contact, member } of await owners.all(sql)) {
    const leftMicroPoints = await leftOf(sql, id)
    const own: OwnerShown = {
      owner: id,
      contact,
      leftMicroPoints,
      redemptions: await redemptionsOf(sql, id),
      devices: [],
    }
    if (member !== null) own.member = member
    for (const { id: device, owner, valid, valid_in_row: validInRow, wrong, lost, quota } of all) {
      if (owner !== id) continue
      const { micro: microPoints } = await points.ofDevice(sql, device)
      own.devices.push({ device, valid, validInRow, wrong, lost, quota, microPoints })
    }
    shown.push(own)
  }
  return shown
}

async function figuresOf({ sql }: ServiceStore): Promise<{ jobs: number; computing: number }> {
  const running = await jobs.running(sql)
  let computing = 0
  for (const { id } of running) computing += await copies.computing(sql, id)
  return { jobs: running.length, computing }
}
