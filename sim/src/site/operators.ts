/** People who work on a simulated site, each signed in with a session of their own, in this process. */
import { callSite } from '@azukari/gateway/operator-api/client'
import { operatorCommand } from '@azukari/gateway/operator-api/find'
import type { Role } from '@azukari/gateway/operator-api/role'
import type { Answer } from '@azukari/gateway/operator-api/roles'
import type { Values } from '@azukari/protocol/adapters/command'
import { InternalError } from '@azukari/protocol/problem'

export class Operators {
  readonly #folder: string
  readonly #tokens = new Map<string, string>()

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
  async run(name: string, command: string, values: Values, positionals: string[] = []): Promise<Answer> {
    const token = this.#tokens.get(name)
    if (!token) throw new InternalError(`${name} is not signed in`)
    const files = (await operatorCommand(command)) ?? { filesOut: ['out'] }
    const options = 'options' in files ? files.options : {}
    const defaults = Object.entries(options).map(([option, { default: otherwise }]) => [option, otherwise])
    const given = { ...Object.fromEntries(defaults), ...values, folder: this.#folder }
    return callSite(command, given, positionals, files, { token })
  }

  async #signIn(name: string, password: string): Promise<void> {
    const { json } = await callSite('login', { folder: this.#folder, name, password }, [])
    this.#tokens.set(name, (json as { token: string }).token)
  }
}
