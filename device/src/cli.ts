#!/usr/bin/env node
/** `azukari-device`: one command per line of the table in commands.ts; `--help` shows them, `--json` answers for programs. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import { commands } from './commands.ts'

const exitCodes = { ok: 0, failed: 1, usage: 2 }

function help(name?: string): string {
  const lines = ['azukari-device: the runtime of a camera, printer or card-reader board', '']
  for (const [key, command] of Object.entries(commands)) {
    if (name && key !== name) continue
    lines.push(`  azukari-device ${key}`, `      ${command.what}`)
    for (const [option, { type, what, default: otherwise }] of Object.entries(command.options))
      lines.push(
        `      --${option}${type === 'string' ? ' …' : ''}  ${what}${otherwise === undefined ? '' : ` (${otherwise})`}`,
      )
    lines.push('')
  }
  lines.push(
    '  Options may also be given as AZUKARI_BOARD, AZUKARI_BROKER … in the environment. --json answers with one JSON',
    '  document. Ends with 0 when all is well, 1 when something is wrong, 2 when the command line was.',
  )
  return lines.join('\n')
}

async function main([name, ...rest]: string[]): Promise<number> {
  if (name === '--version') {
    console.log(version())
    return exitCodes.ok
  }
  const command = name && Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command || rest.includes('--help')) {
    console.log(help(command && name))
    return command || name === '--help' ? exitCodes.ok : exitCodes.usage
  }
  const json = rest.includes('--json')
  try {
    const options = Object.entries(command.options)
    const parsed = parseArgs({
      args: rest,
      options: { json: { type: 'boolean' }, ...Object.fromEntries(options.map(([key, { type }]) => [key, { type }])) },
    })
    const values: Record<string, string | boolean | undefined> = { ...parsed.values }
    for (const [key, option] of options) {
      values[key] ??= process.env[`AZUKARI_${key.toUpperCase().replaceAll('-', '_')}`] ?? option.default
      if (option.required && values[key] === undefined)
        throw new Problem('config.invalid', `--${key} is needed: ${option.what}`)
    }
    const answer = await command.run(values, version())
    if (answer) console.log(json ? JSON.stringify(answer.json, null, 2) : answer.text)
    return answer?.ok === false ? exitCodes.failed : exitCodes.ok
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

function version(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}

process.exitCode = await main(process.argv.slice(2))
