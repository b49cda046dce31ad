/** Content, put together: the register, the requests of members, what keeps the lists true. */
import { getContent } from '@azukari/protocol/contracts/content'
import type { DirectSigner } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { InternalError } from '@azukari/protocol/problem'
import type { Budgets } from '../../budgets/budgets.ts'
import { createServiceHost, type ServiceHost } from '../../service/host.ts'
import type { MemberCheck } from '../../service/member-tokens.ts'
import { PeriodicWorker } from '../../service/periodic-worker.ts'
import { memberCall, type ServiceStore } from '../../service/service.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { Database } from '../../storage/database.ts'
import { type BillingOptions, bill } from './billing.ts'
import { browseHandlers } from './browse.ts'
import type { DataServers } from './data-servers.ts'
import { Deliver } from './deliver.ts'
import { renewHolders } from './holder-list.ts'
import { Ledgers } from './ledgers.ts'
import { contentMigrations } from './migrations.ts'
import { contentSource } from './reading.ts'
import { Register } from './register.ts'
import type { ContentSettings } from './settings.ts'

/** How often data servers are asked what they hold, and failed deliveries are looked at, ms. */
const roundMs = 60_000

export interface ContentServiceOptions {
  /** How it is named to others. */
  name: string
  database: Database
  servers: DataServers
  signer: DirectSigner
  settings: ContentSettings
  members: MemberCheck
  /** Where members' charges are posted. */
  post: BillingOptions['post']
  clock: Clock
  random: Random
  log: Log
  budgets?: Budgets
  unlisted: Unlisted
  defer?: (work: () => void) => void
}

export interface ContentService {
  host: ServiceHost
  store: ServiceStore
  register: Register
  servers: DataServers
  /** Pulls what is new and bills what is due, now; for commands that tell of it. */
  settle(): Promise<void>
}

export async function createContentService(options: ContentServiceOptions): Promise<ContentService> {
  const { database, servers, signer, settings, clock, random, log } = options
  let deliver: Deliver | undefined
  let made: ServiceStore | undefined
  const delivering = () => {
    if (!deliver) throw new InternalError('content is not open yet')
    return deliver
  }
  const work = async (store: ServiceStore) => {
    await delivering().settle(clock.now())
    await renewHolders(store, servers, log)
    await new Ledgers({ store, servers, settings, log }).pull()
    await bill({ store, post: options.post, log }, clock.now())
  }
  const worker = new PeriodicWorker({
    name: 'content',
    clock,
    log,
    idleMs: roundMs,
    round: async () => {
      if (made) await work(made)
      return roundMs
    },
  })
  const host = await createServiceHost({
    name: options.name,
    database,
    clock,
    random,
    log,
    members: options.members,
    unlisted: options.unlisted,
    migrations: contentMigrations,
    ...(options.budgets && { budgets: options.budgets }),
    ...(options.defer && { defer: options.defer }),
    downloads: contentSource({ sql: database }, servers),
    downloadEnded: async ({ reference, problem }, context) => {
      await delivering().ended(context, reference, problem)
      if (problem !== undefined) context.afterCommit(() => worker.wake())
    },
    onStart: () => worker.start(),
    onStop: () => worker.stop(),
    handlers: (store) => {
      made = store
      const { serviceMinor } = settings
      deliver = new Deliver({ store, servers, signer, serviceMinor, log })
      return [
        ...browseHandlers(store, serviceMinor),
        memberCall(getContent, (asked, context) => delivering().get(asked, context)),
      ]
    },
  })
  const register = new Register({ store: host.store, servers, random, currency: settings.currency })
  return { host, store: host.store, register, servers, settle: () => work(host.store) }
}
