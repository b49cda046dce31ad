/** For tests of commands: a site whose operator API runs in this process, and people who are signed in to it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommandLine } from '@azukari/protocol/adapters/command-line'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Test } from 'tap'
import { openDatabase } from './adapters/database.ts'
import { systemPorts } from './adapters/system-ports.ts'
import { commands } from './commands.ts'
import type { Role } from './operator-api/role.ts'
import { roles } from './operator-api/role-list.ts'
import type { ServiceDispatch, SiteAccess } from './operator-api/roles.ts'
import { type OperatorApi, type OperatorApiSettings, startOperatorApi } from './operator-api/start.ts'
import { gatewayMigrations } from './registry/tables.ts'
import { SiteFolder, type SitePorts } from './site-folder.ts'
import { loadSiteKey } from './site-key.ts'
import { migrate } from './storage/migrate.ts'
import { telemetryMigrations } from './telemetry/tables.ts'

const quiet = () => undefined
const silent: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => silent }
export const cheapPasswords = { memory: 64, passes: 1 }
const manifest = new URL('../package.json', import.meta.url)

/** A site without services. */
export const noServices: ServiceDispatch = { carryOut: () => Promise.reject(new Problem('service.unavailable')) }

export interface OperatedSite {
  site: SiteAccess
  api: OperatorApi
  /** Makes an account and signs it in, in this process's own session file. */
  signIn(name: string, held?: readonly Role[]): Promise<string>
  stop(): Promise<void>
}

/** Runs a call as cli.ts does, and gives its exit code and what it answered as JSON. */
export async function jsonOf(t: Test, ...words: string[]): Promise<{ exit: number; answer: Record<string, unknown> }> {
  const log = t.capture(console, 'log')
  try {
    const program = { name: 'azukari-gateway', what: 'test', manifest, commands }
    const exit = await runCommandLine(program, [...words, '--json'], {})
    return {
      exit,
      answer: JSON.parse(
        log()
          .map(({ args }) => args.join(' '))
          .join('\n'),
      ),
    }
  } finally {
    log.restore()
  }
}

/** A running site in `path` where `admin` is signed in with every role. */
export async function operatedSite(
  t: Test,
  path: string,
  more: Partial<OperatorApiSettings> & { ports?: SitePorts; services?: ServiceDispatch } = {},
): Promise<OperatedSite> {
  mkdirSync(path, { recursive: true })
  process.env['XDG_STATE_HOME'] = join(path, 'state')
  const ports = more.ports ?? systemPorts
  const registry = openDatabase(`${path}/gateway.db`)
  await migrate(registry, [gatewayMigrations, telemetryMigrations], ports.clock.now())
  const site: SiteAccess = {
    ports,
    folder: path,
    registry,
    isTelemetryOn: false,
    services: more.services ?? noServices,
  }
  const key = await loadSiteKey(systemPorts.files, `${path}/gateway.key`, ports.random)
  const folder = new SiteFolder(path, 'site', ports)
  const api = await startOperatorApi({ folder, key, site, log: silent, passwordCost: cheapPasswords, ...more })
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    await api.stop()
    await registry.close()
  }
  t.teardown(stop)
  const signIn = async (name: string, held: readonly Role[] = roles) => {
    const password = api.accounts.newPassword()
    await api.accounts.add(name, held, password)
    const file = join(path, `${name}.password`)
    writeFileSync(file, password)
    const { exit, answer } = await jsonOf(t, 'login', name, '--password-file', file, '--folder', path)
    if (exit !== 0) throw new Error(JSON.stringify(answer))
    return file
  }
  await signIn('admin')
  return { site, api, signIn, stop }
}
