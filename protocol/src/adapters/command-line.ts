/**
 * The command line of `azukari-device`, `azukari-gateway` and `azukari-sim`: a table of commands, each with its options;
 * `--help` for all or one, `--json` for programs, options from the environment, exit codes 0 (done), 1 (failed) and 2
 * (the call's words are off).
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describe, isProblem, Problem } from '../problem.ts'

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

export const exitCodes = { done: 0, failed: 1, usage: 2 }

/** Runs one call and gives its exit code. */
export async function runCommandLine(
  program: Program,
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  // Only by itself: a command may have an option of that name.
  if (words[0] === '--version') {
    console.log(JSON.parse(readFileSync(program.manifest, 'utf8')).version)
    return exitCodes.done
  }
  try {
    const handed = await program.handOver?.(words, environment)
    if (handed !== undefined) return handed
  } catch (error) {
    return tell(error, words.includes('--json'), environment)
  }
  const found = find(program, words)
  const asked = words.includes('--help') || words.includes('-h')
  if (!found || asked) {
    if (!found && words.length > 0 && !asked) console.error(`${program.name}: no such command: ${words.join(' ')}\n`)
    console.log(help(program, found?.name))
    return asked ? exitCodes.done : exitCodes.usage
  }
  const json = words.includes('--json')
  try {
    const { values, positionals } = parse(found.command, found.rest, environment)
    const answer = await found.command.run(values, positionals)
    if (answer) console.log(json ? JSON.stringify(answer.json, null, 2) : answer.text)
    return answer?.exit ?? exitCodes.done
  } catch (error) {
    return tell(error, json, environment)
  }
}

/** A needed text option. @throws {Problem} `config.invalid` */
export function text(values: Values, name: string): string {
  const value = values[name]
  if (typeof value !== 'string' || value === '') throw new Problem('config.invalid', `--${name} is needed`)
  return value
}

/** A whole number in bounds. @throws {Problem} `config.invalid`, naming what is allowed */
export function integer(values: Values, name: string, low: number, high: number): number {
  const given = text(values, name)
  const value = Number(given)
  if (!Number.isInteger(value) || value < low || value > high)
    throw new Problem('config.invalid', `--${name} is ${given}; it must be a whole number from ${low} to ${high}`)
  return value
}

/** The longest command that the words begin with. */
function find(
  { commands }: Program,
  words: readonly string[],
): { name: string; command: Command; rest: string[] } | undefined {
  for (let length = Math.min(3, words.length); length > 0; length--) {
    const name = words.slice(0, length).join(' ')
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (command) return { name, command, rest: words.slice(length) }
  }
  return undefined
}

function parse(
  command: Command,
  rest: string[],
  environment: NodeJS.ProcessEnv,
): { values: Values; positionals: string[] } {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, multiple }]) => [name, { type, multiple: multiple ?? false }]),
  )
  const parsed = parseArgs({
    args: rest,
    allowPositionals: command.positionals !== undefined,
    options: { json: { type: 'boolean' }, ...options },
  })
  const values: Values = { ...parsed.values }
  for (const [name, option] of Object.entries(command.options)) {
    values[name] ??= environment[`AZUKARI_${name.toUpperCase().replaceAll('-', '_')}`] ?? option.default
    if (option.required && values[name] === undefined)
      throw new Problem('config.invalid', `--${name} is needed: ${option.what}`)
  }
  return { values, positionals: parsed.positionals }
}

function help(program: Program, only?: string): string {
  const shown = Object.entries(program.commands).filter(([name]) => only === undefined || name === only)
  const lines = [`${program.name}: ${program.what}`, '']
  for (const [name, command] of shown) {
    lines.push(
      `  ${program.name} ${name}${command.positionals ? ` ${command.positionals}` : ''}`,
      `      ${command.what}`,
    )
    for (const [option, { type, what, default: otherwise }] of Object.entries(command.options))
      lines.push(
        `      --${option}${type === 'string' ? ' …' : ''}  ${what}${otherwise === undefined ? '' : ` (${otherwise})`}`,
      )
    lines.push('')
  }
  lines.push(
    '  --help  this text; --json  one JSON document in place of words; --version',
    '  Options may also stand in the environment: --folder as AZUKARI_FOLDER, and so on.',
  )
  return lines.join('\n')
}

function tell(error: unknown, json: boolean, environment: NodeJS.ProcessEnv): number {
  const usage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  const ours = isProblem(error)
  const problem = ours
    ? error
    : new Problem(usage ? 'config.invalid' : 'internal', error instanceof Error ? error.message : String(error))
  const { title, todo } = describe(problem.code, environment['LANG']?.startsWith('ja') ? 'ja' : 'en')
  if (json) console.log(JSON.stringify({ problem: problem.toWire() }))
  else console.error(`${title}${problem.detail ? `: ${problem.detail}` : ''}\n${todo}`)
  // A bug: whoever mends it needs to know where.
  if (!ours && !usage && !json) console.error(error)
  return usage ? exitCodes.usage : exitCodes.failed
}
