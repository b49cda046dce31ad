/** A gateway with two processes of settlement on PostgreSQL (D4, D6, docs/decisions/0034), set up as operators.md says. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { centreKeys, sealApplication } from '@azukari/device/pay/member'
import { Runtime } from '@azukari/device/runtime'
import { systemPorts } from '@azukari/gateway/adapters/system-ports'
import { putOnPostgres } from '@azukari/gateway/test-database'
import { freePort } from '@azukari/protocol/adapters/free-port'
import { apply, readGuide } from '@azukari/protocol/contracts/settlement-members'
import t from 'tap'
import { simulatedBoard } from '../../testkit/boards/index.ts'
import { quietLog } from '../../testkit/log.ts'
import { personOf } from '../../testkit/settlement/fixture.ts'
import { gatewayCommand, type Running, startGatewayCommand } from '../processes.ts'
import { until } from '../wait.ts'

const skip = process.env['AZUKARI_TEST_POSTGRES'] ? false : 'no PostgreSQL here; npm test starts one'

interface Health {
  settlementProcesses: { process: string; isUp: boolean; workEpoch?: number }[]
}

t.test(
  'D4 D6 P1: two processes of settlement behind one gateway; one is killed, and work goes on',
  { skip },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
    const running: Running[] = []
    t.teardown(async () => {
      for (const process of running.reverse()) await process.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    const at = ['--folder', folder, '--site', 'site']
    await gatewayCommand(['init', ...at])
    await putOnPostgres(folder)
    let logs = 0
    const start = async (...args: string[]) => {
      const logFile = `${folder}/${args[0]}-${++logs}.log`
      const process = await startGatewayCommand([...args, ...at], { logFile, limitMs: 60_000 })
      running.push(process)
      return process
    }
    const peerPort = String(await freePort())
    const placementArgs = ['placement', '--port', '0', '--gateway', `https://127.0.0.1:${peerPort}`]
    const placement = String((await start(...placementArgs)).fact['url'])
    const first = await start('settlement', '--port', '0', '--placement', placement)
    const second = await start('settlement', '--port', '0', '--placement', placement)
    const both = `${first.fact['url']},${second.fact['url']}`
    const gateway = await start(
      ...['run', '--port', '0', '--peer-port', peerPort, '--health-port', '0'],
      ...['--placement', placement, '--settlement', both],
    )
    const standing = async () => {
      const answer = await fetch(`http://127.0.0.1:${gateway.fact['healthPort']}/healthz`)
      return ((await answer.json()) as Health).settlementProcesses
    }
    const working = (what: string, so: (processes: Health['settlementProcesses']) => boolean) =>
      until(what, async () => {
        const now = await standing()
        return now && so(now) ? now : undefined
      })
    const ups = (now: Health['settlementProcesses']) => now.map(({ isUp }) => isUp)
    const worker = (now: Health['settlementProcesses']) => now.findIndex(({ workEpoch }) => workEpoch !== undefined)
    const before = await working('both, and one that works', (now) => ups(now).every(Boolean) && worker(now) >= 0)
    t.equal(before.filter(({ workEpoch }) => workEpoch !== undefined).length, 1, 'one does the slow work')

    const { claim } = await gatewayCommand<{ claim: string }>(['claim', 'new', '--folder', folder, '--region', 'JP-13'])
    mkdirSync(`${folder}/device`)
    const board = simulatedBoard({ ...systemPorts, model: 'azukari-simulated-terminal' })
    const transport = mqttTransport({ url: `mqtt://127.0.0.1:${gateway.fact['port']}` })
    const database = await openDeviceDatabase(`${folder}/device/device.db`)
    const runtime = new Runtime(
      { site: 'site', roles: ['terminal'], claim, model: board.model, version: '0.1.0', folder: `${folder}/device` },
      { ...systemPorts, database, transport, log: quietLog },
      board,
    )
    await runtime.start()
    t.teardown(() => runtime.stop())
    await until('the line', () => runtime.link.up)
    const guide = await runtime.link.call(readGuide, {})
    const sent = async (n: number) => {
      const application = sealApplication(
        centreKeys(guide),
        { kind: 'general', person: personOf(n), terms: guide.terms },
        systemPorts.random,
      )
      await runtime.pay!.send(apply, { application })
      return (await gatewayCommand<unknown[]>(['settlement', 'applications', ...at])).length
    }
    t.equal(await sent(1), 1)

    const killed = worker(before)
    await [first, second][killed]!.kill()
    t.equal(await sent(2), 2, 'an act, and an operator’s command')
    const after = await working('the other works', (now) => worker(now) === 1 - killed)
    t.equal(after[killed]!.isUp, false)
    t.ok(after[1 - killed]!.workEpoch! > before[killed]!.workEpoch!, 'under a later epoch')

    await t.rejects(start(...placementArgs), { code: 'service.unavailable' }, 'placement runs once')
  },
)
