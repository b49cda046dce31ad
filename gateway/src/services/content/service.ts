/** Content, put together: the register, the requests of members, what keeps the lists true. */
import { getContent } from '@azukari/protocol/contracts/content'
import type { DirectSigner } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { InternalError } from '@azukari/protocol/problem'
import type { Budgets } from '../../budgets/budgets.ts'
import type { Peers } from '../../service/deliverer.ts'
import { createServiceHost, type ServiceHost } from '../../service/host.ts'
import type { LinkKeys } from '../../service/links.ts'
import type { MemberCheck } from '../../service/member-tokens.ts'
import { PeriodicWorker } from '../../service/periodic-worker.ts'
import { memberCall, type ServiceStore } from '../../service/service.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { Database } from '../../storage/database.ts'
import type { CallHandler } from '../../transport/server.ts'
import { type BillingOptions, bill } from './billing.ts'
import { browseHandlers } from './browse.ts'
import type { DataServers } from './data-servers.ts'
import { Deliver } from './deliver.ts'
import { renewHolders } from './holder-list.ts'
import { Ledgers } from './ledgers.ts'
import { ContentLinks } from './links.ts'
import { type BuyCopy, MadeCopies, offerHandlers, sentOfPurchases } from './made-copies.ts'
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
  /** Judges the links that it signed. */
  linkKeys: LinkKeys
  settings: ContentSettings
  members: MemberCheck
  /** Has a copy made for a buyer. */
  buy: BuyCopy
  /** Where its acts are taken. */
  peers?: Peers
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
  links: ContentLinks
  /** What other services ask. */
  handlers: readonly CallHandler[]
  /** Pulls what is new and bills what is due, now; for commands that tell of it. */
  settle(): Promise<void>
}

export async function createContentService(options: ContentServiceOptions): Promise<ContentService> {
  const { database, servers, signer, settings, clock, random, log } = options
  let deliver: Deliver | undefined
  let made: ServiceStore | undefined
  let links: ContentLinks | undefined
  let copies: MadeCopies | undefined
  const delivering = () => {
    if (!deliver) throw new InternalError('content is not open yet')
    return deliver
  }
  const round = async (store: ServiceStore) => {
    await delivering().settle(clock.now())
    await copies?.forget()
    await renewHolders(store, servers, log)
    await new Ledgers({ store, servers, settings, log }).pull()
    await bill({ store, post: options.post, tax: settings.tax, log }, clock.now())
  }
  // One after the other: a command that settles while the worker does would post each charge a second time.
  let last: Promise<unknown> = Promise.resolve()
  const work = (store: ServiceStore) => {
    const done = last.then(() => round(store))
    last = done.catch(() => undefined)
    return done
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
  const downloads = contentSource({ sql: database }, servers)
  const host = await createServiceHost({
    name: options.name,
    database,
    clock,
    random,
    log,
    members: options.members,
    links: options.linkKeys,
    unlisted: options.unlisted,
    migrations: contentMigrations,
    calls: sentOfPurchases,
    ...(options.peers && { peers: options.peers }),
    ...(options.budgets && { budgets: options.budgets }),
    ...(options.defer && { defer: options.defer }),
    downloads: downloads.source,
    downloadEnded: async ({ reference, problem }, context) => {
      await delivering().ended(context, reference, problem)
      if (problem !== undefined) context.afterCommit(() => worker.wake())
    },
    onStart: () => worker.start(),
    onStop: async () => {
      await worker.stop()
      await downloads.flush()
    },
    handlers: (store) => {
      made = store
      const { serviceMinor } = settings
      copies = new MadeCopies({ store, servers, buy: options.buy, log })
      deliver = new Deliver({ store, servers, signer, made: copies, serviceMinor, log })
      links = new ContentLinks({ store, servers, deliver, signer, serviceMinor, clock, random })
      return [
        ...links.handlers(),
        ...browseHandlers(store, serviceMinor),
        memberCall(getContent, (asked, context) => delivering().get(asked, context)),
      ]
    },
  })
  const register = new Register({ store: host.store, servers, random, currency: settings.currency })
  if (!links) throw new InternalError('content has no handlers')
  const handlers = offerHandlers(host.store, settings.currency)
  return { host, store: host.store, register, servers, links, handlers, settle: () => work(host.store) }
}
