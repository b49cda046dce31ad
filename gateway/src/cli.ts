#!/usr/bin/env node
/** `azukari-gateway`: one command per line of the table below; `--help` shows them, `--json` answers for programs. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import { type Command, commands } from './commands.ts'

const exitCodes = { ok: 0, failed: 1, usage: 2 }

function help(name?: string): string {
  const shown = name ? Object.entries(commands).filter(([key]) => key === name) : Object.entries(commands)
  const lines = ['azukari-gateway: the gateway of a site, its services and data servers', '']
  for (const [key, command] of shown) {
    lines.push(
      `  azukari-gateway ${key}${command.positionals ? ` ${command.positionals}` : ''}`,
      `      ${command.what}`,
    )
    for (const [option, { type, what, default: otherwise }] of Object.entries(command.options))
      lines.push(
        `      --${option}${type === 'string' ? ' …' : ''}  ${what}${otherwise === undefined ? '' : ` (${otherwise})`}`,
      )
    lines.push('')
  }
  lines.push(
    '  Options may also be given as AZUKARI_FOLDER, AZUKARI_PORT … in the environment. --json answers with one JSON document.',
  )
  return lines.join('\n')
}

/** Finds the longest command that the words begin with. */
function find(words: readonly string[]): { name: string; command: Command; rest: string[] } | undefined {
  for (let length = Math.min(3, words.length); length > 0; length--) {
    const name = words.slice(0, length).join(' ')
    const command = commands[name]
    if (command) return { name, command, rest: words.slice(length) }
  }
  return undefined
}

async function main(words: string[]): Promise<number> {
  if (words.includes('--version')) {
    console.log(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version)
    return exitCodes.ok
  }
  const found = find(words)
  if (!found || words.length === 0 || words.includes('--help')) {
    console.log(help(found?.name))
    return found || words.includes('--help') ? exitCodes.ok : exitCodes.usage
  }
  const { command, rest } = found
  const json = rest.includes('--json')
  try {
    const parsed = parseArgs({
      args: rest,
      allowPositionals: command.positionals !== undefined,
      options: {
        json: { type: 'boolean' },
        ...Object.fromEntries(
          Object.entries(command.options).map(([name, { type, multiple }]) => [
            name,
            { type, multiple: multiple ?? false },
          ]),
        ),
      },
    })
    const values: Record<string, string | boolean | string[] | undefined> = { ...parsed.values }
    for (const [name, option] of Object.entries(command.options)) {
      const fromEnvironment = process.env[`AZUKARI_${name.toUpperCase().replaceAll('-', '_')}`]
      values[name] ??= fromEnvironment ?? option.default
      if (option.required && values[name] === undefined)
        throw new Problem('config.invalid', `--${name} is needed: ${option.what}`)
    }
    const answer = await command.run(values, parsed.positionals)
    if (answer) console.log(json ? JSON.stringify(answer.json, null, 2) : answer.text)
    return exitCodes.ok
  } catch (error) {
    const usage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
    const problem = isProblem(error)
      ? error
      : new Problem(usage ? 'config.invalid' : 'internal', error instanceof Error ? error.message : String(error))
    const { title, todo } = describe(problem.code, process.env['LANG']?.startsWith('ja') ? 'ja' : 'en')
    if (json) console.log(JSON.stringify({ problem: problem.toWire() }))
    else console.error(`${title}${problem.detail ? `: ${problem.detail}` : ''}\n${todo}`)
    if (!isProblem(error) && !usage) console.error(error)
    return usage ? exitCodes.usage : exitCodes.failed
  }
}

process.exitCode = await main(process.argv.slice(2))
