import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { memoryDatabase, openDatabase } from '../adapters/database.ts'
import { configOptions, loadConfig } from '../config.ts'
import type { GatewayStatus } from '../gateway.ts'
import { CentreWatch } from '../services/settlement/centre/watch.ts'
import { centresHealth } from '../services/settlement/health.ts'
import { examine, siteChecks } from './doctor.ts'
import { healthServer } from './health.ts'

t.test('D6: settings come from flags, then the file, then defaults, and a wrong one is named', async (t) => {
  t.match(loadConfig(undefined, {}), { site: 'site', host: '127.0.0.1', port: 1883, insecure: false, log: 'info' })
  t.match(loadConfig({ port: 1900, site: 'tokyo' }, { port: '2000', insecure: 'true' }), {
    port: 2000,
    site: 'tokyo',
    insecure: true,
  })
  const refuses = (file: unknown, given: Record<string, unknown>, ...words: string[]) => {
    try {
      loadConfig(file, given)
      t.fail(`let pass ${JSON.stringify([file, given])}`)
    } catch (error) {
      const { code, detail } = error as { code: string; detail: string }
      t.equal(code, 'config.invalid')
      for (const word of words) t.ok(detail.includes(word), `${detail} — says ${word}`)
    }
  }
  refuses(undefined, { port: '99999' }, '--port', '99999', '0 to 65535')
  refuses(undefined, { port: 'many' }, '--port', 'many', 'whole number')
  refuses({ port: '1883' }, {}, 'gateway.json', '"1883"', 'whole number')
  refuses({ 'tls-key': 'x' }, {}, 'tls-key', 'tlsKey')
  refuses({ speed: 1 }, {}, 'speed', 'Settings')
  refuses([], {}, 'one object')
  refuses(undefined, { log: 'loud' }, 'loud', 'debug, info')
  refuses(undefined, { site: 'Tokyo Tower' }, '--site', 'Tokyo Tower')
  refuses(undefined, { broker: 'http://x' }, '--broker')
  refuses({ tlsKey: 'a.pem' }, {}, 'tlsCert')
  t.match(configOptions(), { 'health-port': { type: 'string' }, insecure: { type: 'boolean' } })
})

const status: GatewayStatus = {
  site: 'tokyo',
  boot: 'ab',
  counts: { requests: 7, refused: 1, unopened: 0, blocks: 3, births: 2, enrolments: 1 },
  underWay: 0,
  devicesUp: 2,
  buffer: { bytes: 10, transfers: 1, full: false },
}

t.test('D6: health and metrics tell how it is, to loopback names only', async (t) => {
  let full = false
  const counts = { acts: 5, refused: 0, duplicates: 1, commits: 2, failedCommits: 0, calls: 4, unlisted: 2 }
  const server = healthServer({
    version: '1',
    status: () => ({ ...status, buffer: { ...status.buffer, full } }),
    services: () => ({ placement: counts }),
    unlisted: () => ({ 'test.asked@1 card.lost': 2 }),
    budgets: () => [{ budget: 'connections', kind: 'stranger', held: 3, limit: 9, holders: 2, refused: 4 }],
  })
  t.teardown(() => server.close())
  const get = (url: string, host = '127.0.0.1:9000') => server.inject({ url, headers: { host } })
  t.match((await get('/healthz')).json(), { ok: true, site: 'tokyo', devicesUp: 2 })
  const metrics = (await get('/metrics')).body
  t.match(metrics, /azukari_devices_up 2/)
  t.match(metrics, /azukari_router_total\{what="requests"\} 7/)
  t.match(metrics, /azukari_service_acts_total\{service="placement"\} 5/)
  t.match(metrics, /azukari_service_unlisted_total\{service="placement"\} 2/)
  t.match(metrics, /azukari_unlisted_problems_total\{answer="test\.asked@1 card\.lost"\} 2/)
  for (const line of ['held', 'limit', 'holders', 'refused_total'].map((name, i) => [name, [3, 9, 2, 4][i]]))
    t.match(metrics, `azukari_budget_${line[0]}{budget="connections",identity="stranger"} ${line[1]}`)
  t.match(
    (await get('/metrics')).body,
    /azukari_service_acts_total\{service="placement"\} 5/,
    'not doubled by asking twice',
  )
  t.equal((await get('/healthz', 'evil.example')).statusCode, 403, 'another name for this machine')
  t.equal((await get('/other')).statusCode, 404)
  full = true
  t.equal((await get('/healthz')).statusCode, 503)
})

t.test('P9 D6: metrics of the two settlement centres: who leads, epoch, lag, last acknowledged', async (t) => {
  const answers = {
    settlement: { leading: false, epoch: 4, paired: false, entries: 90, acknowledged: 0 },
    'settlement-backup': { leading: true, epoch: 4, paired: true, entries: 97, acknowledged: 95 },
  }
  let asked = 0
  const clientOf = (centre: keyof typeof answers) => ({
    centre,
    client: {
      call: async () => {
        asked++
        if (!answers[centre]) throw new Problem('server.unreachable')
        return { id: centre, copies: 0, takeovers: 1, ...answers[centre] } as never
      },
      close: async () => {},
    },
  })
  let nowMs = 0
  const watch = new CentreWatch([clientOf('settlement'), clientOf('settlement-backup')], { monotonicMs: () => nowMs })
  const server = healthServer({
    version: '1',
    status: () => status,
    services: () => ({}),
    parts: [centresHealth(() => watch.reports())],
  })
  t.teardown(() => server.close())
  const metrics = async () => (await server.inject({ url: '/metrics', headers: { host: '127.0.0.1:9000' } })).body
  const first = await metrics()
  for (const line of [
    'leading{centre="settlement"} 0',
    'leading{centre="settlement-backup"} 1',
    'epoch{centre="settlement-backup"} 4',
    'paired{centre="settlement-backup"} 1',
    'acknowledged{centre="settlement-backup"} 95',
    'lag{centre="settlement-backup"} 2',
    'lag{centre="settlement"} 7',
    'up{centre="settlement"} 1',
  ])
    t.ok(first.includes(`azukari_centre_${line}\n`), line)
  t.equal(asked, 2, 'asked once for all of them')
  Object.assign(answers, { settlement: undefined })
  nowMs += 5_000
  t.ok((await metrics()).includes('azukari_centre_up{centre="settlement"} 0\n'), 'one that is down is told as such')
})

t.test('D6: doctor names what is wrong and what to do', async (t) => {
  const folder = t.testdir()
  const ports = { files: systemFiles(), clock: systemClock }
  const parts = { files: ['gateway.key'], databases: ['gateway.db', 'placement/placement.db'] }
  const open = (path: string) => {
    const database = openDatabase(path)
    return {
      integrity: async () => String(Object.values((await database.get('PRAGMA quick_check')) ?? {})[0]),
      close: () => database.close(),
    }
  }
  const by = async () =>
    new Map((await examine(siteChecks(folder, parts, ports, open))).map((finding) => [finding.what, finding]))
  t.match((await by()).get('gateway.key'), { ok: false, todo: /Correct the setting/ })
  writeFileSync(join(folder, 'gateway.key'), 'x')
  writeFileSync(join(folder, 'gateway.db'), 'this is no database, but long enough to look at'.repeat(100))
  mkdirSync(join(folder, 'placement'))
  const found = await by()
  t.match(found.get('gateway.key'), { ok: true })
  t.match(found.get('gateway.db'), { ok: false, detail: /not a database/ })
  t.match(found.get('placement/placement.db'), { ok: true, detail: /not there yet/ })
  t.match(await examine(siteChecks(join(folder, 'absent'), parts, ports, open), 'ja'), [{ what: 'folder', ok: false }])
  t.equal((await by()).get('clock')?.ok, true)
  await memoryDatabase().close()
})
