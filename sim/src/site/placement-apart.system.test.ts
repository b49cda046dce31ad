/** Placement in a process of its own (D4, S10): it dies, and printing goes on; its database is lost, and is made again. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import t from 'tap'
import { quietLog } from '../testkit/log.ts'
import { boardPlaces, places } from '../testkit/places.ts'
import { gatewayCommand } from './processes.ts'
import { pin, SimulatedSite, type SiteBoard } from './site.ts'
import { until } from './wait.ts'

t.test('D4 S7 S10: placement apart', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-apart-'))
  const site = new SimulatedSite({
    folder,
    servers: places.filter(({ id }) => ['ishikari', 'osaka', 'fukuoka', 'frankfurt'].includes(id)),
    boards: boardPlaces.filter(({ role }) => role !== 'terminal'),
    placementApart: true,
    gatewayArgs: ['--senml', 'json', '--telemetry-seconds', '5'],
    log: quietLog,
  })
  t.teardown(async () => {
    await site.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await site.start()
  const camera = site.boards.get('camera')!
  const printer = site.boards.get('printer')!
  const card = await site.issueCard('Hanako')

  const insert = async ({ board, runtime }: SiteBoard, session = true) => {
    board.reader.insert(card)
    await until('the card', () => (session ? runtime.presence?.card?.session : runtime.presence?.card))
  }
  const remove = async ({ board, runtime }: SiteBoard) => {
    board.reader.remove()
    await until('the card to leave', () => !runtime.presence?.card)
  }
  const kept = async (object: Uint8Array, written: number) => {
    await until('the receipt', async () =>
      (await camera.runtime.saves.list()).find((one) => Buffer.from(one.object).equals(object) && one.state === 'kept'),
    )
    await until(
      'the conditions on the card',
      () => camera.runtime.presence?.card?.client.readConditions().length === written,
    )
  }

  // D6: what the gateway publishes has placement's servers and risks, too, which it has to ask for.
  const { password } = await gatewayCommand<{ password: string }>(['reader', 'new', 'home', '--folder', folder])
  const told = new Set<string>()
  const stop = new AbortController()
  const reading = await mqttTransport({ url: site.broker }).connect(
    {
      clientId: 'home',
      username: 'home',
      password: new TextEncoder().encode(password),
      will: { topic: 'home/status', payload: new Uint8Array(0), retain: false },
      keepaliveMs: 60_000,
      connectLimitMs: 20_000,
      onMessage: ({ payload }) => {
        for (const { n } of JSON.parse(new TextDecoder().decode(payload)) as { n?: string }[]) if (n) told.add(n)
      },
    },
    stop.signal,
  )
  await reading.subscribe(['azukari/site/gateway/senml/json'])
  await until('telemetry of placement', () =>
    ['server/ishikari/risk', 'server/osaka/risk', 'server/frankfurt/risk', 'waiting-saves'].every((name) =>
      [...told].some((one) => one.endsWith(name)),
    ),
  )
  await reading.close()

  await insert(camera)
  const first = await camera.runtime.camera!.shutter(pin)
  await kept(first.object, 1)
  await remove(camera)
  await insert(printer)
  await printer.runtime.printer!.print(first.object, { pin })
  t.equal(printer.board.printer!.pages.length, 1, 'S7 S10: kept and printed with placement apart')
  await remove(printer)

  await insert(camera)
  await site.placement!.kill()
  const second = await camera.runtime.camera!.shutter(pin)
  t.equal(second.state, 'here', 'D5: a save taken meanwhile is on the device')
  await insert(printer, false)
  await printer.runtime.printer!.print(first.object, { pin })
  t.equal(printer.board.printer!.pages.length, 2, 'S10: printed while placement is dead')
  await remove(printer)
  t.not((await camera.runtime.saves.list()).find(({ name }) => name === second.name)?.state, 'kept', 'it waits')
  await site.startPlacement()
  camera.board.reader.insert(card)
  await kept(second.object, 2)
  t.pass('D5 S8: kept, and on the card, when placement is back')
  await remove(camera)

  await site.gateway!.stop()
  await site.placement!.kill()
  for (const name of await readdir(`${folder}/placement`))
    if (name.startsWith('placement.db')) await rm(`${folder}/placement/${name}`)
  const key = `${folder}/recovery-key.txt`
  await writeFile(key, site.recoveryKey)
  const report = await gatewayCommand<{ members: number; objects: number; servers: number }>([
    'placement',
    'rebuild',
    '--folder',
    folder,
    '--recovery-key',
    key,
  ])
  t.match(report, { members: 1, objects: 2 }, 'S7: rebuilt from the journal on the data servers')
  await site.startPlacement()
  await site.startGateway()
  await insert(printer)
  await printer.runtime.printer!.print(second.object, { pin })
  t.equal(printer.board.printer!.pages.length, 3, 'S10: printed after the rebuild')
  await remove(printer)
  await insert(camera)
  const third = await camera.runtime.camera!.shutter(pin)
  await kept(third.object, 3)
  t.pass('S7: and placement keeps what comes next')
})
