/**
 * A new service is a folder and a line (ARCHITECTURE §2): two are written into a copy of the gateway, one of which asks the
 * other and sends acts to it, and everything else follows: processes, options, units, health, metrics, doctor, and whoever asks:
 * devices, operators, shops and holders of links.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
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
import { FilePiece, pieceRequest } from '@azukari/protocol/contracts/https'
export const ring = contract({
  name: 'toy.ring', kind: 'act', service: 'toy', authority: 'device', title: 'test', serves: ['D4'],
  request: Type.Object({ times: Type.Integer({ minimum: 1, maximum: 9 }) }), reply: Type.Object({ rings: Type.Integer() }),
})
export const heard = contract({
  name: 'toy.heard', kind: 'call', service: 'toy', authority: 'device', title: 'test', serves: ['D4'],
  request: Nothing, reply: Type.Object({ strikes: Type.Integer(), rounds: Type.Integer() }),
})
const outside = { kind: 'https', service: 'toy', title: 'test', serves: ['D6'] }
export const count = contract({
  ...outside, name: 'toy.count', authority: 'shop', https: { method: 'GET', path: '/v1/toy/rings', scope: 'count' },
  request: Nothing, reply: Type.Object({ rings: Type.Integer(), holder: Type.String() }),
})
export const pull = contract({
  ...outside, name: 'toy.pull', authority: 'shop', https: { method: 'POST', path: '/v1/toy/rings', scope: 'pull' },
  request: Type.Object({ times: Type.Integer({ minimum: 1, maximum: 9 }) }), reply: Type.Object({ rings: Type.Integer() }),
})
export const sheet = contract({
  ...outside, name: 'toy.sheet', authority: 'link', https: { method: 'GET', path: '/v1/toy/sheets/{sheet}' },
  request: Type.Object({ sheet: Type.String(), ...pieceRequest }), reply: FilePiece,
})
export const admit = contract({
  name: 'toy.admit', kind: 'command', service: 'toy', authority: 'operator', operator: { role: 'ringer' }, title: 'Makes a key and a link',
  serves: ['D6'], request: Type.Object({ holder: Type.String() }), reply: Type.Object({ key: Type.String(), link: Type.String() }),
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
  peers: ['bell'], pages: ['/toy'], roles: { ringer: 'toys' },
  contracts: async () => { const { ring, heard, count, pull, sheet } = await import('../toy-contracts.ts'); return [ring, heard, count, pull, sheet] },
  commands: { toys: async () => {
    const { admit } = await import('../toy-contracts.ts')
    const { serviceContractCommand } = await import('../../operator-api/contract-command.ts')
    return { 'toy admit': serviceContractCommand(admit, { positionals: ['holder'] }, async ({ made }, { holder }, act) =>
      ({ reply: { key: await made.key(holder, act.operator), link: act.siteUrl + made.link(holder) }, text: 'made' })) }
  } },
  calls: async () => [(await import('../toy-contracts.ts')).strikes],
  open: async ({ stores, ports, log, budgets, unlisted, call: ask, peers }) => {
    const { ring, heard, strike, strikes, count, pull, sheet } = await import('../toy-contracts.ts')
    const { ApiKeys } = await import('../../service/api-keys.ts')
    const { signLink } = await import('../../service/links.ts')
    const { linkCall, shopAct, shopCall } = await import('../../service/service.ts')
    const { generateKey, publicOf } = await import('@azukari/protocol/keys')
    const { signerOf } = await import('@azukari/protocol/cose')
    const key = generateKey('ed25519', ports.random)
    const signer = signerOf(key)
    const { createServiceHost } = await import('../../service/host.ts')
    const { act, call, sends } = await import('../../service/service.ts')
    const { PeriodicWorker } = await import('../../service/periodic-worker.ts')
    const database = await stores.open('toy/toy.db')
    let rounds = 0
    const worker = new PeriodicWorker({ name: 'toy', clock: ports.clock, log, idleMs: 100, round: () => (rounds++, 100) })
    const service = await createServiceHost({
      name: 'toy', database, clock: ports.clock, random: ports.random, log, budgets, unlisted, peers, calls: [sends(strike)],
      migrations: [{ number: 1, name: 'rings', up: 'CREATE TABLE rings (n INTEGER PRIMARY KEY, times INTEGER NOT NULL)' }],
      onStart: () => worker.start(), onStop: () => worker.stop(), links: { signer, find: () => publicOf(key) },
      handlers: [
        shopCall(count, async (_body, { holder }) => ({ holder, rings: (await database.get('SELECT count(*) AS n FROM rings')).n })),
        shopAct(pull, async ({ times }, { sql }) => {
          await sql.run('INSERT INTO rings (times) VALUES (?)', times)
          return { rings: (await sql.get('SELECT count(*) AS n FROM rings')).n }
        }),
        linkCall(sheet, ({ from, count }, { holder }) => {
          const bytes = new TextEncoder().encode('ding dong, ' + holder)
          return { sizeBytes: bytes.length, mediaType: 'text/plain', name: 'sheet', version: 'abcdef01', bytes: bytes.slice(from, from + count) }
        }),
        act(ring, async ({ times }, { sql, send }) => {
          await sql.run('INSERT INTO rings (times) VALUES (?)', times)
          await send(strike, { times })
          return { rings: (await sql.get('SELECT count(*) AS n FROM rings')).n }
        }),
        call(heard, async () => ({ ...(await ask(strikes, {})), rounds })),
      ],
    })
    const keys = new ApiKeys(service.store, ports.random)
    return {
      service, handlers: [], close: async () => {},
      made: {
        key: async (holder, by) => (await keys.add({ holder, scopes: ['count', 'pull'], by, lifeMs: 60_000 })).key,
        link: (subject) => signLink(sheet, { fields: { sheet: 'a' }, subject, lifeMs: 60_000 }, ports.clock.now(), { signer, random: ports.random }),
      },
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
      .replace(/(ServiceModule\[\] = \[[^\]]*)\]/, '$1, toy, bell]')
      .replace('\nexport', "import { toy } from './toy/module.ts'\nimport { bell } from './bell/module.ts'\n\nexport"),
  )
  // What `npm run docs` would write.
  const index = join(copy, 'src/command-index.json')
  const admit = {
    group: 'toys',
    what: 'x',
    role: 'ringer',
    positionals: 'HOLDER',
    options: { folder: { type: 'string', what: 'x' } },
  }
  writeFileSync(index, JSON.stringify({ ...JSON.parse(readFileSync(index, 'utf8')), 'toy admit': admit }))
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
  const env = { ...bare, XDG_STATE_HOME: process.env['XDG_STATE_HOME'] }
  return (await promisify(execFile)(process.execPath, [cli, ...words], { env })).stdout
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

/** One request over HTTP/1.1, from a program that knows the site's authority and nothing else. */
async function outside(folder: string, url: string, more: { key?: string; once?: string; body?: unknown } = {}) {
  const { port, pathname, search } = new URL(url)
  const { key, once: idempotency, body } = more
  const headers: Record<string, string> = {}
  if (key !== undefined) headers['authorization'] = `Bearer ${key}`
  if (idempotency !== undefined) headers['idempotency-key'] = idempotency
  if (body !== undefined) headers['content-type'] = 'application/json'
  const ca = readFileSync(`${folder}/tls/authority.pem`)
  const method = body === undefined ? 'GET' : 'POST'
  const to = { host: '127.0.0.1', port, path: pathname + search, servername: 'gateway.azukari.internal' }
  const asked = request({ ...to, method, ca, headers })
  asked.end(body === undefined ? undefined : JSON.stringify(body))
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  const text = Buffer.concat(await response.toArray()).toString()
  return {
    status: response.statusCode,
    text,
    json: /json/.test(String(response.headers['content-type'])) ? JSON.parse(text) : {},
  }
}

/** An operator's contract, a shop's and a link's, each of the toy's own. */
async function useFromOutside(
  t: Test,
  folder: string,
  gateway: Record<string, unknown>,
  password: string,
): Promise<void> {
  const at = ['--folder', folder]
  writeFileSync(join(folder, 'password'), password)
  await t.rejects(command('toy', 'admit', 'shop-1', ...at), /operator.unauthenticated|not signed in/)
  await command('login', 'admin', '--password-file', join(folder, 'password'), ...at)
  const { key, link } = JSON.parse(await command('toy', 'admit', 'shop-1', ...at, '--json')) as {
    key: string
    link: string
  }
  const url = `https://127.0.0.1:${gateway['httpsPort']}`
  t.ok(link.startsWith(`${url}/v1/toy/sheets/a?link=`), link)
  t.match(await outside(folder, `${url}/v1/toy/rings`, { key }), { status: 200, json: { rings: 2, holder: 'shop-1' } })
  t.match(await outside(folder, `${url}/v1/toy/rings`), { status: 401, json: { code: 'api.key-required' } })
  const pulled = { key, once: 'a', body: { times: 3 } }
  for (let n = 0; n < 2; n++)
    t.match(await outside(folder, `${url}/v1/toy/rings`, pulled), { status: 200, json: { rings: 3 } })
  t.match(await outside(folder, `${url}/v1/toy/rings`, { ...pulled, body: { times: 4 } }), { status: 409 })
  t.match(await outside(folder, link), { status: 200, text: 'ding dong, shop-1' })
  t.match(await outside(folder, link.replace('sheets/a', 'sheets/b')), { status: 403, json: { code: 'url.refused' } })
  t.match((await outside(folder, `${url}/v1/openapi.json`)).json, {
    paths: { '/v1/toy/rings': {}, '/v1/shop/balance': {} },
  })
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
      process.env['XDG_STATE_HOME'] = join(folder, 'state')
      const { operator } = JSON.parse(await command('init', ...at, '--json')) as { operator: { password: string } }
      if (engine === 'PostgreSQL') await putOnPostgres(folder)
      const flags: string[] = []
      if (way === 'apart') {
        const bell = await start('bell', ...at, '--port', '0')
        const toy = await start('toy', ...at, '--port', '0', '--bell', String(bell['url']))
        flags.push('--toy', String(toy['url']), '--bell', String(bell['url']))
      }
      const gateway = await start('run', ...at, '--port', '0', '--health-port', '0', '--https-port', '0', ...flags)
      await useToy(t, folder, gateway)
      await useFromOutside(t, folder, gateway, operator.password)
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
