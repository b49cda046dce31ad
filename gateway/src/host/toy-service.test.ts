/**
 * A new service is a folder and a line (ARCHITECTURE §2): two are written into a copy of the gateway, one of which asks the
 * other and sends acts to it, and everything else follows: processes, options, units, health, metrics, doctor.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { contract, Nothing, Type } from '@azukari/protocol/contract'
import t, { type Test } from 'tap'
import { openDatabase } from '../adapters/database.ts'
import { newClaim } from '../registry/claims.ts'
import { TestDevice } from '../test-client.ts'
import { putOnPostgres, testEngines } from '../test-database.ts'

const source = resolve(import.meta.dirname, '../..')

/** What a device says to the toy; the copy defines the same. */
const ring = contract({
  name: 'toy.ring',
  kind: 'act',
  service: 'toy',
  authority: 'device',
  title: 'test',
  serves: ['D4'],
  request: Type.Object({ times: Type.Integer({ minimum: 1, maximum: 9 }) }),
  reply: Type.Object({ rings: Type.Integer() }),
})
const heard = contract({
  name: 'toy.heard',
  kind: 'call',
  service: 'toy',
  authority: 'device',
  title: 'test',
  serves: ['D4'],
  request: Nothing,
  reply: Type.Object({ strikes: Type.Integer(), rounds: Type.Integer() }),
})

const contractsFile = `import { contract, Nothing, Type } from '@azukari/protocol/contract'
export const ring = contract({
  name: 'toy.ring', kind: 'act', service: 'toy', authority: 'device', title: 'test', serves: ['D4'],
  request: Type.Object({ times: Type.Integer({ minimum: 1, maximum: 9 }) }), reply: Type.Object({ rings: Type.Integer() }),
})
export const heard = contract({
  name: 'toy.heard', kind: 'call', service: 'toy', authority: 'device', title: 'test', serves: ['D4'],
  request: Nothing, reply: Type.Object({ strikes: Type.Integer(), rounds: Type.Integer() }),
})
export const strike = contract({
  name: 'bell.strike', kind: 'act', service: 'bell', authority: 'service', title: 'test', serves: ['D5'],
  request: Type.Object({ times: Type.Integer() }), reply: Nothing,
})
export const strikes = contract({
  name: 'bell.strikes', kind: 'internal', service: 'bell', authority: 'service', title: 'test', serves: ['D4'],
  request: Nothing, reply: Type.Object({ strikes: Type.Integer() }),
})
`

const toyModule = `import { gaugesOf } from '../../host/gauges.ts'
import { defineService } from '../../host/service-module.ts'
export const toy = defineService({
  name: 'toy', what: 'rings', databases: ['toy/toy.db'], lock: 'toy.lock', port: 8481, readsBuffer: false,
  peers: ['bell'], pages: ['/toy'],
  contracts: async () => { const { ring, heard } = await import('../toy-contracts.ts'); return [ring, heard] },
  calls: async () => [(await import('../toy-contracts.ts')).strikes],
  open: async ({ stores, ports, log, budgets, unlisted, call: ask, peers }) => {
    const { ring, heard, strike, strikes } = await import('../toy-contracts.ts')
    const { createServiceHost } = await import('../../service/host.ts')
    const { act, call, sends } = await import('../../service/service.ts')
    const { PeriodicWorker } = await import('../../service/periodic-worker.ts')
    const database = await stores.open('toy/toy.db')
    let rounds = 0
    const worker = new PeriodicWorker({ name: 'toy', clock: ports.clock, log, idleMs: 100, round: () => (rounds++, 100) })
    const service = await createServiceHost({
      name: 'toy', database, clock: ports.clock, random: ports.random, log, budgets, unlisted, peers, calls: [sends(strike)],
      migrations: [{ number: 1, name: 'rings', up: 'CREATE TABLE rings (n INTEGER PRIMARY KEY, times INTEGER NOT NULL)' }],
      onStart: () => worker.start(), onStop: () => worker.stop(),
      handlers: [
        act(ring, async ({ times }, { sql, send }) => {
          await sql.run('INSERT INTO rings (times) VALUES (?)', times)
          await send(strike, { times })
          return { rings: (await sql.get('SELECT count(*) AS n FROM rings')).n }
        }),
        call(heard, async () => ({ ...(await ask(strikes, {})), rounds })),
      ],
    })
    return {
      service, handlers: [], close: async () => {},
      health: {
        facts: async () => ({ toy: { rounds: rounds > 0 } }),
        metrics: (registry) => gaugesOf(registry).gauge('toy_rings', 'Rings', async () => (await database.get('SELECT count(*) AS n FROM rings')).n),
        pages: { '/toy': async () => ({ type: 'text/plain', body: 'ding' }) },
      },
    }
  },
})
`

const bellModule = `import { defineService } from '../../host/service-module.ts'
export const bell = defineService({
  name: 'bell', what: 'is struck', databases: ['bell/bell.db'], lock: 'bell.lock', port: 8482, readsBuffer: false, peers: [],
  open: async ({ stores, ports, log, budgets, unlisted }) => {
    const { strike, strikes } = await import('../toy-contracts.ts')
    const { createServiceHost } = await import('../../service/host.ts')
    const { serviceAct } = await import('../../service/service.ts')
    const { answers } = await import('../../transport/server.ts')
    const database = await stores.open('bell/bell.db')
    const service = await createServiceHost({
      name: 'bell', database, clock: ports.clock, random: ports.random, log, budgets, unlisted,
      migrations: [{ number: 1, name: 'strikes', up: 'CREATE TABLE strikes (n INTEGER PRIMARY KEY, times INTEGER NOT NULL)' }],
      handlers: [serviceAct(strike, ['toy'], async ({ times }, { sql }) => { await sql.run('INSERT INTO strikes (times) VALUES (?)', times); return {} })],
    })
    return {
      service, close: async () => {},
      handlers: [answers(strikes, ['toy'], async () => ({ reply: { strikes: (await database.get('SELECT coalesce(sum(times), 0) AS n FROM strikes')).n } }))],
    }
  },
})
`

/** A copy of the gateway's sources with the two services, and one line each in the list. */
function copyWithToys(): string {
  const root = mkdtempSync(join(tmpdir(), 'azukari-toy-'))
  symlinkSync(resolve(source, '../node_modules'), join(root, 'node_modules'))
  const copy = join(root, 'gateway')
  cpSync(join(source, 'src'), join(copy, 'src'), { recursive: true })
  cpSync(join(source, 'package.json'), join(copy, 'package.json'))
  const services = join(copy, 'src/services')
  for (const [name, text] of Object.entries({ toy: toyModule, bell: bellModule })) {
    mkdirSync(join(services, name))
    writeFileSync(join(services, name, 'module.ts'), text)
  }
  writeFileSync(join(services, 'toy-contracts.ts'), contractsFile)
  const list = readFileSync(join(services, 'index.ts'), 'utf8')
  writeFileSync(
    join(services, 'index.ts'),
    list
      .replace('[placement, settlement]', '[placement, settlement, toy, bell]')
      .replace('\nexport', "import { toy } from './toy/module.ts'\nimport { bell } from './bell/module.ts'\n\nexport"),
  )
  return root
}

const root = copyWithToys()
const cli = join(root, 'gateway/src/cli.ts')
const running: (() => Promise<unknown>)[] = []
t.teardown(async () => {
  for (const stop of running.reverse()) await stop()
  rmSync(root, { recursive: true, force: true })
})

/** Runs a command of the copy to its end. */
async function command(...words: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [cli, ...words], { env: bare })).stdout
}

/** Without what the test runner tells its children: these processes speak for themselves. */
const bare = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('TAP') && name !== 'NODE_OPTIONS'),
)

/** Starts a process of the copy and waits for what it says when it is ready. */
async function start(...words: string[]): Promise<Record<string, unknown>> {
  const child = spawn(process.execPath, [cli, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env: bare })
  let said = ''
  child.stderr.on('data', (bytes) => (said += bytes))
  const gone = once(child, 'exit')
  running.push(async () => {
    child.kill('SIGTERM')
    await gone
  })
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([text]) => String(text)),
    gone.then(() => Promise.reject(new Error(`${words.join(' ')}: ${said}`))),
  ])
  return JSON.parse(line)
}

async function useToy(t: Test, folder: string, gateway: Record<string, unknown>): Promise<void> {
  const database = openDatabase(`${folder}/gateway.db`)
  const claim = { region: 'JP-13', lifeMs: 60_000 }
  const text = await newClaim(database, { clock: systemClock, random: systemRandom }, claim)
  await database.close()
  const url = `mqtt://127.0.0.1:${gateway['port']}`
  const device = new TestDevice('toys')
  await device.enrol(url, text)
  await device.connect(url)
  await device.greet()
  const stream = systemRandom.bytes(16)
  for (const seq of [1, 2, 2])
    t.same(await device.call(ring, { times: 2 }, { act: { stream, seq }, id: idOf(seq) }), { rings: seq })
  for (;;) {
    const { strikes, rounds } = await device.call(heard, {})
    t.ok(strikes <= 4, 'an act that came twice struck once')
    if (strikes === 4 && rounds > 0) break
  }
  await device.close()
  const health = `http://127.0.0.1:${gateway['healthPort']}`
  t.match(await (await fetch(`${health}/healthz`)).json(), { ok: true, toy: { rounds: true } })
  const metrics = await (await fetch(`${health}/metrics`)).text()
  for (const line of ['toy_rings 2', 'service_up{service="toy"} 1', 'service_acts_total{service="bell"} 2'])
    t.ok(metrics.includes(`azukari_${line}\n`), line)
  t.equal(await (await fetch(`${health}/toy`)).text(), 'ding')
}

const idOf = (seq: number) => Buffer.alloc(16, seq)

const ways = Object.keys(testEngines()).flatMap((engine) =>
  (['inside the gateway', 'apart'] as const).map((way) => ({ engine, way })),
)

for (const { engine, way } of ways)
  t.test(
    `D4: two services that the copy alone lists work ${way} on ${engine}, with health, metrics, doctor`,
    async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'azukari-toys-'))
      t.teardown(() => rmSync(folder, { recursive: true, force: true }))
      const at = ['--folder', folder, '--site', 'toys']
      await command('init', ...at)
      if (engine === 'PostgreSQL') await putOnPostgres(folder)
      const flags: string[] = []
      if (way === 'apart') {
        const bell = await start('bell', ...at, '--port', '0')
        const toy = await start('toy', ...at, '--port', '0', '--bell', String(bell['url']))
        flags.push('--toy', String(toy['url']), '--bell', String(bell['url']))
      }
      const gateway = await start('run', ...at, '--port', '0', '--health-port', '0', ...flags)
      await useToy(t, folder, gateway)
      if (way === 'apart') {
        const [stopGateway, stopToy, stopBell] = [running.pop()!, running.pop()!, running.pop()!]
        await stopToy()
        const health = `http://127.0.0.1:${gateway['healthPort']}`
        let facts: Record<string, unknown> = {}
        // What was answered a moment ago still counts.
        for (; !facts['away']; await systemClock.sleep(100))
          facts = (await (await fetch(`${health}/healthz`)).json()) as Record<string, unknown>
        t.same(facts['away'], ['toy'], 'one that is away is named')
        t.match(await (await fetch(`${health}/metrics`)).text(), /azukari_service_up\{service="toy"\} 0\n/)
        await stopGateway()
        await stopBell()
      } else await running.pop()!()
      const { findings } = JSON.parse(await command('doctor', '--folder', folder, '--json')) as {
        findings: { what: string; detail: string }[]
      }
      for (const name of ['toy', 'bell']) {
        const store = findings.find(({ what }) => what === `store of ${name}`)
        const file = findings.find(({ what }) => what === `${name}/${name}.db`)
        if (engine === 'SQLite') t.equal(file?.detail, 'sound')
        else t.match(store?.detail, new RegExp(`^answers, with .*\\b${name} 1\\b`))
      }
    },
  )

t.test('D6: units of the two, and their databases among those copied before an upgrade', async (t) => {
  const shown = await command('service', '--site', 'toys', '--apart')
  t.match(shown, /azukari-toy\.service/)
  t.match(shown, /ExecStart=\S+ \S+ toy .*--bell https:\/\/127\.0\.0\.1:8482/)
  t.match(shown, /ExecStart=\S+ \S+ run .*--toy https:\/\/127\.0\.0\.1:8481/)
  const { siteDatabases } = (await import(join(root, 'gateway/src/upgrade/main.ts'))) as { siteDatabases: string[] }
  t.ok(siteDatabases.includes('toy/toy.db'))
  t.match(await command('run', '--help'), /--toy /)
})
