import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { centreKeys, sealApplication } from '@azukari/device/pay/member'
import { systemPorts } from '@azukari/gateway/adapters/system-ports'
import { SiteFolder } from '@azukari/gateway/site-folder'
import { CallClient } from '@azukari/gateway/transport/client'
import { SpreadClient } from '@azukari/gateway/transport/spread-client'
import { freePort } from '@azukari/protocol/adapters/free-port'
import { handleRequest } from '@azukari/protocol/contracts/internal'
import { centreState, centreStatus } from '@azukari/protocol/contracts/settlement-centre'
import { apply, readGuide } from '@azukari/protocol/contracts/settlement-members'
import t from 'tap'
import { gatewayCommand, type Running, startGatewayCommand } from '../../../site/processes.ts'
import { until } from '../../../site/wait.ts'
import { personOf } from '../../../testkit/settlement/fixture.ts'

t.test(
  'P9 processes: commits and clerks’ work reach the backup, it takes over after kill -9, the old centre comes back in step',
  async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'azukari-'))
    const [a, b] = [join(root, 'a'), join(root, 'b')]
    const running: Running[] = []
    t.teardown(async () => {
      for (const process of running.reverse()) await process.stop()
      rmSync(root, { recursive: true, force: true })
    })
    const url = (port: number) => `https://127.0.0.1:${port}`
    const [pa, pb, ...pw] = await Promise.all([freePort(), freePort(), freePort(), freePort(), freePort()])
    await gatewayCommand(['init', '--folder', a])
    writeFileSync(
      join(a, 'settlement.json'),
      JSON.stringify({ centre: { primary: url(pa!), backup: url(pb!), witnesses: pw.map(url) } }),
    )
    const { keyring } = new SiteFolder(a, 'site', systemPorts)
    const start = async (folder: string, name: string[], port: number, more: string[] = []) => {
      const args = ['settlement', ...name, '--folder', folder, '--port', String(port), ...more]
      const process = await startGatewayCommand(args, { logFile: join(root, 'log'), limitMs: 60_000 })
      running.push(process)
      return process
    }
    for (const [i, port] of pw.entries()) await start(a, ['witness'], port, ['--number', String(i + 1)])
    const apart = ['--placement', url(1)]
    const primary = await start(a, [], pa!, apart)
    const tls = await keyring.identity('gateway', 'gateway')
    const clientOf = (port: number, server: string) =>
      new CallClient({ url: url(port), tls, server, clock: systemPorts.clock })
    const [toA, toB] = [clientOf(pa!, 'settlement'), clientOf(pb!, 'settlement-backup')]
    const pair = new SpreadClient([toA, toB], systemPorts.clock)
    t.teardown(() => pair.close())
    const caller = { device: 'term-1', region: 'JP-13', roles: ['terminal'] }
    const status = (client: CallClient) => client.call(centreStatus, {}).catch(() => undefined)
    const reaches = async (
      what: string,
      client: CallClient,
      holds: (status: { leading: boolean; paired: boolean }) => boolean,
    ) => {
      let now: Awaited<ReturnType<typeof status>>
      await until(
        what,
        async () => {
          now = await status(client)
          return now !== undefined && holds(now)
        },
        90_000,
      )
      return now!
    }
    /** On a busy machine the lead may be renewed late, with a higher epoch: both are read until they agree. */
    const inStep = (what: string, leader: CallClient, follower: CallClient) =>
      until(
        what,
        async () => {
          const [leads, follows] = [await status(leader), await status(follower)]
          if (!leads?.leading || !follows || follows.leading) return undefined
          return follows.epoch === leads.epoch && follows.entries === leads.entries ? leads : undefined
        },
        60_000,
      )
    await reaches('the first leadership', toA, ({ leading }) => leading)
    await until('its keys', async () => (await ask(readGuide.id, {}).catch(() => undefined)) !== undefined, 60_000)

    mkdirSync(join(b, 'settlement'), { recursive: true })
    for (const name of ['tls', 'settlement.json', 'settlement/keystore.cose', 'settlement/passphrase', 'placement'])
      cpSync(join(a, name), join(b, name), { recursive: true })
    await start(b, ['backup'], pb!, apart)
    await reaches('both in step', toA, ({ paired }) => paired)

    async function ask(contract: string, body: unknown) {
      const id = systemPorts.random.bytes(16)
      const reply = await pair.call(handleRequest, { caller, contract, id, atMs: Date.now(), body })
      return reply.body as { key: Uint8Array; agreement: Uint8Array; terms: string }
    }
    const guide = await ask(readGuide.id, {})
    const application = sealApplication(
      centreKeys(guide),
      { kind: 'general', person: personOf(1), terms: guide.terms },
      systemPorts.random,
    )
    const act = {
      caller,
      contract: apply.id,
      id: systemPorts.random.bytes(16),
      atMs: Date.now(),
      stream: systemPorts.random.bytes(16),
      seq: 1,
      body: { application },
    }
    const applied = await pair.call(handleRequest, act)
    t.equal(applied.problem, undefined)
    // The gateway turns to whichever centre leads.
    const both = [url(pa!), url(pb!)].join(',')
    const gateway = await startGatewayCommand(['run', '--folder', a, '--port', '0', '--settlement', both], {
      logFile: join(root, 'log'),
      limitMs: 60_000,
    })
    running.push(gateway)
    const clerk = <T>(...words: string[]) => gatewayCommand<T>(['settlement', ...words, '--folder', a])
    const [waiting] = await clerk<{ id: string }[]>('applications')
    const letter = join(root, 'letter.pdf')
    const { number } = await clerk<{ number: string }>('accept', '--out', letter, waiting!.id)
    t.ok(existsSync(letter))
    const before = await inStep('the backup has all that the primary has', toA, toB)

    await primary.kill()
    const taken = await reaches('the backup leads', toB, ({ leading }) => leading)
    t.ok(taken.epoch > before.epoch && taken.entries >= before.entries)
    const again = await until('settlement there', () => pair.call(handleRequest, act).catch(() => undefined), 60_000)
    t.same(again.body, applied.body, 'the act that comes again was done already')
    t.strictSame(await clerk('applications'), [], 'the clerk’s work is there')
    t.ok(JSON.stringify(await clerk('log')).includes(number), 'and in the log')
    const standing = (one: unknown) => [
      { process: 'settlement', ...(one as object) },
      { process: 'settlement-backup', answer: { leading: true } },
    ]
    t.match(await clerk('centre'), standing({ problem: { code: 'server.unreachable' } }))

    await start(a, [], pa!, apart)
    await reaches('both in step again', toB, ({ paired }) => paired)
    const agreed = await inStep('the old centre follows the new one', toB, toA)
    t.ok(agreed.epoch >= taken.epoch)
    t.match(await clerk('centre'), standing({ answer: { leading: false } }))
    const asPrimary = new CallClient({
      url: url(pb!),
      tls: await keyring.identity('settlement', 'service'),
      server: 'settlement-backup',
      clock: systemPorts.clock,
    })
    t.teardown(() => asPrimary.close())
    await t.rejects(asPrimary.call(centreState, { epoch: before.epoch }), { code: 'centre.old-epoch' })
    await t.rejects(toB.call(centreState, { epoch: 99 }), { code: 'message.unauthorised' }, 'only the other centre may')
  },
)
