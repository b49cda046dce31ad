#!/usr/bin/env node
/** `azukari-gateway`: the gateway of a site, its services and its data servers. */
import { keepYoungGenerationSmall } from '@azukari/protocol/adapters/lean-memory'

// Before the rest is loaded: that alone would make it grow.
keepYoungGenerationSmall()
const [{ runCommandLine }, { commands }, { atSite }, { handOver }] = await Promise.all([
  import('@azukari/protocol/adapters/command-line'),
  import('./lazy-commands.ts'),
  import('./operator/at-site.ts'),
  import('./operator/handover.ts'),
])
const program = {
  name: 'azukari-gateway',
  what: 'the gateway of a site, its services and data servers',
  manifest: new URL('../package.json', import.meta.url),
  commands: atSite(commands),
  handOver,
}
process.exitCode = await runCommandLine(program, process.argv.slice(2), process.env)
// What a process that could not start has opened already must not keep it alive: it looks as if it worked.
if (process.exitCode !== 0) setTimeout(() => process.exit(), 2_000).unref()
