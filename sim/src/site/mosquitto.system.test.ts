/** The same site with Debian's Mosquitto in place of the embedded broker (D3, issue 2). */
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { boardPlaces, places } from '../testkit/places.ts'
import { mosquitto, siteOverMosquitto } from './mosquitto.ts'
import { pin } from './site.ts'
import { until } from './wait.ts'

const skip = mosquitto ? false : 'no mosquitto here; npm test installs it where it may'

t.test('D3 S4 S10: a save and a print over Mosquitto', { skip }, async (t) => {
  const { site, broker } = await siteOverMosquitto(t, {
    servers: places.filter(({ id }) => ['ishikari', 'osaka', 'fukuoka'].includes(id)),
    boards: boardPlaces.filter(({ role }) => role !== 'terminal'),
  })
  t.equal(site.port, 0, 'the gateway listens for no devices itself')
  const camera = site.boards.get('camera')!
  const printer = site.boards.get('printer')!
  const card = await site.issueCard('Hanako')

  const keep = async (written: number) => {
    const { object } = await camera.runtime.camera!.shutter(pin)
    await until('the receipt', async () =>
      (await camera.runtime.saves.list()).find((one) => Buffer.from(one.object).equals(object) && one.state === 'kept'),
    )
    await until('the card to know it', () => camera.runtime.presence?.card?.client.readConditions().length === written)
    return object
  }
  camera.board.reader.insert(card)
  await until('the session', () => camera.runtime.presence?.card?.session)
  const first = await keep(1)

  await site.gateway!.kill()
  await site.startGateway()
  const second = await keep(2)
  t.pass('D5: and again after the gateway was killed')

  camera.board.reader.remove()
  printer.board.reader.insert(card)
  await until('the card at the printer', () => printer.runtime.presence?.card)
  for (const object of [first, second]) await printer.runtime.printer!.print(object, { pin })
  t.equal(printer.board.printer!.pages.length, 2, 'S10: both printed')

  // Somebody who uses the gateway's name on the devices' line has a device's rights there, and hears nothing of others.
  const heard: string[] = []
  const eavesdropper = await mqttTransport({ url: broker.devicesUrl }).connect(
    {
      clientId: 'aaaaaaaaaaaaaaaaaaaaaaaa',
      username: 'azukari-gateway',
      password: new TextEncoder().encode(broker.password),
      will: { topic: 'v1/site/d/aaaaaaaaaaaaaaaaaaaaaaaa/death', payload: new Uint8Array(1), retain: false },
      keepaliveMs: 30_000,
      connectLimitMs: 5_000,
      onMessage: ({ topic }) => heard.push(topic),
    },
    new AbortController().signal,
  )
  await eavesdropper.subscribe(['v1/site/#']).catch((error) => {
    if (!isProblem(error)) throw error
  })
  printer.board.reader.remove()
  camera.board.reader.insert(card)
  await until('the session', () => camera.runtime.presence?.card?.session)
  await keep(3)
  t.same(
    heard.filter((topic) => topic !== 'v1/site/site'),
    [],
    'D3: others’ messages are not heard',
  )
  await eavesdropper.close()
})
