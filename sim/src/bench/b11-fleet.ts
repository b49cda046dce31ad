/**
 * B11: ten thousand devices at one gateway, each greeted and reporting; its memory beside the bare broker's with as many
 * idle clients; and the storm when the gateway is killed and comes back. Devices come from two processes.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { coseKey, generateKey, privateCoseKey, publicOf } from '@azukari/protocol/keys'
import { benchSite, type EnrolledDevice, enrolMany, record, startActGateway } from './act-gateway.ts'
import type { FleetOrder } from './fleet-load.ts'
import { Measured, memoryOf, pause } from './process.ts'
import { type BenchContext, type Row, rounded } from './row.ts'

const processes = 2
const gatewayScript = new URL('./fleet-gateway.ts', import.meta.url).pathname
const loadScript = new URL('./fleet-load.ts', import.meta.url).pathname

export async function run({ quick, folder, tell }: BenchContext): Promise<Row[]> {
  const count = quick ? 1_000 : 10_000
  const reportMs = quick ? 5_000 : 20_000
  const key = generateKey('ed25519', systemRandom)
  const site = join(folder, 'site')
  mkdirSync(site)
  const keyFile = join(folder, 'key')
  writeFileSync(keyFile, Buffer.from(privateCoseKey(key)).toString('hex'))
  // Once begun and stopped: its tables stand, and devices can be enrolled.
  await (await startActGateway(site, key)).stop()
  const devices = await enrolMany(site, count)
  const common = {
    site: benchSite,
    gatewayKey: Buffer.from(coseKey(publicOf(key))).toString('hex'),
    contract: record.id,
    reportMs,
  }
  const order = (name: string, part: EnrolledDevice[], port: number, idle: boolean) => {
    const file = join(folder, `${name}.json`)
    writeFileSync(file, JSON.stringify({ ...common, devices: part, port, idle } satisfies FleetOrder))
    return new Measured([loadScript, file])
  }
  const fleet = (name: string, port: number, idle = false) =>
    Array.from({ length: processes }, (_, i) =>
      order(
        `${name}-${i}`,
        devices.filter((_, at) => at % processes === i),
        port,
        idle,
      ),
    )
  const all = (clients: Measured[]) => Promise.all(clients.map((client) => client.said('all')))
  const running: Measured[] = []
  const begin = (args: string[]) => {
    const started = new Measured(args)
    running.push(started)
    return started
  }

  try {
    tell(`${count} idle clients at the bare broker`)
    const bare = begin([gatewayScript, 'bare'])
    const idle = fleet('idle', Number((await bare.said('port'))['port']), true)
    running.push(...idle)
    await all(idle)
    await pause(reportMs)
    const bareMb = memoryOf(bare.pid).nowMb
    await Promise.all([bare, ...idle].map((one) => one.end()))

    tell(`${count} devices at the gateway`)
    const startedMs = performance.now()
    let gateway = begin([gatewayScript, 'gateway', site, keyFile, '0'])
    const port = Number((await gateway.said('port'))['port'])
    const clients = fleet('fleet', port)
    running.push(...clients)
    await all(clients)
    const upS = (performance.now() - startedMs) / 1000
    tell(`all up after ${upS.toFixed(1)} s`)
    await pause(2 * reportMs)
    const gatewayMb = memoryOf(gateway.pid).nowMb
    gateway.ask({})
    const steady = await gateway.said('connections')

    tell('the gateway is killed and started again')
    process.kill(gateway.pid, 'SIGKILL')
    await gateway.end()
    const downMs = performance.now()
    gateway = begin([gatewayScript, 'gateway', site, keyFile, String(port)])
    await gateway.said('port')
    await all(clients)
    const stormS = (performance.now() - downMs) / 1000
    tell(`all back after ${stormS.toFixed(1)} s`)
    await pause(reportMs)
    for (const client of clients) client.ask({ drain: true })
    const acknowledged = (await Promise.all(clients.map((client) => client.said('acknowledged'))))
      .map((line) => Number(line['acknowledged']))
      .reduce((sum, each) => sum + each, 0)
    gateway.ask({})
    const end = await gateway.said('connections')
    const stormMb = memoryOf(gateway.pid).mostMb
    const lost = acknowledged - Number(end['records'])
    return [
      {
        row: 'B11',
        what: `memory of the gateway with ${count} devices that report, against the bare broker with as many idle clients`,
        value: rounded(gatewayMb, 0),
        unit: 'MB',
        peer: rounded(bareMb, 0),
        ratio: rounded(gatewayMb / bareMb),
        target: '≤ 1.5',
        met: gatewayMb / bareMb <= 1.5,
        note: `${steady['connections']} connected, ${steady['records']} reports of ${steady['devices']} devices by then; all up after ${upS.toFixed(0)} s; most in the storm ${stormMb.toFixed(0)} MB`,
      },
      {
        row: 'B11',
        what: `kill -9 of the gateway: until all ${count} devices are back and greeted`,
        value: rounded(stormS, 1),
        unit: 's',
        peer: 60,
        ratio: rounded(stormS / 60),
        target: '≤ 60 s',
        met: stormS <= 60,
        note: `${end['connections']} connected again; start of the gateway included`,
      },
      {
        row: 'B11',
        what: 'reports that were acknowledged and are not kept, or are kept twice',
        value: Math.abs(lost) + Number(end['twice']),
        unit: 'reports',
        peer: acknowledged,
        ratio: null,
        target: '0',
        met: lost === 0 && end['twice'] === 0,
        note: `${acknowledged} acknowledged, ${end['records']} kept`,
      },
    ]
  } finally {
    await Promise.all(running.map((one) => one.end()))
  }
}
