/** People who work on a simulated site, each signed in with a session of their own, in this process. */
import { writeFile } from 'node:fs/promises'
import { commands } from '@azukari/gateway/commands'
import type { Role } from '@azukari/gateway/operator-api/roles'
import type { Values } from '@azukari/protocol/adapters/command-line'
import { InternalError } from '@azukari/protocol/problem'

export class Operators {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** @param first the account that `init` made */
  static async of(folder: string, first: { name: string; password: string }): Promise<Operators> {
    const operators = new Operators(folder)
    await operators.#signIn(first.name, first.password)
    return operators
  }

  /** Makes an account and signs it in. */
  async add(name: string, ...roles: Role[]): Promise<void> {
    const { json } = await this.run('admin', 'operator add', { role: roles }, [name])
    await this.#signIn(name, (json as { password: string }).password)
  }

  /** Runs a command of the gateway as somebody. @throws {Problem} what it refuses */
  async run(name: string, command: string, values: Values, positionals: string[] = []) {
    const before = process.env['XDG_STATE_HOME']
    process.env['XDG_STATE_HOME'] = `${this.#folder}/state-${name}`
    try {
      const answer = await commands[command]?.run({ folder: this.#folder, site: 'site', ...values }, positionals)
      if (!answer) throw new InternalError(`no command ${command}`)
      return answer
    } finally {
      if (before === undefined) delete process.env['XDG_STATE_HOME']
      else process.env['XDG_STATE_HOME'] = before
    }
  }

  async #signIn(name: string, password: string): Promise<void> {
    const file = `${this.#folder}/password-${name}`
    await writeFile(file, password, { mode: 0o600 })
    await this.run(name, 'login', { 'password-file': file }, [name])
  }
}
