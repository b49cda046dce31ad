/** What an operator may be allowed to do, and how a command says what it needs. */
import type { Command, Values } from '@azukari/protocol/adapters/command-line'
import type { DirectoryIssuer } from '../key-directory/issuer.ts'
import type { SitePorts } from '../site-folder.ts'
import type { Database } from '../storage/database.ts'
import type { Accounts } from './accounts.ts'
import type { OperatorLog } from './log.ts'

/** `admin`: accounts; `fleet`: devices and jobs; `placement`: servers and data; `clerk`: money; `auditor`: reads the log. */
export const roles = ['admin', 'fleet', 'placement', 'clerk', 'auditor'] as const
export type Role = (typeof roles)[number]

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
  /** Called after every act, so that the gateway looks at its registry again. */
  changed?(): void
}

/** One act of a signed-in person. */
export interface Act {
  site: SiteAccess
  /** Who carries it out. */
  operator: string
  /** Who took part: one, or whoever began it and whoever confirmed it. */
  people: readonly string[]
  accounts: Accounts
  log: OperatorLog
}

export type Answer = NonNullable<Awaited<ReturnType<Command['run']>>>

/** A command that the running site carries out. */
export interface OperatorCommand extends Omit<Command, 'run'> {
  role: Role
  /** It takes two different people: one begins it, another confirms it. */
  twoPeople?: boolean
  carryOut(act: Act, values: Values, positionals: string[]): Promise<Answer>
}

export type AnyCommand = Command | OperatorCommand

export function isOperatorCommand(command: AnyCommand): command is OperatorCommand {
  return 'carryOut' in command
}
