/**
 * `azukari-gateway launch` and `upgrade …` as an operator uses them (D6): real processes, whole gateways as releases, real
 * databases that a release brings up to date, and `kill -9` in the middle of a trial.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { Releases } from '@azukari/gateway/fleet/releases'
import { gatewayMigrations } from '@azukari/gateway/registry/tables'
import { gatewaySlots, isUnsettled } from '@azukari/gateway/upgrade/main'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { parseCoseKey } from '@azukari/protocol/keys'
import type { UpgradeProgram } from '@azukari/protocol/upgrade/manifest'
import type { Slots } from '@azukari/protocol/upgrade/slots'
import type { Plugin } from 'esbuild'
import t from 'tap'
import { bundleGateway } from './bundle-gateway.ts'

const cli = resolve(import.meta.dirname, '../gateway/src/cli.ts')
const base = mkdtempSync(join(tmpdir(), 'azukari-upgrade-'))
const folder = join(base, 'site')
const launchers = new Set<ChildProcess>()
t.teardown(() => {
  for (const launcher of launchers) killAll(launcher)
  rmSync(base, { recursive: true, force: true })
})

/** Runs a command of the installed program. */
function run(...words: string[]): { status: number | null; json: Record<string, unknown>; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...words, '--folder', folder, '--json'], {
    encoding: 'utf8',
    timeout: 600_000,
    env: { ...process.env, XDG_STATE_HOME: join(base, 'state') },
  })
  return { status, json: stdout.trim() ? JSON.parse(stdout) : {}, stderr }
}

/** Makes a claim, signing in where nobody is, once the gateway that was started or upgraded answers. */
async function newClaim(name: string): Promise<ReturnType<typeof run>> {
  for (const end = Date.now() + 600_000; ; await new Promise((later) => setTimeout(later, 50))) {
    const made = run('claim', 'new', '--region', 'JP-13', '--name', name)
    const [, code] = codeOf(made)
    if (code === 'operator.unauthenticated') run('login', 'admin', '--password-file', join(base, 'password'))
    else if (code !== 'operator.not-running' || Date.now() > end) return made
  }
}

function codeOf({ status, json }: ReturnType<typeof run>): unknown[] {
  return [status, (json['problem'] as { code?: string } | undefined)?.code]
}

/** Replaces a piece of a module of the gateway in what is bundled. */
function changed(path: RegExp, from: string | RegExp, to: string): Plugin {
  return {
    name: 'changed',
    setup(build) {
      build.onLoad({ filter: path }, ({ path: file }) => {
        const source = readFileSync(file, 'utf8')
        const contents = source.replace(from, to)
        if (contents === source) throw new Error(`${file} does not have ${from}`)
        return { contents, loader: 'ts' }
      })
    },
  }
}

/** The number of the next migration of the registry. */
const next = Math.max(...gatewayMigrations.migrations.map(({ number }) => number)) + 1

/** A release with a further migration of the registry. */
const migrating = changed(
  /registry\/tables\.ts$/,
  /(\n {2}\],\n\}\n*)$/,
  `{ number: ${next}, name: 'novelty', up: 'CREATE TABLE novelty (n INTEGER PRIMARY KEY)' },$1`,
)
const again = changed(
  /registry\/tables\.ts$/,
  /(\n {2}\],\n\}\n*)$/,
  `{ number: ${next}, name: 'novelty', up: 'CREATE TABLE novelty (n INTEGER PRIMARY KEY)' },
   { number: ${next + 1}, name: 'folly', up: 'DROP TABLE claims' },$1`,
)
const beforeConfirm = /gateway\/src\/upgrade\/main\.ts$/
const crashing = changed(beforeConfirm, 'await confirmHealth(store, version)', `throw new Problem('internal', 'folly')`)
const hanging = changed(
  beforeConfirm,
  'await confirmHealth(store, version)',
  'await new Promise(() => setInterval(() => {}, 1000))',
)

/** A release in a folder of its own; without plugins the files do not matter, because nobody will start it. */
async function release(version: string, sequence: number, plugins: Plugin[], program: UpgradeProgram = 'gateway') {
  const from = join(base, `bundle-${plugins.length > 0 ? version : '0.2.0'}`)
  if (plugins.length > 0) await bundleGateway(from, version, plugins)
  const key = parseCoseKey(new Uint8Array(readFileSync(join(folder, 'release.key'))))
  const says = { site: 'site', version, sequence, minRuntime: '0.1.0', entry: 'src/cli.js' }
  await new Releases(systemFiles(), join(base, 'releases')).pack(from, says, key, program)
  return join(base, 'releases', version)
}

function startLauncher(): ChildProcess {
  // A process group of its own: what a power cut would end, ends together.
  const words = ['launch', '--folder', folder, '--port', '0', '--log', 'error']
  const launcher = spawn(process.execPath, [cli, ...words], { detached: true, stdio: ['ignore', 'ignore', 'inherit'] })
  launchers.add(launcher)
  launcher.once('exit', () => launchers.delete(launcher))
  return launcher
}

function killAll(launcher: ChildProcess): void {
  try {
    process.kill(-launcher.pid!, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** Waits until the slots are as wanted, and nothing of a trial is left to be put right unless one is wanted. */
async function until(what: string, wanted: (slots: Slots) => boolean): Promise<void> {
  const store = gatewaySlots(folder)
  for (const end = Date.now() + 600_000; ; await new Promise((later) => setTimeout(later, 50))) {
    const slots = await store.read()
    if (wanted(slots) && (slots.attempt || !isUnsettled(folder))) return
    if (Date.now() > end) throw new Error(`not in time: ${what}; ${JSON.stringify(slots)}`)
  }
}

async function tables(): Promise<string[]> {
  const database = openDatabase(join(folder, 'gateway.db'))
  try {
    return (await database.all<{ name: string }>(`SELECT name FROM sqlite_schema WHERE type = 'table'`)).map(
      ({ name }) => name,
    )
  } finally {
    await database.close()
  }
}

t.test('D6: a gateway upgrades itself, goes back when the new version does not work, and loses nothing', async (t) => {
  const { status: exit, json: site } = run('init')
  t.equal(exit, 0)
  writeFileSync(join(base, 'password'), (site['operator'] as { password: string }).password)
  t.equal(run('release', 'key').status, 0)
  await bundleGateway(join(base, 'bundle-0.2.0'), '0.2.0', [migrating])
  const words = ['--version', '0.2.0', '--sequence', '2', '--program', 'gateway', '--from', join(base, 'bundle-0.2.0')]
  t.match(run('release', 'pack', ...words), { status: 0, json: { version: '0.2.0' } })
  const good = join(folder, 'gateway-releases/0.2.0')
  let launcher = startLauncher()
  const exited = () => new Promise<number | null>((done) => launcher.once('exit', done))
  t.match((await newClaim('first')).json, { claim: String })
  t.match(run('upgrade', 'status').json, { confirmed: '0.1.0', slot: 'built-in', attempt: null })
  t.strictSame(codeOf(run('upgrade', 'back')), [1, 'upgrade.busy'], 'there is nothing to go back to')

  t.match(run('upgrade', 'install', '--from', good).json, { installed: '0.2.0', sequence: 2 })
  await until('0.2.0 is confirmed', ({ last }) => last?.version === '0.2.0')
  t.match(run('upgrade', 'status').json, { confirmed: '0.2.0', before: '0.1.0', last: { outcome: 'confirmed' } })
  t.ok((await tables()).includes('novelty'), 'it brought the database up to date')
  t.ok(existsSync(join(folder, 'slots/before/gateway.db')), 'and there is a copy from before')
  t.match(await newClaim('second'), { status: 0 }, 'the installed program hands it on')
  t.strictSame(codeOf(run('upgrade', 'back')), [1, 'database.newer'], 'the version before does not know the database')

  for (const [version, sequence, code] of [
    ['0.2.1', 2, 'upgrade.replayed'],
    ['0.2.2', 1, 'upgrade.downgraded'],
  ] as const)
    t.strictSame(codeOf(run('upgrade', 'install', '--from', await release(version, sequence, []))), [1, code])
  const forDevices = await release('0.2.3', 3, [], 'device')
  t.strictSame(codeOf(run('upgrade', 'install', '--from', forDevices)), [1, 'upgrade.foreign'])
  t.strictSame(codeOf(run('upgrade', 'install', '--from', join(base, 'nowhere'))), [1, 'upgrade.truncated'])
  t.strictSame(codeOf(run('upgrade', 'install')), [2, 'command.invalid'])

  t.equal(run('upgrade', 'install', '--from', await release('0.3.0', 3, [again, crashing])).status, 0)
  await until('0.3.0 is rolled back', ({ last }) => last?.version === '0.3.0')
  t.match(run('upgrade', 'status').json, { confirmed: '0.2.0', last: { outcome: 'rolled-back' } })
  t.ok((await tables()).includes('claims'))
  t.match(await newClaim('third'), { status: 0 }, 'the database is as it was')

  t.equal(run('upgrade', 'install', '--from', await release('0.4.0', 4, [again, hanging])).status, 0)
  for (let tries = 1; tries <= 3; tries++) {
    await until(`start ${tries}`, ({ attempt }) => attempt?.tries === tries)
    for (const end = Date.now() + 600_000; (await tables()).includes('claims') && Date.now() < end; )
      await new Promise((later) => setTimeout(later, 50))
    t.notOk((await tables()).includes('claims'), `trial ${tries} has changed the database`)
    if (tries === 1) t.strictSame(codeOf(run('device', 'list')), [1, 'upgrade.busy'], 'nobody writes during a trial')
    const gone = exited()
    killAll(launcher)
    await gone
    launcher = startLauncher()
  }
  await until('0.4.0 is rolled back', ({ last }) => last?.version === '0.4.0')
  t.ok((await tables()).includes('claims'), 'the database is back')
  t.match(await newClaim('fourth'), { status: 0 })

  t.equal(run('upgrade', 'install', '--from', await release('0.5.0', 5, [migrating])).status, 0)
  await until('0.5.0 is confirmed', ({ last }) => last?.version === '0.5.0')
  t.match(run('upgrade', 'back').json, { confirmed: '0.2.0' }, 'it changed no database: there is a way back')
  t.match(run('upgrade', 'status').json, { confirmed: '0.2.0', before: '0.5.0', floor: 5 })
  const database = openDatabase(join(folder, 'gateway.db'))
  t.equal((await database.all('SELECT id FROM claims')).length, 4, 'every claim that was ever made is there')
  await database.close()

  const gone = exited()
  launcher.kill('SIGTERM')
  t.equal(await gone, 0, 'the launcher ends when it is told to')
})

t.test('D6: services in processes of their own, and a site without a release key, are told so', async (t) => {
  t.strictSame(codeOf(run('launch', '--placement', 'https://127.0.0.1:1')), [1, 'config.invalid'])
  const other = join(base, 'other')
  mkdirSync(other)
  const { status: code, stdout } = spawnSync(
    process.execPath,
    [cli, 'upgrade', 'install', '--folder', other, '--from', base, '--json'],
    { encoding: 'utf8' },
  )
  t.equal(code, 1)
  t.match(JSON.parse(stdout), { problem: { code: 'config.invalid', detail: /release key/ } })
})
