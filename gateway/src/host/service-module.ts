/**
 * A service is defined in one place (ARCHITECTURE §2): what it is called, what it keeps, whom it asks, how it is opened.
 * Process layout, databases copied before an upgrade's trial, systemd units, health, metrics and who may call whom are
 * derived from the list in `services/index.ts`; nothing else names a service. What a module needs to run is loaded when it is
 * opened, so that a command can look at the list without loading every service.
 */
import type { Command, Values } from '@azukari/protocol/adapters/command'
import type { Contract, ReplyOf, RequestOf, ServiceName } from '@azukari/protocol/contract'
import type { Measure } from '@azukari/protocol/contracts/internal'
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import type { KeyFinder } from '@azukari/protocol/manifest'
import type { Log } from '@azukari/protocol/ports'
import type { Registry } from 'prom-client'
import type { Stores } from '../adapters/stores.ts'
import type { Budgets } from '../budgets/budgets.ts'
import type { ServiceKeys } from '../key-directory/sources.ts'
import type { Check } from '../operator/doctor.ts'
import type { Answer, OperatorCommandHead, ServiceAct } from '../operator-api/roles.ts'
import type { Peers } from '../service/deliverer.ts'
import type { HostCounts } from '../service/host-limits.ts'
import type { MemberCheck } from '../service/member-tokens.ts'
import type { ReceiveBuffer, Service } from '../service/service.ts'
import type { Unlisted } from '../service/unlisted.ts'
import type { SiteFolder, SitePorts } from '../site-folder.ts'
import type { Migration } from '../storage/migrate.ts'
import type { CallHandler } from '../transport/server.ts'
import type { Caller } from '../transport/spread-client.ts'

/** What a service is opened with, inside the gateway or as a process of its own. */
export interface ServicePorts {
  folder: SiteFolder
  /** Opens its databases; the host closes them after it. */
  stores: Stores
  ports: SitePorts
  log: Log
  passphrase: string | undefined
  budgets: Budgets
  /** Hears of answers that contracts do not list. */
  unlisted: Unlisted
  /** Judges members' tokens, for contracts with the authority `member`. */
  members: MemberCheck
  /** The gateway's receive buffer, as it is for this service. */
  buffer: ReceiveBuffer
  /** Asks another service, wherever it runs. @throws {InternalError} for a contract that the module's `calls` do not list */
  call<C extends Contract>(contract: C, request: RequestOf<C>): Promise<ReplyOf<C>>
  /**
   * Finds the keys with which a service signed at a time that a signed message states: such as the issue of a session's
   * token. By the key directory as it is then. @throws {Problem} `keys.missing` before there is one
   */
  signers(service: ServiceName, atMs: number): KeyFinder
  /** Where the acts that it sends are taken (`context.send`). */
  peers: Peers
  /** It is opened to be read, on a folder where nothing runs, and is not started. */
  isClosed?: boolean
}

/** What a service shows to operators: its part of `/healthz` and `/metrics`, and pages of its own. */
export interface ServiceHealth {
  facts?(): Promise<Record<string, unknown>>
  metrics?(registry: Registry): void
  pages?: Readonly<Record<string, () => Promise<HealthPage>>>
  /** What the site's telemetry says of it. */
  measures?(): Promise<readonly Measure[]>
}

export interface HealthPage {
  type: string
  /** Content-Security-Policy. */
  policy?: string
  body: string
}

export interface OpenService {
  service: Service & { readonly counts?: Readonly<HostCounts> }
  /** What other processes of the site may ask of it. */
  handlers: readonly CallHandler[]
  /** Its public keys, which the key directory names; a service without any needs none. */
  keys?: ServiceKeys
  health?: ServiceHealth
  /** Whether frames may be carried to a data server. @throws {Problem} `server.contained` */
  mayCarry?(server: string): Promise<void>
  /** After each operator's command, done or failed: it may have left work. */
  commandEnded?(): void
  /** Closes what `service.stop` does not know of. */
  close(): Promise<void>
}

export interface ServiceProcess {
  url: string
  /** Finishes the step that is under way; what waits goes on at the next start. */
  stop(): Promise<void>
}

/** An operator's command that is carried out in the service's process. */
export interface ServiceCommand<Open extends OpenService = OpenService> extends OperatorCommandHead {
  /** It only reads: with nothing running it is carried out on the closed folder. */
  offline?: boolean
  /** Each process of the service is asked, whether it leads or not. */
  everywhere?: boolean
  carryOut(open: Open, act: ServiceAct, values: Values, positionals: string[]): Promise<Answer>
}

/** Commands by name. */
export type ServiceCommandGroup<Open extends OpenService = OpenService> = Readonly<Record<string, ServiceCommand<Open>>>

/** What a service that runs as a process of its own is started with, besides its ports. */
export interface ApartSettings {
  host: string
  /** 0 = any free one. */
  port: number
  /** Which of two processes that stand in for each other. */
  role: 'primary' | 'backup'
  /** Which of several processes in one folder, from 1; absent: the first. */
  place?: number
}

/** What the host gives a service that runs apart in its own way. */
export interface ApartHost<Open extends OpenService> {
  /**
   * Rows that answer operators' commands.
   * @param open the service for this command. @throws {Problem} while it cannot act
   * @param confirmed resolves when what was done so far is safe: before that no file and no answer leaves
   */
  commandHandlers(open: (command: ServiceCommand<Open>) => Open, confirmed: () => Promise<void>): CallHandler[]
}

/** Where a page for people is served. */
export interface PageSettings {
  host: string
  /** 0 = any free one. */
  port: number
  /** Under which people reach it, when that is another address. */
  url?: string | undefined
  tls: { key: string; cert: string } | undefined
  insecure: boolean
  ports: SitePorts
  budgets: Budgets
  log: Log
}

/** A secret that `init` shows once: the site keeps no copy of it. */
export interface ShownSecret {
  /** In the answer for programs. */
  key: string
  /** For people. */
  what: string
  secret: string
}

export interface ServiceModule<Open extends OpenService = OpenService> {
  readonly name: ServiceName
  /** For `--help` and unit files. */
  readonly what: string
  /** Its databases, by their paths in the site's folder: copied before an upgrade's trial. */
  readonly databases: readonly string[]
  /** Its own tables, so that they can be moved to another engine. */
  migrations?(): Promise<readonly Migration[]>
  /** Files in the site's folder without which it cannot run, made by `init`: doctor looks for them. */
  readonly files?: readonly string[]
  /** It keeps things on data servers, which do as it says. */
  readonly usesDataServers?: boolean
  /** It orders data servers to keep and deliver content. */
  readonly usesObjects?: boolean
  /** Roles that its commands ask for besides the gateway's own, and what each is for. */
  readonly roles?: Readonly<Record<string, string>>
  /** Paths of the pages that it shows to operators, beside `/healthz`. */
  readonly pages?: readonly string[]
  /** Name of the lock in the site's folder: one process at a time runs it. */
  readonly lock: string
  /** Where it listens when it runs as a process of its own. */
  readonly port: number
  /** It reads the receive buffer, so a process of its own needs the gateway's address. */
  readonly readsBuffer: boolean
  /** The services that it asks, or sends acts to: a process of its own needs their addresses. */
  readonly peers: readonly ServiceName[]
  /** It may run as two processes of which one leads: `azukari-gateway NAME backup` runs the second. */
  readonly paired?: boolean
  /** Where its databases are on PostgreSQL, several processes may run it at once; all others run once (docs/decisions/0034). */
  readonly processes?: 'several'
  /** Its contracts, where they are not among the protocol's own. */
  contracts?(): Promise<readonly Contract[]>
  /** The keys that a process of its own had at first, from the site's folder: told until it answers. @throws {Problem} `config.invalid` */
  firstKeys?(folder: SiteFolder): Promise<readonly HeldKey[]>
  /** What it asks of other services. */
  calls?(): Promise<readonly Contract[]>
  /** Operators' commands, in groups that are loaded when one of theirs is called. */
  readonly commands?: Readonly<Record<string, () => Promise<ServiceCommandGroup<Open>>>>
  /** Commands that the program of whoever calls carries out itself, in groups: on a folder where nothing runs, or beside the site. */
  readonly programs?: Readonly<Record<string, () => Promise<Readonly<Record<string, Command>>>>>
  /** Makes what it needs of a new site; undefined when that is there already. */
  init?(
    folder: SiteFolder,
    ports: SitePorts,
    passphrase: string | undefined,
  ): Promise<readonly ShownSecret[] | undefined>
  /** What doctor looks at besides its files and databases. @param folder the site's */
  checks?(folder: string): Promise<readonly Check[]>
  open(ports: ServicePorts): Promise<Open>
  /** Its own way to run as a process; undefined when the usual one will do. */
  runApart?(ports: ServicePorts, settings: ApartSettings, host: ApartHost<Open>): Promise<ServiceProcess | undefined>
  /** Serves a page for people, where there is one. */
  servePage?(service: Service, settings: PageSettings): Promise<{ url: string; close(): Promise<void> }>
  /** What is shown of its processes when two stand in for each other. */
  pairHealth?(clients: readonly { id: string; client: Caller }[], ports: SitePorts): Promise<ServiceHealth>
}

export function defineService<Open extends OpenService>(module: ServiceModule<Open>): ServiceModule<Open> {
  return module
}
