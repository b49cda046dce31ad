/**
 * Where operators' calls are answered, inside the running site: who it is, whether they may, whether a second person is
 * needed, and the log of all of it. How calls come in, by the socket or by HTTPS, is not its business.
 */
import { createHash } from 'node:crypto'
import type { Values } from '@azukari/protocol/adapters/command'
import { UsageError } from '@azukari/protocol/adapters/command-line'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { type Pool, Reservation } from '../budgets/pool.ts'
import { checkListed, type Unlisted } from '../service/unlisted.ts'
import type { Database } from '../storage/database.ts'
import type { Accounts, Session } from './accounts.ts'
import { type CallPort, type RemoteCaller, serviceAct } from './act.ts'
import type { OperatorLog } from './log.ts'
import { type Begun, type PendingAct, PendingActs } from './pending.ts'
import type { Act, Answer, OperatorCommand, SiteAccess } from './roles.ts'
import type { SignIns } from './sign-ins.ts'
import type { Call } from './wire.ts'

/** Whether somebody is signed in, and who: needs no role. */
const signIn: ReadonlySet<string> = new Set(['login', 'logout', 'whoami', 'confirm', 'pending', 'decline'])
const noSession = new Uint8Array()

export interface DeskParts {
  database: Database
  accounts: Accounts
  log: OperatorLog
  site: SiteAccess
  find(command: string): Promise<OperatorCommand | undefined>
  faults: Log
  /** Hears of answers that a command's contract does not list. */
  unlisted: Unlisted
  /** What files of calls hold. */
  memory: Pool
  signIns: SignIns
}

/** What the log says of a call; before its files are read, without them. */
type Noted = Pick<Begun, 'call'> & Partial<Begun>

export class OperatorDesk {
  readonly #parts: DeskParts
  readonly #pending: PendingActs

  constructor(parts: DeskParts) {
    this.#parts = parts
    this.#pending = new PendingActs(parts.database, parts.site.ports)
  }

  /** @throws {Problem} whatever the command refuses, and `operator.*` */
  async answer(call: Call, port: CallPort): Promise<Answer> {
    if (call.command === 'login') return this.#login(call, port.remote)
    const session = await this.#parts.accounts.session(call.token, port.remote?.authority).catch(async (error) => {
      if (port.remote) this.#parts.signIns.fail(port.remote.address, this.#nowMs)
      await this.#note({ operator: '', id: noSession }, { call }, codeOf(error))
      throw error
    })
    port.remote?.prove(session.operator)
    if (!signIn.has(call.command)) return this.#begin(session, call, port)
    if (call.command === 'confirm') return this.#confirm(session, call, port)
    if (call.command === 'pending') return this.#list(session)
    if (call.command === 'decline') return this.#decline(session, call)
    if (call.command === 'logout') {
      await this.#parts.accounts.logout(session)
      await this.#note(session, { call }, 'done')
      return { json: { signedOut: session.operator }, text: `${session.operator} is signed out` }
    }
    const { operator, roles, expiresMs } = session
    const until = new Date(expiresMs).toISOString()
    return { json: { operator, roles, until }, text: `${operator} (${roles.join(', ')}) until ${until}` }
  }

  async #login(call: Call, remote: RemoteCaller | undefined): Promise<Answer> {
    const { name, password, code } = call.values
    if (typeof name !== 'string' || typeof password !== 'string')
      throw new Problem('message.invalid', 'a login has a name and a password')
    using _ = remote && this.#parts.signIns.begin(remote.address, this.#nowMs)
    const open: Call = { command: 'login', values: { name }, positionals: [] }
    try {
      const { accounts } = this.#parts
      const via = remote?.authority
      const token = await accounts.login(name, password, typeof code === 'string' ? code : undefined, via)
      const session = await accounts.session(token, via)
      await this.#note(session, { call: open }, 'done')
      return { json: { operator: name, token }, text: `${name} is signed in` }
    } catch (error) {
      // Never a name that was typed: it may be a password in the wrong place.
      if (isProblem(error)) await this.#note({ operator: '', id: noSession }, { call: open }, error.code)
      throw error
    }
  }

  async #begin(session: Session, call: Call, port: CallPort): Promise<Answer> {
    const command = await this.#commandFor(session, call)
    command.check?.(call.values as Values, call.positionals)
    using _ = this.#reserve(session, call)
    const begun = { call, files: await port.files() }
    if (!command.twoPeople) return this.#carryOut(session, command, begun, port)
    const id = await this.#pending.add(session.operator, begun, digestOf(begun))
    await this.#note(session, begun, 'pending')
    const how = `azukari-gateway confirm ${id}${command.filesOut ? ' --out FILE' : ''}`
    return { json: { pending: id }, text: `pending ${id}: another person confirms it with ${how}` }
  }

  /** The second person. What is carried out is what the first one gave, whoever confirms it. */
  async #confirm(session: Session, call: Call, port: CallPort): Promise<Answer> {
    const [id = ''] = call.positionals
    const { begun, operator: first, command } = await this.#awaited(session, call)
    if (first === session.operator) return this.#refuse(session, begun, new Problem('operator.same-person', id))
    // Whoever has left since, or lost the role, is no first person any more.
    if (!(await this.#parts.accounts.holds(first, command.role)))
      return this.#refuse(session, begun, new Problem('operator.forbidden', `${first}, who began it: ${command.role}`))
    // The file goes to whoever confirms: nobody else's path is written to.
    if (command.filesOut && call.values['out'] === undefined)
      throw new UsageError(`it gives a file, which goes to you: confirm ${id} --out FILE`)
    await port.files()
    // Taken first: of two who confirm at once, one carries it out.
    if (!(await this.#pending.take(id)))
      return this.#refuse(session, begun, new Problem('operator.pending-unknown', id))
    return this.#carryOut(session, command, begun, port, first)
  }

  /** Ends what waits: by whoever began it, or by another one with the role. */
  async #decline(session: Session, call: Call): Promise<Answer> {
    const [id = ''] = call.positionals
    const { begun } = await this.#awaited(session, call)
    if (!(await this.#pending.take(id)))
      return this.#refuse(session, begun, new Problem('operator.pending-unknown', id))
    await this.#note(session, begun, 'declined')
    return { json: { declined: id }, text: `${id} is not carried out` }
  }

  /** What waits for a second person who has the role. */
  async #list({ operator, roles }: Session): Promise<Answer> {
    const rows: Record<string, unknown>[] = []
    for (const { id, operator: first, begun, expiresMs } of await this.#pending.list()) {
      const { command, values, positionals } = begun.call
      const role = (await this.#parts.find(command))?.role
      if (role && roles.includes(role))
        rows.push({ id, began: first, isYours: first === operator, command, values, positionals, expiresMs })
    }
    const lines = rows.map(({ id, began, command, values, positionals }) => {
      const options = Object.entries(values as object).filter(([name]) => name !== 'folder' && name !== 'site')
      const words = [command, ...(positionals as string[]), ...options.map(([name, value]) => `--${name} ${value}`)]
      return `${id}  ${began}  ${words.join(' ')}`
    })
    return { json: rows, text: lines.join('\n') || 'nothing waits for a second person' }
  }

  /** @throws {Problem} `operator.pending-unknown`, `operator.forbidden` */
  async #awaited(session: Session, call: Call): Promise<PendingAct & { command: OperatorCommand }> {
    const [id = ''] = call.positionals
    const found = await this.#pending.find(id)
    if (!found) return this.#refuse(session, { call }, new Problem('operator.pending-unknown', id))
    return { ...found, command: await this.#commandFor(session, found.begun.call) }
  }

  get #nowMs(): number {
    return this.#parts.site.ports.clock.now()
  }

  async #commandFor(session: Session, call: Call): Promise<OperatorCommand> {
    const command = await this.#parts.find(call.command)
    if (!command) return this.#refuse(session, { call }, new Problem('command.invalid', `no command ${call.command}`))
    if (!session.roles.includes(command.role))
      return this.#refuse(session, { call }, new Problem('operator.forbidden', command.role))
    return command
  }

  /** Room for the files of a call, before they are read. @throws {Problem} `quota.exceeded`, `service.busy` */
  #reserve({ operator }: Session, { files = [] }: Call): Reservation {
    const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const full = () => new Problem('service.busy', 'too many files at once')
    const taken = this.#parts.memory.reserve('operator', operator, bytes, full)
    if (!(taken instanceof Reservation)) throw taken
    return taken
  }

  async #carryOut(
    session: Session,
    command: OperatorCommand,
    begun: Begun,
    port: CallPort,
    first?: string,
  ): Promise<Answer> {
    const { accounts, log, site, faults } = this.#parts
    const { call, files } = begun
    await this.#note(session, begun, 'begun')
    try {
      const { operator } = session
      const people = first === undefined ? [operator] : [first, operator]
      const who: Pick<Act, 'operator' | 'people' | 'siteUrl'> = { operator, people }
      const siteUrl = port.remote ? `https://${port.remote.authority}` : site.url?.()
      if (siteUrl !== undefined) who.siteUrl = siteUrl
      const act = { ...serviceAct(call, files, who, port), site, accounts, log }
      const answer = await command.carryOut(act, call.values as Values, call.positionals)
      await this.#note(session, begun, 'done')
      return answer
    } catch (error) {
      if (!isProblem(error)) faults.error('operator command failed', { command: call.command, error: String(error) })
      else if (command.contract) checkListed(command.contract, error.toWire(), this.#parts.unlisted)
      await this.#note(session, begun, codeOf(error))
      throw error
    } finally {
      // Also after a failure: it may have changed something first.
      site.changed?.()
    }
  }

  async #refuse(session: Session, begun: Noted, problem: Problem): Promise<never> {
    await this.#note(session, begun, problem.code)
    throw problem
  }

  async #note(session: Pick<Session, 'operator' | 'id'>, begun: Noted, outcome: string): Promise<void> {
    const entry = { operator: session.operator, session: session.id, command: begun.call.command.slice(0, 64) }
    await this.#parts.log.add({ ...entry, digest: digestOf(begun), outcome }, this.#parts.site.ports.clock.now())
  }
}

/**
 * Of the call and the bytes of its files. Values may be secret (a new password): a digest with the command would let them be
 * guessed, so those are left out.
 */
function digestOf({ call, files = new Map() }: Noted): Uint8Array {
  const { password: _, code: __, ...open } = call.values
  const sorted = Object.entries(open).sort(([a], [b]) => (a < b ? -1 : 1))
  const parts: unknown[] = [call.command, sorted, call.positionals]
  if (files.size > 0) parts.push([...files].map(([name, bytes]) => [name, sha256(bytes)]))
  return sha256(encodeDeterministic(parts))
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}

function codeOf(error: unknown): string {
  return isProblem(error) ? error.code : 'internal'
}
