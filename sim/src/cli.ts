#!/usr/bin/env node
/** `azukari-sim`: simulated sites, boards and cards, demos, and the whole-system simulation. */
import { runCommandLine } from '@azukari/protocol/adapters/command-line'
import { commands } from './command-table.ts'

const program = {
  name: 'azukari-sim',
  what: 'simulated sites, boards, cards and disasters',
  manifest: new URL('../package.json', import.meta.url),
  commands,
}
process.exitCode = await runCommandLine(program, process.argv.slice(2), process.env)
