/** A fleet looked after from the site (D6): the real gateway and the real runtime over MQTT, settings, jobs and upgrades. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { loadIdentity, storeIdentity } from '@azukari/device/identity'
import { Runtime } from '@azukari/device/runtime'
import { openDatabase } from '@azukari/gateway/adapters/database'
import {
  advanceJobs,
  diagnosticsOf,
  endJobPart,
  type NewJob,
  newJob,
  orderFor,
  showJob,
} from '@azukari/gateway/fleet/jobs'
import { Releases } from '@azukari/gateway/fleet/releases'
import { desire, report, stateOf } from '@azukari/gateway/fleet/states'
import { gatewayMigrations } from '@azukari/gateway/registry/tables'
import { migrate } from '@azukari/gateway/storage/migrate'
import { silent } from '@azukari/gateway/test-contracts'
import { site as siteName, startTestSite } from '@azukari/gateway/test-site'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import { isProblem } from '@azukari/protocol/problem'
import { type Choice, launch, restartCode } from '@azukari/protocol/upgrade/launcher'
import { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import t from 'tap'
import { simulatedBoard } from '../../testkit/boards/index.ts'
import { until as reached } from '../wait.ts'

const ports = { clock: systemClock, random: systemRandom, files: systemFiles(), log: silent }
const releaseKey = generateKey('ed25519', systemRandom)
const plan = { perMinute: 1_000, abortPercent: 20, abortAfter: 3, timeoutMs: 60_000, retries: 0 }

/** Programs are started and ended here, which takes longer than most of what a site does. */
const until = (what: string, holds: () => boolean | Promise<boolean>) => reached(what, holds, 60_000)

/** A board that its launcher keeps running: versions are made by what their entry file says. */
function startDevice(folder: string, broker: string, claim: string) {
  const stop = new AbortController()
  const slots = new SlotStore(ports.files, `${folder}/slots`)
  const device = { runtime: undefined as Runtime | undefined, version: '', id: '' }
  const run = async (choice: Choice, ended: AbortSignal): Promise<number> => {
    const told = choice.slot === undefined ? { version: '0.1.0' } : JSON.parse(readFileSync(choice.entry, 'utf8'))
    if (told.crashes) return 1
    const board = simulatedBoard({ ...ports, model: 'test' })
    const runtime = new Runtime(
      { site: siteName, roles: ['terminal'], claim, model: 'test', version: told.version, folder, slots },
      {
        ...ports,
        database: await openDeviceDatabase(`${folder}/device.db`),
        transport: mqttTransport({ url: broker }),
      },
      board,
    )
    const over = Promise.withResolvers<number>()
    runtime.onRestart = () => over.resolve(restartCode)
    ended.addEventListener('abort', () => over.resolve(0))
    await runtime.start()
    Object.assign(device, { runtime, version: told.version, id: runtime.identity.device })
    const code = await over.promise
    await runtime.stop()
    return code
  }
  const start = (choice: Choice) => {
    const ended = new AbortController()
    const exited = run(choice, ended.signal)
    const stop = async () => {
      ended.abort()
      await exited
    }
    return { exited, stop }
  }
  const releaseKeyOf = async () =>
    (await loadIdentity(ports.files, `${folder}/identity.cose`, systemRandom)).trust?.releaseKey
  const launched = launch({ store: slots, releaseKey: releaseKeyOf, start, ...ports, healthMs: 60_000 }, stop.signal)
  return Object.assign(device, {
    stop: async () => {
      stop.abort()
      await launched
    },
  })
}

t.test('D6: settings, diagnostics and upgrades reach a device, over a line that breaks', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-fleet-'))
  const of = { directory: `${folder}/site`, releaseKey: coseKey(publicOf(releaseKey)) }
  mkdirSync(of.directory)
  let site = await startTestSite(of)
  // As the commands do: a connection of another process.
  const office = openDatabase(join(site.directory, 'gateway.db'))
  mkdirSync(`${folder}/device`)
  let device = startDevice(`${folder}/device`, site.url, await site.newClaim())
  t.teardown(async () => {
    await device.stop()
    await office.close()
    await site.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  await until('the device is up', () => device.id !== '' && site.gateway.isUp(device.id))
  const { id } = device

  await desire(office, id, { 'report.minutes': 5, 'sound.volume': 11, language: 'ja' })
  await until('the settings are reported', async () => (await stateOf(office, id)).reported.applied === 1)
  t.match((await stateOf(office, id)).reported, {
    values: { 'report.minutes': 5, language: 'ja' },
    refused: [{ key: 'sound.volume', code: 'state.refused' }],
  })
  t.equal(device.runtime!.caretaker.reportMs, 300_000)

  await device.stop()
  await desire(office, id, { 'report.minutes': 6, 'sound.volume': null })
  await desire(office, id, { 'report.minutes': 7 })
  device = startDevice(`${folder}/device`, site.url, '')
  await until('what was desired meanwhile is reported', async () => (await stateOf(office, id)).reported.applied === 3)
  t.match((await stateOf(office, id)).reported, { values: { 'report.minutes': 7, language: 'ja' }, refused: [] })

  const job = async (more: Pick<NewJob, 'kind'> & Partial<NewJob>) => {
    const jobId = systemRandom.bytes(16)
    await newJob(office, { ...plan, id: jobId, devices: [id], ...more }, Date.now())
    await until(`${more.kind} ends`, async () =>
      ['done', 'failed'].includes((await showJob(office, jobId)).parts[0]!.state),
    )
    return { id: jobId, part: (await showJob(office, jobId)).parts[0]! }
  }
  const configured = await job({ kind: 'configuration', settings: { 'report.minutes': 9 } })
  t.match(configured.part, { state: 'done', attempt: 1 })
  t.equal((await stateOf(office, id)).reported.values['report.minutes'], 9)
  t.match((await job({ kind: 'configuration', settings: { language: 'fr' } })).part, {
    state: 'failed',
    code: 'state.refused',
    detail: 'language',
  })

  const before = await loadIdentity(ports.files, `${folder}/device/identity.cose`, systemRandom)
  t.equal((await job({ kind: 'rotation' })).part.state, 'done')
  const after = await loadIdentity(ports.files, `${folder}/device/identity.cose`, systemRandom)
  t.equal(after.device, before.device)
  t.notOk(publicOf(after.key).equals(publicOf(before.key)))
  await device.stop()
  // A copy of the device with the key of before, such as a stolen image.
  await storeIdentity(ports.files, `${folder}/thief/identity.cose`, before)
  const thief = startDevice(`${folder}/thief`, site.url, '')
  await until('the old key is refused', () => thief.runtime?.link.state === 'waiting')
  t.notOk(site.gateway.isUp(id))
  await thief.stop()
  // The answer to the rotation was lost: the device has both keys and does not know which one the site holds.
  await storeIdentity(ports.files, `${folder}/device/identity.cose`, { ...before, next: after.key })
  device = startDevice(`${folder}/device`, site.url, '')
  await until('the device is up with its new key', () => site.gateway.isUp(id))
  await until('it keeps that one', async () => {
    const kept = await loadIdentity(ports.files, `${folder}/device/identity.cose`, systemRandom)
    return kept.next === undefined && publicOf(kept.key).equals(publicOf(after.key))
  })

  const looked = await job({ kind: 'diagnostics' })
  t.equal(looked.part.state, 'done')
  t.match(await diagnosticsOf(office, looked.id), [
    { device: id, report: { version: '0.1.0', link: 'up', outbox: { rows: 0 } } },
  ])

  const releases = new Releases(ports.files, join(site.directory, 'releases'))
  const pack = async (version: string, sequence: number, manner: object) => {
    const from = `${folder}/${version}`
    mkdirSync(`${from}/src`, { recursive: true })
    writeFileSync(`${from}/src/cli.js`, JSON.stringify({ version, ...manner }))
    writeFileSync(`${from}/src/large`, systemRandom.bytes(200_000))
    const says = { site: siteName, version, sequence, minRuntime: '0.1.0', entry: 'src/cli.js' }
    return (await releases.pack(from, says, releaseKey)).name
  }
  t.match((await job({ kind: 'upgrade', release: await pack('1.0.0', 1, {}) })).part, { state: 'done', code: null })
  t.equal(device.version, '1.0.0')
  await until(
    'the site knows',
    async () => (await site.gateway.devices()).find((one) => one.id === id)?.version === '1.0.0',
  )

  t.match((await job({ kind: 'upgrade', release: await pack('1.1.0', 2, { crashes: true }) })).part, {
    state: 'failed',
    code: 'upgrade.rolled-back',
  })
  t.equal(device.version, '1.0.0', 'the old version runs again')
  t.match((await job({ kind: 'upgrade', release: await pack('0.9.0', 1, {}) })).part, {
    state: 'failed',
    code: 'upgrade.replayed',
  })

  await site.stop()
  site = await startTestSite(of)
  await device.stop()
  device = startDevice(`${folder}/device`, site.url, '')
  await until('the device is up at a gateway that began again', () => site.gateway.isUp(id))
  await site.gateway.revoke(id)
  await site.stop()
  site = await startTestSite(of)
  await device.stop()
  device = startDevice(`${folder}/device`, site.url, '')
  await until('it is refused, also after a restart', () => device.runtime?.link.state === 'waiting')
  t.notOk(site.gateway.isUp(id))

  await device.stop()
  device = startDevice(`${folder}/device`, site.url, await site.newClaim())
  await until('a new claim does', () => site.gateway.isUp(id))
  t.equal(device.id, id, 'under the id that it had, with the key that it has now')
  const trusted = await loadIdentity(ports.files, `${folder}/device/identity.cose`, systemRandom)
  t.ok(publicOf(trusted.key).equals(publicOf(after.key)))

  // A site that was made anew knows nobody: its devices need claims, and believe it by them.
  mkdirSync(`${folder}/second`)
  const second = startDevice(`${folder}/second`, site.url, await site.newClaim())
  await until('another device is up', () => second.id !== '' && site.gateway.isUp(second.id))
  await second.stop()
  const anew = await startTestSite({ key: generateKey('ed25519', systemRandom) })
  t.teardown(() => anew.stop())
  const stranger = startDevice(`${folder}/second`, anew.url, '')
  await until('it is a stranger there', () => stranger.runtime?.link.state === 'waiting')
  await stranger.stop()
  const newcomer = startDevice(`${folder}/second`, anew.url, await anew.newClaim())
  await until('with a claim it is let in', () => anew.gateway.isUp(second.id))
  await newcomer.stop()
})

t.test(
  'D6: 50 devices: a bad roll-out is stopped by its threshold, also when the gateway dies after every step',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'azukari-jobs-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const open = () => openDatabase(join(folder, 'gateway.db'))
    let database = open()
    await migrate(database, [gatewayMigrations], 0)
    const devices = Array.from({ length: 50 }, (_, i) => `device-${i}`)
    const id = systemRandom.bytes(16)
    await newJob(database, { ...plan, perMinute: 5, id, kind: 'upgrade', release: systemRandom.bytes(32), devices }, 0)
    let nowMs = 1_000_000
    for (
      let minute = 0;
      minute < 60 && (await showJob(database, id)).job.state === 'running';
      minute++, nowMs += 60_000
    ) {
      await database.transaction((sql) => advanceJobs(sql, () => true, nowMs))
      await database.close()
      database = open()
      for (const device of devices) {
        const order = await orderFor(database, device)
        if (!order) continue
        const result = { job: id, attempt: order.attempt, done: false, code: 'upgrade.rolled-back' }
        await database.transaction((sql) => endJobPart(sql, device, result))
        await database.transaction((sql) => endJobPart(sql, device, { ...result, done: true }))
      }
    }
    const { job, parts } = await showJob(database, id)
    t.equal(job.state, 'aborted')
    t.equal(parts.filter(({ state }) => state === 'failed').length, 5, 'one minute’s devices, and no more')
    t.equal(parts.filter(({ state }) => state === 'skipped').length, 45)
    await database.close()
  },
)

t.test(
  'D6: the state with the higher version wins; a change upon an older one is refused; sizes have a limit',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'azukari-states-'))
    const database = openDatabase(join(folder, 'gateway.db'))
    t.teardown(async () => {
      await database.close()
      rmSync(folder, { recursive: true, force: true })
    })
    await migrate(database, [gatewayMigrations], 0)
    t.equal(await desire(database, 'd', { language: 'ja' }), 1)
    t.equal(await desire(database, 'd', { 'report.minutes': 3 }, 1), 2)
    await t.rejects(() => desire(database, 'd', { language: 'en' }, 1), { code: 'state.stale', data: { version: 2 } })
    t.strictSame((await stateOf(database, 'd')).desired, {
      version: 2,
      values: { language: 'ja', 'report.minutes': 3 },
    })
    const reported = { version: 4, applied: 2, values: { language: 'ja' }, refused: [] }
    t.equal(await report(database, 'd', reported, 1), 4)
    t.equal(
      await report(database, 'd', { ...reported, version: 3, values: {} }, 2),
      4,
      'an older report changes nothing',
    )
    t.match((await stateOf(database, 'd')).reported, { version: 4, values: { language: 'ja' }, atMs: 1 })
    const large = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, 'x'.repeat(500)]))
    try {
      await desire(database, 'd', large)
      t.fail('too large')
    } catch (error) {
      t.ok(isProblem(error, 'message.too-large'))
    }
    t.equal((await stateOf(database, 'd')).desired.version, 2)
    t.end()
  },
)
