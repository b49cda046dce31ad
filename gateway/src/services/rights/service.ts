/** The rights service (ARCHITECTURE §10, R1–R8), put together from ports. */
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import type { buyCopy } from '@azukari/protocol/contracts/rights-copies'
import { signerOf } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import type { OutboundAnswer, OutboundRequest } from '../../adapters/guarded-fetch.ts'
import type { Budgets } from '../../budgets/budgets.ts'
import type { Mailer } from '../../mail/mailer.ts'
import { createServiceHost, type ServiceHost } from '../../service/host.ts'
import type { MemberCheck } from '../../service/member-tokens.ts'
import { PeriodicWorker } from '../../service/periodic-worker.ts'
import { heldKeys, type ServiceKeys } from '../../service/service-keys.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { Database } from '../../storage/database.ts'
import { type CaseDesk, caseDesk } from './cases/desk.ts'
import { CaseWork } from './cases/worker.ts'
import type { MarkWork } from './marks/mark-work.ts'
import { rightsMigrations } from './migrations.ts'
import { type SaleDesk, saleDesk } from './sales/desk.ts'
import { Purchases, purchaseHandlers } from './sales/purchases.ts'
import type { SealedPictures } from './sealed-pictures.ts'
import type { RightsSettings } from './settings.ts'
import type { RightsShared } from './shared.ts'
import { boardHandlers } from './sightings/boards.ts'
import { type SightingDesk, sightingDesk } from './sightings/desk.ts'
import { type WorkDesk, workDesk } from './works/desk.ts'
import { type FingerprintIndex, fingerprintsIn } from './works/fingerprints.ts'
import { type OfferedWork, type OfferMade, offerWorkAsContent } from './works/offering.ts'

export interface RightsOptions {
  database: Database
  keys: ServiceKeys
  /** Threads that mark and read pictures; ended with the service. */
  marks: MarkWork
  pictures: SealedPictures
  settings: RightsSettings
  /** Judges members' tokens. */
  members: MemberCheck
  /** Without one nobody is written to. */
  mailer?: Mailer | undefined
  /** Has a work offered to members. */
  offer: OfferMade
  /** The guarded way out. */
  fetch(request: OutboundRequest): Promise<OutboundAnswer>
  clock: Clock
  random: Random
  log: Log
  defer?: (work: () => void) => void
  budgets?: Budgets
  /** Hears of answers that contracts do not list: `logUnlisted`, in tests `throwUnlisted`. */
  unlisted: Unlisted
}

export interface Rights extends ServiceHost {
  readonly works: WorkDesk
  readonly sales: SaleDesk
  readonly sightings: SightingDesk
  readonly cases: CaseDesk
  /** Offers a work to members. @throws {Problem} those of `rights.offer` */
  offer(of: { work: string; provider: string }): Promise<OfferedWork>
  /** A member's purchase. @throws {Problem} those of `rights.buy` */
  buy(asked: RequestOf<typeof buyCopy>): Promise<ReplyOf<typeof buyCopy>>
  /** Does what is due of cases, as the worker does, until nothing is. */
  lookAtCases(signal: AbortSignal): Promise<void>
  readonly publicKeys: readonly HeldKey[]
}

/** Migrates the database; nothing runs before `start`. @throws {Problem} `database.newer`, `storage.*` */
export async function createRights(options: RightsOptions): Promise<Rights> {
  const {
    database,
    keys,
    marks,
    pictures,
    settings,
    members,
    mailer,
    offer,
    fetch,
    clock,
    random,
    log,
    defer,
    budgets,
    unlisted,
  } = options
  const host = await createServiceHost({
    name: 'rights',
    database,
    clock,
    random,
    log,
    unlisted,
    migrations: rightsMigrations,
    members,
    handlers: (store) => [...boardHandlers(store, settings, () => worker.wake()), ...purchaseHandlers()],
    ...(defer && { defer }),
    ...(budgets && { budgets }),
  })
  let index: Promise<FingerprintIndex> | undefined
  const alike = () => {
    index ??= fingerprintsIn(host.store.sql)
    return index
  }
  const shared: RightsShared = {
    store: host.store,
    clock,
    random,
    log,
    keys,
    signer: signerOf(keys.signing),
    marks,
    pictures,
    alike,
  }
  const wake = () => worker.wake()
  const work = new CaseWork({ shared, settings, mailer, fetch })
  const worker: PeriodicWorker = new PeriodicWorker({
    name: 'cases',
    clock,
    log,
    idleMs: 60_000,
    round: () => work.begin(worker.signal, wake),
  })
  const [start, stop] = [host.start.bind(host), host.stop.bind(host)]
  const sales = saleDesk(shared)
  const purchases = new Purchases({ ...shared, copy: (sale) => sales.copy(sale) })
  return Object.assign(host, {
    start: async () => {
      await start()
      worker.start()
    },
    stop: async () => {
      // What is in work there ends with it, and its step is done again after the next start.
      await marks.close()
      await worker.stop()
      await work.idle()
      await stop()
    },
    works: workDesk(shared),
    sales,
    offer: (of: { work: string; provider: string }) => offerWorkAsContent(shared, offer, of),
    buy: (asked: RequestOf<typeof buyCopy>) => purchases.buy(asked),
    sightings: sightingDesk(shared, settings, fetch, wake),
    cases: caseDesk(shared, wake),
    lookAtCases: async (signal: AbortSignal) => {
      do await work.begin(signal, () => undefined)
      while (await work.idle())
    },
    publicKeys: heldKeys(keys),
  })
}
