/**
 * The command line of `azukari-device`, `azukari-gateway` and `azukari-sim`: a table of commands, each with its options;
 * `--help` for all or one, `--json` for programs, options from the environment, exit codes 0 (done), 1 (failed) and 2
 * (the call's words are off).
 */

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describe, isProblem, Problem } from '../problem.ts'
import type { Command, Program, Values } from './command.ts'

/** The call's words are off: exit code 2. */
export class UsageError extends Problem {
  constructor(detail: string) {
    super('command.invalid', detail)
  }
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
  const json = words.includes('--json')
  if (words[0] === 'completion') {
    const { completion } = await import('./completion.ts')
    try {
      console.log(completion(program, words.slice(1)))
      return exitCodes.done
    } catch (error) {
      tell(error, false, environment)
      return exitCodes.usage
    }
  }
  const found = find(program, words)
  const asked = words.includes('--help') || words.includes('-h')
  if (asked || words.length === 0) {
    console.log(found ? helpOf(program, found.name, found.command) : help(program, leading(words)))
    return asked ? exitCodes.done : exitCodes.usage
  }
  if (!found) {
    const given = leading(words)
    const detail = `${program.name} has no command “${given || words.join(' ')}”${meant(program, given)}`
    return tell(new UsageError(detail), json, environment)
  }
  try {
    const { values, positionals } = parse(found.command, found.rest, environment)
    const answer = await found.command.run(values, positionals)
    if (answer) console.log(json ? JSON.stringify(answer.json, null, 2) : answer.text)
    return answer?.exit ?? exitCodes.done
  } catch (error) {
    return tell(error, json, environment)
  }
}

/** A needed text option. @throws {Problem} `command.invalid` */
export function text(values: Values, name: string): string {
  const value = values[name]
  if (typeof value !== 'string' || value === '') throw new UsageError(`--${name} is needed`)
  return value
}

/** A whole number in bounds. @throws {Problem} `command.invalid`, naming what is allowed */
export function integer(values: Values, name: string, low: number, high: number): number {
  const given = text(values, name)
  const value = Number(given)
  if (!Number.isInteger(value) || value < low || value > high)
    throw new UsageError(`--${name} is ${given}; it must be a whole number from ${low} to ${high}`)
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
    if (option.required && values[name] === undefined) throw new UsageError(`--${name} is needed: ${option.what}`)
  }
  return { values, positionals: parsed.positionals }
}

/** The words before the first option. */
function leading(words: readonly string[]): string {
  const end = words.findIndex((word) => word.startsWith('-'))
  return words.slice(0, end === -1 ? words.length : end).join(' ')
}

/** What was probably meant by words that are no command: those that begin so, or that differ in a letter or two. */
function meant({ name, commands }: Program, given: string): string {
  const names = Object.keys(commands)
  const begun = given ? names.filter((known) => known.startsWith(`${given} `)) : []
  const words = given.split(' ')
  const close = names.filter((known) => {
    const length = known.split(' ').length
    return editsBetween(words.slice(0, length).join(' '), known) <= 2
  })
  const likely = (begun.length > 0 ? begun : close).slice(0, 6)
  return likely.length > 0 ? `; there is ${likely.join(', ')}` : `; ${name} --help lists them`
}

/** How many letters must be changed, added or left out (Levenshtein). */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}

/** Every command, or those that begin with `under`, in two lines each. */
function help(program: Program, under: string): string {
  const all = Object.entries(program.commands)
  const begun = all.filter(([name]) => name.startsWith(`${under} `))
  const lines = [`${program.name}: ${program.what}`, '']
  for (const [name, command] of begun.length > 0 ? begun : all) lines.push(...headOf(program, name, command))
  lines.push(
    '',
    `  ${program.name} COMMAND --help  the options of one command`,
    `  ${program.name} completion bash|zsh|fish  completion for a shell`,
    '  --json  one JSON document in place of words; --version',
  )
  return lines.join('\n')
}

/** One command with its options. */
function helpOf(program: Program, name: string, command: Command): string {
  const lines = [`${program.name}: ${program.what}`, '', ...headOf(program, name, command)]
  for (const [option, { type, what, default: otherwise }] of Object.entries(command.options))
    lines.push(
      `      --${option}${type === 'string' ? ' …' : ''}  ${what}${otherwise === undefined ? '' : ` (${otherwise})`}`,
    )
  const more = Object.keys(program.commands).filter((other) => other.startsWith(`${name} `))
  if (more.length > 0) lines.push('', `  Also: ${more.join(', ')}`)
  lines.push(
    '',
    '  --help  this text; --json  one JSON document in place of words; --version',
    '  Options may also stand in the environment: --folder as AZUKARI_FOLDER, and so on.',
  )
  return lines.join('\n')
}

function headOf(program: Program, name: string, { what, positionals }: Command): [string, string] {
  return [`  ${program.name} ${name}${positionals ? ` ${positionals}` : ''}`, `      ${what}`]
}

const systemWords: Record<string, string> = {
  EADDRINUSE: 'another program listens there already; choose another port',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOENT: 'there is no such file or folder',
  EACCES: 'this user may not use it',
  EPERM: 'this user may not use it',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of it is no folder',
  EROFS: 'nothing can be written there',
}

/** A file or port named in the call that cannot be used is the caller's to mend, and no bug of ours. */
function systemProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const words = systemWords[String(error.code)]
  // Reading a folder as a file names no path.
  if (error.code === 'EISDIR' && !('path' in error))
    return new Problem('command.invalid', 'a folder was named where a file is needed', { cause: error })
  const what = 'path' in error ? error.path : 'port' in error && 'address' in error && `${error.address}:${error.port}`
  return words && what ? new Problem('command.invalid', `${what}: ${words}`, { cause: error }) : undefined
}

function tell(error: unknown, json: boolean, environment: NodeJS.ProcessEnv): number {
  const unparsed = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  const usage = unparsed || error instanceof UsageError
  const file = systemProblem(error)
  const ours = isProblem(error) || file !== undefined
  const problem = isProblem(error)
    ? error
    : (file ??
      new Problem(usage ? 'command.invalid' : 'internal', error instanceof Error ? error.message : String(error)))
  const { title, todo } = describe(problem.code, environment['LANG']?.startsWith('ja') ? 'ja' : 'en')
  if (json) console.log(JSON.stringify({ problem: problem.toWire() }))
  else console.error(`${title}${problem.detail ? `: ${problem.detail}` : ''}\n${todo}`)
  // A bug: whoever mends it needs to know where.
  if (!ours && !usage && !json) console.error(error)
  return usage ? exitCodes.usage : exitCodes.failed
}
