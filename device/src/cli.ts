#!/usr/bin/env node
/** `azukari-device`: the runtime of a camera, printer or card-reader board. */
import { keepYoungGenerationSmall } from '@azukari/protocol/adapters/lean-memory'

// Before the rest is loaded: that alone would make it grow.
keepYoungGenerationSmall()
const [{ runCommandLine }, { commands }] = await Promise.all([
  import('@azukari/protocol/adapters/command-line'),
  import('./commands.ts'),
])
const program = {
  name: 'azukari-device',
  what: 'the runtime of a camera, printer or card-reader board',
  manifest: new URL('../package.json', import.meta.url),
  commands,
}
process.exitCode = await runCommandLine(program, process.argv.slice(2), process.env)
