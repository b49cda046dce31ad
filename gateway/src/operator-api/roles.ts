/** What an operator may be allowed to do, and how a command says what it needs. */

import type { Command, Values } from '@azukari/protocol/adapters/command'
import type { Contract, ServiceName } from '@azukari/protocol/contract'
import type { DirectoryIssuer } from '../key-directory/issuer.ts'
import type { SitePorts } from '../site-folder.ts'
import type { Database } from '../storage/database.ts'
import type { Accounts } from './accounts.ts'
import type { OperatorLog } from './log.ts'
import type { Role } from './role.ts'

export type Answer = NonNullable<Awaited<ReturnType<Command['run']>>>

/** A file for the caller, who writes it where the option says. */
export interface GivenFile {
  /** The option of the call that names it. */
  option: string
  /** After that name, for a second file beside it. */
  suffix?: string
  /** What it is called when the call names no file. */
  name?: string
  bytes: Uint8Array
}

/** What the caller hears while a command is carried out. */
export interface Progress {
  /** A line of progress. */
  tell(line: string): void
  /** Resolves when the caller has it. */
  give(file: GivenFile): Promise<void>
}

/** A file that went along with the call. */
export interface CallFile {
  /** As the caller named it, for messages. */
  path: string
  bytes: Uint8Array
}

/** One act of a signed-in person, as a service sees it. */
export interface ServiceAct extends Progress {
  /** Who carries it out. */
  operator: string
  /** Who took part: one, or whoever began it and whoever confirmed it. */
  people: readonly string[]
  language: 'ja' | 'en'
  /** `https://host:port` under which people outside reach the site, as far as it is known. */
  siteUrl?: string
  /** Aborted when the caller goes away: for what is shown again and again. What was begun is finished. */
  signal: AbortSignal
  /** A file of `filesIn`. @throws {Problem} `config.invalid` when the call names none */
  file(name: string): CallFile
  /** All files of an option that may be repeated, in order; none when the call names none. */
  files(name: string): CallFile[]
}

/** How a command of a service is carried out where the service runs. */
export interface ServiceDispatch {
  carryOut(
    service: ServiceName,
    command: string,
    act: ServiceAct,
    values: Values,
    positionals: string[],
  ): Promise<Answer>
}

/** The running site, as commands see it: what is open already, never opened by them. */
export interface SiteAccess {
  ports: SitePorts
  /** The site's folder, absolute or as the gateway was given it. */
  folder: string
  /** The registry of devices, claims, jobs and readers. */
  registry: Database
  /** The site's key directory, and which data servers do not hold the newest. */
  keys?: { issuer: DirectoryIssuer; behind(): Promise<string[]> }
  /** Whether telemetry is published. */
  isTelemetryOn: boolean
  services: ServiceDispatch
  /** Where programs and people outside are answered; undefined when they are not. */
  url?(): string | undefined
  /** Called after every act, so that the gateway looks at its registry again. */
  changed?(): void
}

/** One act of a signed-in person. */
export interface Act extends ServiceAct {
  site: SiteAccess
  accounts: Accounts
  log: OperatorLog
}

/** What a command says of itself besides its options. */
export interface OperatorCommandHead extends Omit<Command, 'run'> {
  role: Role
  /** It takes two different people: one begins it, another confirms it. */
  twoPeople?: boolean
  /** Options whose files go along with the call; a name that is no option is what follows the options. */
  filesIn?: readonly string[]
  /** Options that name files which the caller writes. */
  filesOut?: readonly string[]
  /** What it is, where it is a contract: its answers are held to it. */
  contract?: Contract
  /** Judges the words of a call before it is begun. @throws {UsageError} */
  check?(values: Values, positionals: readonly string[]): void
}

/** A command that the running site carries out. */
export interface OperatorCommand extends OperatorCommandHead {
  /** It only reads: with nothing running it is carried out on the closed folder. */
  offline?: boolean
  carryOut(act: Act, values: Values, positionals: string[]): Promise<Answer>
}

export type AnyCommand = Command | OperatorCommand

export function isOperatorCommand(command: AnyCommand): command is OperatorCommand {
  return 'carryOut' in command
}
