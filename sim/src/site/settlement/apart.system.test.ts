import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import type { Presence } from '@azukari/device/apps/presence'
import { centreKeys, openMembership, PayMember, sealApplication, sealLoss } from '@azukari/device/pay/member'
import { Runtime } from '@azukari/device/runtime'
import { keysOfSeed } from '@azukari/device/vault/seed'
import { systemPorts } from '@azukari/gateway/adapters/system-ports'
import type { CardStanding } from '@azukari/gateway/services/settlement/members/register-sync'
import { SiteFolder } from '@azukari/gateway/site-folder'
import { CallClient } from '@azukari/gateway/transport/client'
import { freePort } from '@azukari/protocol/adapters/free-port'
import { decode } from '@azukari/protocol/codec'
import { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import { apply, readGuide, register, reportFound, reportLoss } from '@azukari/protocol/contracts/settlement-members'
import { keepCardByCall, readAccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { coseKey, parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import t from 'tap'
import { simulatedBoard } from '../../testkit/boards/index.ts'
import { quietLog } from '../../testkit/log.ts'
import { codesOf, personOf } from '../../testkit/settlement/fixture.ts'
import { cardIssue, loadCard } from '../card/issue.ts'
import { gatewayCommand, type Running, startGatewayCommand } from '../processes.ts'
import { until } from '../wait.ts'

t.test(
  'D4 P1 P4 settlement in a process of its own: members reach it, services reach it, placement’s register is kept in step',
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
    const [placementPort, settlementPort] = [String(await freePort()), String(await freePort())]
    const startPlacement = () =>
      start('placement', ['--port', placementPort, '--gateway', `https://127.0.0.1:${buffer}`])
    const placementProcess = await startPlacement()
    const placement = String(placementProcess.fact['url'])
    const startSettlement = () => start('settlement', ['--port', settlementPort, '--placement', placement])
    const settlementProcess = await startSettlement()
    const settlement = String(settlementProcess.fact['url'])
    const gateway = await start('run', [
      '--port',
      '0',
      '--placement',
      placement,
      '--settlement',
      settlement,
      '--peer-port',
      String(buffer),
    ])
    const { claim } = await gatewayCommand<{ claim: string }>(['claim', 'new', '--folder', folder, '--region', 'JP-13'])

    mkdirSync(`${folder}/devices/home`, { recursive: true })
    const board = simulatedBoard({ ...systemPorts, model: 'azukari-simulated-terminal' })
    const transport = mqttTransport({ url: `mqtt://127.0.0.1:${gateway.fact['port']}` })
    const database = await openDeviceDatabase(`${folder}/devices/home/device.db`)
    const runtime = new Runtime(
      {
        site: 'site',
        roles: ['terminal'],
        claim,
        model: board.model,
        version: '0.1.0',
        folder: `${folder}/devices/home`,
      },
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
      '--out',
      letter,
      waiting!.id,
    ])
    const { key: providerKey } = decode(readFileSync(`${folder}/placement/public.cose`)) as { key: Uint8Array }
    const { file, record } = await cardIssue(
      {
        kind: 'ed25519',
        name: 'Hanako',
        level: 2,
        home: 'JP-13',
        pin: '2468',
        out: join(folder, 'card.azcard'),
        providerKey: Buffer.from(coseKey(publicOf(parseCoseKey(providerKey)))).toString('hex'),
      },
      systemPorts,
    )
    writeFileSync(`${file}.json`, JSON.stringify(record))
    await gatewayCommand(['member', 'add', '--folder', folder, `${file}.json`])
    const card = await loadCard(systemPorts.files, file, systemPorts.random)
    const keys = keysOfSeed(systemPorts.random.bytes(32))
    const pay = new PayMember(keys, centre, systemPorts)
    const { code, blockCode } = codesOf(readFileSync(letter))
    const registration = pay.registration({
      number,
      code,
      person,
      card: new Uint8Array(Buffer.from(record.card, 'hex')),
    })
    const { membership } = await runtime.pay!.send(register, { registration })
    t.same(openMembership(centre, membership).key, thumbprint(keys.signing))

    // A card that is lost: its session ends, and none is opened, whoever of the two was away when it was reported.
    const standing = () => gatewayCommand<CardStanding>(['settlement', 'member', ...at, number])
    const inStep = (what: string, so: (standing: CardStanding) => boolean) =>
      until(what, async () => {
        const now = await standing()
        return now.inStep && so(now) ? now : undefined
      })
    const lose = () =>
      runtime.pay!.send(reportLoss, {
        loss: sealLoss(centre, { number, code: blockCode, what: 'card' }, systemPorts.random),
      })
    const inserted = async (what: string, so: (presence: Presence) => boolean) => {
      board.reader.remove()
      await until('the slot to be empty', () => !runtime.presence!.card)
      board.reader.insert(card)
      await until(what, () => so(runtime.presence!))
    }
    const refused = ({ card }: Presence) => card?.refused?.code === 'card.lost'
    const admitted = ({ card }: Presence) => card?.session !== undefined
    await inserted('a session', admitted)
    await lose()
    await until('the session to be called up and refused', () => refused(runtime.presence!))
    await inserted('refused again', refused)
    t.match(await inStep('told', ({ lost, level }) => lost && level === 2), { lost: true, level: 2, home: 'JP-13' })

    await placementProcess.kill()
    await runtime.pay!.send(reportFound, { found: pay.found() })
    t.match(await standing(), { lost: false, inStep: false }, 'it waits for placement')
    await settlementProcess.kill()
    await startPlacement()
    await startSettlement()
    await inStep('told after both have died', ({ lost }) => !lost)
    await inserted('a session again', admitted)

    // Levels and regions, both ways.
    await gatewayCommand(['settlement', 'member', ...at, number, '--level', '1', '--home', 'JP-27'])
    await inStep('placement’s own word on it', ({ level, home }) => level === 1 && home === 'JP-27')
    await inserted('the card shows it', ({ card }) => card?.session?.level === 1 && card.session.home === 'JP-27')
    const placementNumber = String(record.number)
    await gatewayCommand(['member', 'change', ...at, placementNumber, '--plan', 'premium'])
    await inStep('what changed at placement', ({ level, plan }) => level === 3 && plan === 'premium')
    await gatewayCommand(['settlement', 'member', ...at, number, '--home', 'XX-99'])
    t.match(await inStep('a refusal', ({ refused }) => refused !== undefined), { home: 'JP-27', refused: /XX-99/ })

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
    t.match(await asSettlement.call(keepCardByCall, { card: new Uint8Array(32).fill(9), revision: 2, lost: true }), {
      known: false,
    })
    const late = { card: new Uint8Array(Buffer.from(record.card, 'hex')), revision: 1, lost: true }
    t.match(await asSettlement.call(keepCardByCall, late), { known: true })
    await inserted('a word that comes late changes nothing', admitted)
    // Back to a level that the card had, while it may show another by now.
    await gatewayCommand(['member', 'change', ...at, placementNumber, '--level', '1'])
    await inserted('whichever of them it shows', ({ card }) => card?.session?.level === 1)
    await inserted('and the register’s afterwards', ({ card }) => card?.session?.level === 1)
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
    const intruder = new CallClient({
      url: placement,
      tls: await keyring.identity('content', 'service'),
      server: 'placement',
      clock: systemPorts.clock,
    })
    await t.rejects(intruder.call(keepCardByCall, late), { code: 'message.unauthorised' })
    await intruder.close()
    const charge = { id: new Uint8Array(16).fill(1), reason: 'usage', reference: 'r', moves: [fee] }
    t.match(await asContent.call(postCharge, charge), { seq: 1 })
    t.match(await asContent.call(postCharge, charge), { seq: 1 }, 'once')
    await asSettlement.close()
    await asContent.close()
  },
)
