/**
 * Where operators' calls are answered, inside the running site: who it is, whether they may, whether a second person is
 * needed, and the log of all of it. How calls come in (a socket, later a listener) is not its business.
 */
import { createHash } from 'node:crypto'
import type { Values } from '@azukari/protocol/adapters/command-line'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Database } from '../storage/database.ts'
import { insertRow } from '../storage/insert.ts'
import type { Accounts, Session } from './accounts.ts'
import type { OperatorLog } from './log.ts'
import type { Answer, OperatorCommand, SiteAccess } from './roles.ts'
import { type Call, checkCall } from './wire.ts'

const pendingMs = 24 * 3_600_000
const pendingAtMost = 1_000
/** Whether somebody is signed in, and who: needs no role. */
const signIn: ReadonlySet<string> = new Set(['login', 'logout', 'whoami', 'confirm'])
const noSession = new Uint8Array()

export interface DeskParts {
  database: Database
  accounts: Accounts
  log: OperatorLog
  site: SiteAccess
  find(command: string): Promise<OperatorCommand | undefined>
  faults: Log
}

interface Pending {
  id: string
  operator: string
  command: string
  call: Uint8Array
  expires_ms: number
}

export class OperatorDesk {
  readonly #parts: DeskParts

  constructor(parts: DeskParts) {
    this.#parts = parts
  }

  /** @throws {Problem} whatever the command refuses, and `operator.*` */
  async answer(call: Call): Promise<Answer> {
    if (call.command === 'login') return this.#login(call)
    const session = await this.#parts.accounts.session(call.token).catch(async (error) => {
      await this.#note({ operator: '', id: noSession }, call, codeOf(error))
      throw error
    })
    if (!signIn.has(call.command)) return this.#begin(session, call)
    if (call.command === 'confirm') return this.#confirm(session, call)
    if (call.command === 'logout') {
      await this.#parts.accounts.logout(session)
      await this.#note(session, call, 'done')
      return { json: { signedOut: session.operator }, text: `${session.operator} is signed out` }
    }
    const { operator, roles, expiresMs } = session
    const until = new Date(expiresMs).toISOString()
    return { json: { operator, roles, until }, text: `${operator} (${roles.join(', ')}) until ${until}` }
  }

  async #login(call: Call): Promise<Answer> {
    const { name, password, code } = call.values
    if (typeof name !== 'string' || typeof password !== 'string')
      throw new Problem('message.invalid', 'a login has a name and a password')
    const open: Call = { command: 'login', values: { name }, positionals: [] }
    try {
      const token = await this.#parts.accounts.login(name, password, typeof code === 'string' ? code : undefined)
      const session = await this.#parts.accounts.session(token)
      await this.#note(session, open, 'done')
      return { json: { operator: name, token }, text: `${name} is signed in` }
    } catch (error) {
      // Never a name that was typed: it may be a password in the wrong place.
      if (isProblem(error)) await this.#note({ operator: '', id: noSession }, open, error.code)
      throw error
    }
  }

  async #begin(session: Session, call: Call): Promise<Answer> {
    const command = await this.#commandFor(session, call)
    if (!command.twoPeople) return this.#carryOut(session, command, call)
    const id = Buffer.from(this.#parts.site.ports.random.bytes(8)).toString('hex')
    const now = this.#parts.site.ports.clock.now()
    await this.#parts.database.transaction(async (sql) => {
      await sql.run('DELETE FROM pending_acts WHERE expires_ms <= ?', now)
      const { n } = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM pending_acts'))!
      if (n >= pendingAtMost) throw new Problem('quota.exceeded', `${n} acts wait for a second person`)
      const { token: _, ...kept } = call
      await insertRow(sql, 'pending_acts', {
        id,
        operator: session.operator,
        command: call.command,
        digest: digestOf(call),
        call: encodeDeterministic(kept),
        expires_ms: now + pendingMs,
      })
    })
    await this.#note(session, call, 'pending')
    return {
      json: { pending: id },
      text: `pending ${id}: another person confirms it with azukari-gateway confirm ${id}`,
    }
  }

  /** The second person. What is carried out is what the first one gave, whoever confirms it. */
  async #confirm(session: Session, call: Call): Promise<Answer> {
    const [id = ''] = call.positionals
    const now = this.#parts.site.ports.clock.now()
    const sql = this.#parts.database
    const found = await sql.get<Pending>('SELECT * FROM pending_acts WHERE id = ? AND expires_ms > ?', id, now)
    if (!found) return this.#refuse(session, call, new Problem('operator.pending-unknown', id))
    const begun = checkCall(decode(found.call, { maxBytes: 16 << 20 }))
    const command = await this.#commandFor(session, begun)
    if (found.operator === session.operator)
      return this.#refuse(session, begun, new Problem('operator.same-person', id))
    // Taken first: of two who confirm at once, one carries it out.
    if ((await sql.run('DELETE FROM pending_acts WHERE id = ?', id)).changes === 0)
      return this.#refuse(session, begun, new Problem('operator.pending-unknown', id))
    return this.#carryOut(session, command, begun, found.operator)
  }

  async #commandFor(session: Session, call: Call): Promise<OperatorCommand> {
    const command = await this.#parts.find(call.command)
    if (!command) return this.#refuse(session, call, new Problem('command.invalid', `no command ${call.command}`))
    if (!session.roles.includes(command.role))
      return this.#refuse(session, call, new Problem('operator.forbidden', command.role))
    return command
  }

  async #carryOut(session: Session, command: OperatorCommand, call: Call, first?: string): Promise<Answer> {
    const { accounts, log, site, faults } = this.#parts
    await this.#note(session, call, 'begun')
    try {
      const people = first === undefined ? [session.operator] : [first, session.operator]
      const act = { site, accounts, log, operator: session.operator, people }
      const answer = await command.carryOut(act, call.values as Values, call.positionals)
      await this.#note(session, call, 'done')
      return answer
    } catch (error) {
      if (!isProblem(error)) faults.error('operator command failed', { command: call.command, error: String(error) })
      await this.#note(session, call, codeOf(error))
      throw error
    } finally {
      // Also after a failure: it may have changed something first.
      site.changed?.()
    }
  }

  async #refuse(session: Session, call: Call, problem: Problem): Promise<never> {
    await this.#note(session, call, problem.code)
    throw problem
  }

  async #note(session: Pick<Session, 'operator' | 'id'>, call: Call, outcome: string): Promise<void> {
    const entry = { operator: session.operator, session: session.id, command: call.command.slice(0, 64) }
    await this.#parts.log.add({ ...entry, digest: digestOf(call), outcome }, this.#parts.site.ports.clock.now())
  }
}

/** Values may be secret (a new password): a digest with the command would let them be guessed, so those are left out. */
function digestOf({ command, values, positionals }: Call): Uint8Array {
  const { password: _, code: __, ...open } = values
  const sorted = Object.entries(open).sort(([a], [b]) => (a < b ? -1 : 1))
  return new Uint8Array(
    createHash('sha256')
      .update(encodeDeterministic([command, sorted, positionals]))
      .digest(),
  )
}

function codeOf(error: unknown): string {
  return isProblem(error) ? error.code : 'internal'
}
