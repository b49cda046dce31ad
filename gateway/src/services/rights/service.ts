/** The rights service (ARCHITECTURE §10, R1–R8), put together from ports. */
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import { signerOf } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import type { Budgets } from '../../budgets/budgets.ts'
import { createServiceHost, type ServiceHost } from '../../service/host.ts'
import { heldKeys, type ServiceKeys } from '../../service/service-keys.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { Database } from '../../storage/database.ts'
import type { MarkWork } from './marks/mark-work.ts'
import { rightsMigrations } from './migrations.ts'
import { type SaleDesk, saleDesk } from './sales/desk.ts'
import type { SealedPictures } from './sealed-pictures.ts'
import type { RightsShared } from './shared.ts'
import { type WorkDesk, workDesk } from './works/desk.ts'

export interface RightsOptions {
  database: Database
  keys: ServiceKeys
  /** Threads that mark and read pictures; ended with the service. */
  marks: MarkWork
  pictures: SealedPictures
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
  readonly publicKeys: readonly HeldKey[]
}

/** Migrates the database; nothing runs before `start`. @throws {Problem} `database.newer`, `storage.*` */
export async function createRights(options: RightsOptions): Promise<Rights> {
  const { database, keys, marks, pictures, clock, random, log, defer, budgets, unlisted } = options
  const host = await createServiceHost({
    name: 'rights',
    database,
    clock,
    random,
    log,
    unlisted,
    migrations: rightsMigrations,
    handlers: [],
    onStop: () => marks.close(),
    ...(defer && { defer }),
    ...(budgets && { budgets }),
  })
  const shared: RightsShared = {
    store: host.store,
    clock,
    random,
    log,
    keys,
    signer: signerOf(keys.signing),
    marks,
    pictures,
  }
  return Object.assign(host, { works: workDesk(shared), sales: saleDesk(shared), publicKeys: heldKeys(keys) })
}
