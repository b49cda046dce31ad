#!/usr/bin/env node
/** `azukari-gateway`: the gateway of a site, its services and its data servers. */
import { keepYoungGenerationSmall } from '@azukari/protocol/adapters/lean-memory'

// Before the rest is loaded: that alone would make it grow.
keepYoungGenerationSmall()
const [{ runCommandLine }, { commands }, { handOver }] = await Promise.all([
  import('@azukari/protocol/adapters/command-line'),
  import('./commands.ts'),
  import('./operator/handover.ts'),
])
const program = {
  name: 'azukari-gateway',
  what: 'the gateway of a site, its services and data servers',
  manifest: new URL('../package.json', import.meta.url),
  commands,
  handOver,
}
process.exitCode = await runCommandLine(program, process.argv.slice(2), process.env)
