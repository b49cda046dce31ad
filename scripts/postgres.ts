/**
 * Runs a command with a PostgreSQL of its own: starts one in a temporary folder, gives its URL in AZUKARI_TEST_POSTGRES,
 * stops it when the command ends. A URL that is set already is used as it is.
 *
 *   node scripts/postgres.ts run [--durable] -- COMMAND…
 */
import { spawn } from 'node:child_process'
import { Problem } from '@azukari/protocol/problem'
import { startPostgres } from '@azukari/sim/testkit/postgres'

const usage = 'usage: node scripts/postgres.ts run [--durable] -- COMMAND…'

/** Runs the command to its end and gives its exit code; 128 + n when signal n ended it, as shells do. */
export async function runCommand(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(command[0]!, command.slice(1), { stdio: 'inherit', env: { ...process.env, ...environment } })
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, forward)
  return await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      console.error(`${command[0]} does not start: ${error.message}`)
      resolve(127)
    })
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)))
  })
}

/** The command, with a PostgreSQL to be found in AZUKARI_TEST_POSTGRES. @throws {Problem} `service.unavailable` without PostgreSQL */
export async function runWithPostgres(command: readonly string[], isDurable = false): Promise<number> {
  if (process.env['AZUKARI_TEST_POSTGRES']) return await runCommand(command, {})
  await using postgres = await startPostgres({ isDurable })
  return await runCommand(command, { AZUKARI_TEST_POSTGRES: postgres.url })
}

if (import.meta.main) {
  const [verb, ...rest] = process.argv.slice(2)
  const split = rest.indexOf('--')
  const options = rest.slice(0, split < 0 ? rest.length : split)
  const command = split < 0 ? [] : rest.slice(split + 1)
  if (verb !== 'run' || command.length === 0 || options.some((option) => option !== '--durable')) {
    console.error(usage)
    process.exit(2)
  }
  try {
    process.exitCode = await runWithPostgres(command, options.includes('--durable'))
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
