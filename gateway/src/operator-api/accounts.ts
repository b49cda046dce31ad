/** Accounts of operators and their sessions. A session is a random token of which only the hash is kept. */
import { createHash } from 'node:crypto'
import { base32 } from '@azukari/protocol/base32'
import { Problem } from '@azukari/protocol/problem'
import { slugPattern } from '@azukari/protocol/topics'
import type { SitePorts } from '../site-folder.ts'
import type { Database, Sql } from '../storage/database.ts'
import { insertRow } from '../storage/insert.ts'
import { isSame, type PasswordCost, passwordCost, totpStep, verifierOf } from './passwords.ts'
import type { Role } from './role.ts'

const sessionMs = 12 * 3_600_000
const idleMs = 3_600_000
/** Tries that cost nothing; each after that doubles the wait. */
const freeTries = 3
const longestWaitMs = 15 * 60_000
const maxOperators = 256
const passwordLetters = { least: 12, most: 256 }

interface Row {
  name: string
  salt: Uint8Array
  verifier: Uint8Array
  passes: number
  memory: number
  roles: string
  totp: Uint8Array | null
  totp_step: number
  disabled: number
  failures: number
  wait_until_ms: number
  /** The same, of tries from other machines. */
  remote_failures: number
  remote_wait_until_ms: number
  made_ms: number
}

export interface Session {
  /** The hash of its token, which names it in the log. */
  id: Uint8Array
  operator: string
  roles: Role[]
  expiresMs: number
}

export class Accounts {
  readonly #database: Database
  readonly #ports: Pick<SitePorts, 'clock' | 'random'>
  readonly #cost: PasswordCost

  constructor(database: Database, ports: Pick<SitePorts, 'clock' | 'random'>, cost: PasswordCost = passwordCost) {
    this.#database = database
    this.#ports = ports
    this.#cost = cost
  }

  /** A password that nobody chose: 100 bits. */
  newPassword(): string {
    return (base32(this.#ports.random.bytes(13)).slice(0, 20).match(/.{5}/g) ?? []).join('-')
  }

  /** @throws {Problem} `config.invalid` */
  async add(name: string, roles: readonly Role[], password: string): Promise<void> {
    if (!slugPattern.test(name)) throw new Problem('config.invalid', 'a name has a–z, digits and hyphens, at most 32')
    const verifier = await this.#newVerifier(password)
    await this.#database.transaction(async (sql) => {
      if (await sql.get('SELECT name FROM operators WHERE name = ?', name))
        throw new Problem('config.invalid', `there is an operator ${name} already`)
      const { n } = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM operators'))!
      if (n >= maxOperators) throw new Problem('config.invalid', `a site has at most ${maxOperators} operators`)
      await insertRow(sql, 'operators', {
        name,
        ...verifier,
        roles: roles.join(','),
        totp: null,
        totp_step: 0,
        disabled: 0,
        failures: 0,
        wait_until_ms: 0,
        remote_failures: 0,
        remote_wait_until_ms: 0,
        made_ms: this.#ports.clock.now(),
      })
    })
  }

  async count(): Promise<number> {
    return (await this.#database.get<{ n: number }>('SELECT count(*) AS n FROM operators'))!.n
  }

  async list(): Promise<{ name: string; roles: string[]; totp: boolean; disabled: boolean; madeMs: number }[]> {
    const rows = await this.#database.all<Row>('SELECT * FROM operators ORDER BY name')
    return rows.map((row) => ({
      name: row.name,
      roles: row.roles.split(','),
      totp: row.totp !== null,
      disabled: row.disabled === 1,
      madeMs: row.made_ms,
    }))
  }

  /** Closes an account for good and ends its sessions. @throws {Problem} `config.invalid` also for the last administrator */
  async disable(name: string): Promise<void> {
    await this.#database.transaction(async (sql) => {
      mustNotBeLast(await openAccounts(sql, name), name)
      await sql.run('UPDATE operators SET disabled = 1 WHERE name = ?', name)
      await sql.run('DELETE FROM operator_sessions WHERE operator = ?', name)
    })
  }

  /** Its sessions have them from their next call on. @throws {Problem} `config.invalid` also for the last administrator */
  async setRoles(name: string, roles: readonly Role[]): Promise<void> {
    await this.#database.transaction(async (sql) => {
      const rows = await openAccounts(sql, name)
      if (!roles.includes('admin')) mustNotBeLast(rows, name)
      await sql.run('UPDATE operators SET roles = ? WHERE name = ?', roles.join(','), name)
    })
  }

  /** A new password ends every session of the account. @throws {Problem} `config.invalid` */
  async setPassword(name: string, password: string): Promise<void> {
    const { salt, verifier, passes, memory } = await this.#newVerifier(password)
    await this.#database.transaction(async (sql) => {
      const { changes } = await sql.run(
        'UPDATE operators SET salt = ?, verifier = ?, passes = ?, memory = ?, failures = 0, wait_until_ms = 0, remote_failures = 0, remote_wait_until_ms = 0 WHERE name = ?',
        salt,
        verifier,
        passes,
        memory,
        name,
      )
      if (changes === 0) throw new Problem('config.invalid', `there is no operator ${name}`)
      await sql.run('DELETE FROM operator_sessions WHERE operator = ?', name)
    })
  }

  /** From now on a code is asked as well: gives the secret, in the alphabet that telephones take. */
  async newTotp(name: string): Promise<string> {
    const secret = this.#ports.random.bytes(20)
    const { changes } = await this.#database.run(
      'UPDATE operators SET totp = ?, totp_step = 0 WHERE name = ?',
      secret,
      name,
    )
    if (changes === 0) throw new Problem('config.invalid', `there is no operator ${name}`)
    return base32(secret).toUpperCase()
  }

  /**
   * @param via the name under which the site was reached from another machine; '' at the socket
   * @returns the token of a new session, good only there. @throws {Problem} `operator.login-refused`, `operator.login-wait`
   */
  async login(name: string, password: string, code: string | undefined, via = ''): Promise<string> {
    const now = this.#ports.clock.now()
    // Counted before the work, so that many tries at once are not free.
    const before = await this.#countTry(name, now, via)
    const cost = before ? { memory: before.memory, passes: before.passes } : this.#cost
    const verifier = await verifierOf(password, before?.salt ?? new Uint8Array(16), cost)
    const token = this.#ports.random.bytes(32)
    const passed = await this.#database.transaction(async (sql) => {
      const row = await sql.get<Row>('SELECT * FROM operators WHERE name = ?', name)
      if (!row || row.disabled || !isSame(verifier, row.verifier)) return false
      const step = row.totp ? totpStep(row.totp, code ?? '', now, row.totp_step) : row.totp_step
      if (step === undefined) return false
      const reset = via
        ? 'UPDATE operators SET remote_failures = 0, remote_wait_until_ms = 0, totp_step = ? WHERE name = ?'
        : 'UPDATE operators SET failures = 0, wait_until_ms = 0, totp_step = ? WHERE name = ?'
      await sql.run(reset, step, name)
      await sql.run('DELETE FROM operator_sessions WHERE began_ms < ? OR used_ms < ?', now - sessionMs, now - idleMs)
      await insertRow(sql, 'operator_sessions', {
        token: hashOf(token),
        operator: name,
        began_ms: now,
        used_ms: now,
        via,
      })
      return true
    })
    if (!passed) throw new Problem('operator.login-refused')
    return Buffer.from(token).toString('hex')
  }

  /** The session of a token, which counts as used. @param via as at `login` @throws {Problem} `operator.unauthenticated` */
  async session(token: string | undefined, via = ''): Promise<Session> {
    if (!token || !/^[0-9a-f]{64}$/.test(token)) throw new Problem('operator.unauthenticated')
    const now = this.#ports.clock.now()
    const id = hashOf(Buffer.from(token, 'hex'))
    const found = await this.#database.transaction(async (sql) => {
      const session = await sql.get<{ operator: string; began_ms: number; used_ms: number }>(
        'SELECT * FROM operator_sessions WHERE token = ? AND via = ?',
        id,
        via,
      )
      const row = session && (await sql.get<Row>('SELECT * FROM operators WHERE name = ?', session.operator))
      if (!session || !row || row.disabled) return undefined
      if (now >= session.began_ms + sessionMs || now >= session.used_ms + idleMs) return undefined
      await sql.run('UPDATE operator_sessions SET used_ms = ? WHERE token = ?', now, id)
      return { operator: row.name, roles: row.roles.split(',') as Role[], expiresMs: session.began_ms + sessionMs }
    })
    if (!found) throw new Problem('operator.unauthenticated')
    return { id, ...found }
  }

  /** Whether an account is open and has a role. */
  async holds(name: string, role: Role): Promise<boolean> {
    const row = await this.#database.get<Row>('SELECT * FROM operators WHERE name = ? AND disabled = 0', name)
    return row ? row.roles.split(',').includes(role) : false
  }

  async logout({ id }: Session): Promise<void> {
    await this.#database.run('DELETE FROM operator_sessions WHERE token = ?', id)
  }

  /** Tries at the socket and from other machines wait apart: no stranger keeps an operator out of the site's own machine. */
  async #countTry(name: string, now: number, via: string): Promise<Row | undefined> {
    return this.#database.transaction(async (sql) => {
      const row = await sql.get<Row>('SELECT * FROM operators WHERE name = ?', name)
      if (!row) return undefined
      const [failures, waitUntilMs] = via
        ? [row.remote_failures, row.remote_wait_until_ms]
        : [row.failures, row.wait_until_ms]
      if (waitUntilMs > now) throw new Problem('operator.login-wait', `${Math.ceil((waitUntilMs - now) / 1000)} s`)
      const over = failures + 1 - freeTries
      const wait = over < 0 ? 0 : Math.min(1_000 * 2 ** Math.min(over, 20), longestWaitMs)
      const count = via
        ? 'UPDATE operators SET remote_failures = remote_failures + 1, remote_wait_until_ms = ? WHERE name = ?'
        : 'UPDATE operators SET failures = failures + 1, wait_until_ms = ? WHERE name = ?'
      await sql.run(count, now + wait, name)
      return row
    })
  }

  async #newVerifier(password: string) {
    const { least, most } = passwordLetters
    if (password.length < least || password.length > most)
      throw new Problem('config.invalid', `a password has ${least} to ${most} letters`)
    const salt = this.#ports.random.bytes(16)
    return { salt, verifier: await verifierOf(password, salt, this.#cost), ...this.#cost }
  }
}

/** Those that are not closed. @throws {Problem} `config.invalid` when `name` is none of them */
async function openAccounts(sql: Sql, name: string): Promise<Row[]> {
  const rows = await sql.all<Row>('SELECT * FROM operators WHERE disabled = 0')
  if (!rows.some((row) => row.name === name)) throw new Problem('config.invalid', `there is no operator ${name}`)
  return rows
}

/** @throws {Problem} `config.invalid` */
function mustNotBeLast(rows: readonly Row[], name: string): void {
  if (!rows.some((row) => row.name !== name && row.roles.split(',').includes('admin')))
    throw new Problem('config.invalid', `${name} is the last administrator`)
}

function hashOf(token: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(token).digest())
}
