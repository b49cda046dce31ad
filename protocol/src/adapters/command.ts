/** What a command is, and a program of commands. */

export type Values = Record<string, string | boolean | string[] | undefined>

export interface CommandOption {
  type: 'string' | 'boolean'
  what: string
  default?: string
  required?: boolean
  multiple?: boolean
}

export interface Command {
  what: string
  /** Names of what follows the options, for `--help`; without it nothing may. */
  positionals?: string
  options: Record<string, CommandOption>
  /** What to answer, as JSON and in words; undefined when it has said all. `exit` other than 0 when it failed. */
  run(values: Values, positionals: string[]): Promise<{ json: unknown; text: string; exit?: number } | undefined>
}

export interface Program {
  name: string
  what: string
  /** Where `package.json` lies, for `--version`. */
  manifest: URL
  commands: Record<string, Command>
  /** Lets another version of the program answer a call: its exit code; undefined when this one answers. */
  handOver?: (words: readonly string[], environment: NodeJS.ProcessEnv) => Promise<number | undefined>
}
