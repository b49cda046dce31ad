/** What a service host is made of. */
import type { ServiceName } from '@azukari/protocol/contract'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import type { Budgets } from '../budgets/budgets.ts'
import type { Database, Duty } from '../storage/database.ts'
import type { Migration } from '../storage/migrate.ts'
import type { Peers } from './deliverer.ts'
import type { HostLimits } from './host-limits.ts'
import type { LinkKeys } from './links.ts'
import type { MemberCheck } from './member-tokens.ts'
import type { ContentSource, OfferEnded } from './offers.ts'
import type { Handler, OutgoingAct, ServiceStore } from './service.ts'
import type { Signers } from './signed.ts'
import type { Unlisted } from './unlisted.ts'

/** What workers are given, which one process of the service runs at a time. */
export interface SlowWork {
  /** Nothing of it commits when it is another process's turn. @throws {Problem} `storage.held` */
  store: ServiceStore
  duty: Duty
}

export interface ServiceHostOptions {
  name: ServiceName
  database: Database
  clock: Clock
  random: Random
  log: Log
  /** The dispatch table, or a function that makes it from the store, and from what slow work is given. */
  handlers: readonly Handler[] | ((store: ServiceStore, work: SlowWork) => readonly Handler[])
  /** The service's own tables; forward only. */
  migrations: readonly Migration[]
  /** Runs work when what the network has brought so far has been taken in; `setImmediate` on a real machine. */
  defer?: (work: () => void) => void
  /** Resolves when everything committed so far counts: replies and what follows a commit wait for it. At once without it. */
  confirmed?: () => Promise<void>
  /** Work to begin when the service starts, such as what was under way at the last crash. */
  onStart?: () => void | Promise<void>
  /** Work to end before the database closes. */
  onStop?: () => void | Promise<void>
  /** Acts of other services that it sends. */
  calls?: readonly OutgoingAct[]
  /** Where other services are reached. Without it what is sent waits. */
  peers?: Peers
  limits?: Partial<HostLimits>
  /** Where it shows what is in use. */
  budgets?: Budgets
  /** Hears of answers that contracts do not list: `logUnlisted`, in tests `throwUnlisted`. */
  unlisted: Unlisted
  /** Where what it offers to devices is read from. */
  downloads?: ContentSource | undefined
  /** Hears what became of an offer; not of one that nobody fetched in time. */
  downloadEnded?: OfferEnded | undefined
  /** Judges members' tokens; needed by whoever has a contract with the authority `member`. */
  members?: MemberCheck | undefined
  /** Verifies signatures; needed by whoever has a contract with the authority `signed`. */
  signers?: Signers | undefined
  /** Judges signed links; needed by whoever has a contract with the authority `link`. */
  links?: LinkKeys | undefined
}
