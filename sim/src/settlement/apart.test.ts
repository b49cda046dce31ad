import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { centreKeys, openMembership, PayMember, sealApplication } from '@azukari/device/pay/member'
import { Runtime } from '@azukari/device/runtime'
import { keysOfSeed } from '@azukari/device/vault/seed'
import { systemPorts } from '@azukari/gateway/main'
import { SiteFolder } from '@azukari/gateway/site-folder'
import { CallClient } from '@azukari/gateway/transport/client'
import { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import { apply, readGuide, register } from '@azukari/protocol/contracts/settlement-members'
import { readAccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { thumbprint } from '@azukari/protocol/keys'
import t from 'tap'
import { simulatedBoard } from '../boards/index.ts'
import { quietLog } from '../site/log.ts'
import { freePort, gatewayCommand, type Running, startGatewayCommand } from '../site/processes.ts'
import { until } from '../site/wait.ts'
import { codesOf, personOf } from './bench.ts'

t.test(
  'D4 P1 settlement in a process of its own: members reach it through the gateway, it reaches placement, services reach it',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
    const running: Running[] = []
    t.teardown(async () => {
      for (const process of running.reverse()) await process.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    const at = ['--folder', folder, '--site', 'site']
    await gatewayCommand(['init', ...at])
    const start = async (name: string, args: string[]) => {
      const process = await startGatewayCommand([name, ...at, ...args], {
        logFile: `${folder}/${name}.log`,
        limitMs: 60_000,
      })
      running.push(process)
      return process
    }
    const buffer = await freePort()
    const placement = String(
      (await start('placement', ['--port', '0', '--gateway', `https://127.0.0.1:${buffer}`])).fact['url'],
    )
    const settlement = String((await start('settlement', ['--port', '0', '--placement', placement])).fact['url'])
    const gateway = await start('run', [
      '--port',
      '0',
      '--placement',
      placement,
      '--settlement',
      settlement,
      '--buffer-port',
      String(buffer),
    ])
    const { claim } = await gatewayCommand<{ claim: string }>(['claim', 'new', '--folder', folder, '--region', 'JP-13'])

    mkdirSync(`${folder}/devices/home`, { recursive: true })
    const board = simulatedBoard({ ...systemPorts, model: 'azukari-simulated-terminal' })
    const transport = mqttTransport({ url: `mqtt://127.0.0.1:${gateway.fact['port']}` })
    const database = await openDeviceDatabase(`${folder}/devices/home/device.db`)
    const runtime = new Runtime(
      { site: 'site', role: 'terminal', claim, model: board.model, version: '0.1.0', folder: `${folder}/devices/home` },
      { ...systemPorts, database, transport, log: quietLog },
      board,
    )
    await runtime.start()
    t.teardown(() => runtime.stop())
    await until('the line', () => runtime.link.up)

    const guide = await runtime.link.call(readGuide, {})
    const centre = centreKeys(guide)
    const person = personOf(1)
    const application = sealApplication(centre, { kind: 'general', person, terms: guide.terms }, systemPorts.random)
    await runtime.pay!.send(apply, { application })
    const [waiting] = await gatewayCommand<{ id: string }[]>(['settlement', 'applications', ...at])
    const letter = join(folder, 'letter.pdf')
    const { number } = await gatewayCommand<{ number: string }>([
      'settlement',
      'accept',
      ...at,
      '--clerk',
      'c',
      '--out',
      letter,
      waiting!.id,
    ])
    const keys = keysOfSeed(systemPorts.random.bytes(32))
    const pay = new PayMember(keys, centre, systemPorts)
    const registration = pay.registration({ number, code: codesOf(readFileSync(letter)).code, person })
    const { membership } = await runtime.pay!.send(register, { registration })
    t.same(openMembership(centre, membership).key, thumbprint(keys.signing))

    const { keyring } = new SiteFolder(folder, 'site', systemPorts)
    const asSettlement = new CallClient({
      url: placement,
      tls: await keyring.identity('settlement', 'service'),
      server: 'placement',
      clock: systemPorts.clock,
    })
    await t.rejects(asSettlement.call(readAccountFacts, { card: new Uint8Array(32), fromMs: 0, toMs: 1 }), {
      code: 'card.unknown',
    })
    const asContent = new CallClient({
      url: settlement,
      tls: await keyring.identity('content', 'service'),
      server: 'settlement',
      clock: systemPorts.clock,
    })
    const fee = {
      from: { member: number, account: 'receivable' as const },
      to: { own: 'income' as const },
      minor: 30,
      currency: 'JPY' as const,
    }
    const charge = { id: new Uint8Array(16).fill(1), reason: 'usage', reference: 'r', moves: [fee] }
    t.match(await asContent.call(postCharge, charge), { seq: 1 })
    t.match(await asContent.call(postCharge, charge), { seq: 1 }, 'once')
    await asSettlement.close()
    await asContent.close()
  },
)
