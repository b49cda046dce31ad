/** Placement's keys are replaced while one device is off and another is in the middle of a save (D1, S4, S7, decision 14). */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { peek1 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import { quietLog } from '../testkit/log.ts'
import { boardPlaces, places } from '../testkit/places.ts'
import { gatewayCommand } from './processes.ts'
import { pin, SimulatedSite, type SiteBoard } from './site.ts'
import { until } from './wait.ts'

interface KeyList {
  version: number
  keys: { holder: string; use: string; kid: string; fromMs: number; untilMs?: number }[]
  behind: { devices: string[]; dataServers: string[] }
}

for (const placementApart of [false, true]) {
  t.test(
    `D1 S4 S7 S10: keys are replaced under a site at work, placement ${placementApart ? 'apart' : 'inside'}`,
    async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'azukari-keys-'))
      const camera = boardPlaces.find(({ role }) => role === 'camera')!
      const site = new SimulatedSite({
        folder,
        servers: places.filter(({ id }) => ['ishikari', 'osaka', 'frankfurt'].includes(id)),
        boards: [camera, boardPlaces.find(({ role }) => role === 'printer')!],
        placementApart,
        log: quietLog,
      })
      t.teardown(async () => {
        await site.stop()
        await rm(folder, { recursive: true, force: true })
      })
      await site.start()
      const busy = site.boards.get('camera')!
      const sleeping = await site.startBoard({ ...camera, id: 'camera-2' }, { withoutMemory: true })
      const printer = site.boards.get('printer')!
      const card = await site.issueCard('Hanako')
      const list = () => gatewayCommand<KeyList>(['key', 'list', '--folder', folder])
      const signing = async () =>
        (await list()).keys.findLast((row) => row.holder === 'placement' && row.use === 'sign')!

      const before = await signing()
      const first = await saved(busy, card)
      t.equal(await signerOf(busy, first), before.kid, 'kept under the first keys')

      // One device has a save that has not left it, and is switched off.
      sleeping.tap.cut()
      const asleep = await shutter(sleeping, card, false)
      await sleeping.runtime.stop()
      // Another is in the middle of one: its line breaks at a block.
      const broken = Promise.withResolvers<void>()
      busy.tap.onBlock = () => {
        busy.tap.cut()
        broken.resolve()
      }
      const halfway = await shutter(busy, card, true)
      await broken.promise
      busy.tap.onBlock = undefined

      const rotated = await gatewayCommand<{ fromMs: number }>([
        'key',
        'rotate',
        'placement',
        '--lead',
        '15',
        '--folder',
        folder,
      ])
      await t.rejects(
        gatewayCommand(['key', 'rotate', 'placement', '--lead', '15', '--folder', folder]),
        /keys.under-way/,
      )
      await t.rejects(gatewayCommand(['key', 'rotate', 'settlement', '--folder', folder]), /keys.fixed/)
      await t.rejects(gatewayCommand(['key', 'rotate', 'nobody', '--folder', folder]), /keys.missing/)
      const after = await signing()
      t.not(after.kid, before.kid)
      t.equal(after.fromMs, rotated.fromMs)
      await until('the new keys to be used', () => Date.now() > rotated.fromMs + 500 || undefined)

      busy.tap.join()
      await kept(busy, halfway)
      t.equal(await signerOf(busy, halfway), after.kid, 'begun for the former keys, kept under the new ones')
      const woken = await site.startBoard(sleeping.place, { withoutMemory: true })
      await kept(woken, asleep)
      t.equal(await signerOf(woken, asleep), after.kid, 'a device that was off all the time delivers, too')
      const second = await saved(woken, card)
      t.equal(await signerOf(woken, second), after.kid)

      for (const object of [first, halfway, asleep, second]) await print(printer, card, object)
      t.equal(printer.board.printer!.pages.length, 4, 'what was kept before and after is printed')

      await until('everybody to know the new keys', async () => (await allKnow(list)) || undefined)
      if (!placementApart) return

      // A restart of everything goes on with the same keys.
      await site.gateway!.kill()
      await site.placement?.kill()
      for (const { place, process } of site.servers.values()) {
        await process!.kill()
        await site.startServer(place)
      }
      await site.startPlacement()
      await site.startGateway()
      t.equal((await signing()).kid, after.kid)
      t.equal(await signerOf(busy, await saved(busy, card)), after.kid, 'kept after a kill of every process')
    },
  )
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.from(a).equals(b)

async function allKnow(list: () => Promise<KeyList>): Promise<boolean> {
  const { behind } = await list()
  return behind.devices.length === 0 && behind.dataServers.length === 0
}

/** Takes a picture with the card in; the card stays in. */
async function shutter({ board, runtime }: SiteBoard, card: VirtualCard, online: boolean): Promise<Uint8Array> {
  board.reader.insert(card)
  await until('the card', () => (online ? runtime.presence?.card?.session : runtime.presence?.card))
  const { object } = await runtime.camera!.shutter(pin)
  board.reader.remove()
  await until('the card to leave', () => !runtime.presence?.card || undefined)
  return object
}

async function kept({ runtime }: SiteBoard, object: Uint8Array): Promise<void> {
  await until('the receipt', async () => {
    const save = (await runtime.saves.list()).find((one) => same(one.object, object))
    if (save?.state === 'refused') throw new Problem('internal', save.problem)
    return save?.state === 'kept' || undefined
  })
}

async function saved(at: SiteBoard, card: VirtualCard): Promise<Uint8Array> {
  const object = await shutter(at, card, true)
  await kept(at, object)
  return object
}

/** Whose name stands in the receipt, as the device keeps it. */
async function signerOf({ runtime }: SiteBoard, object: Uint8Array): Promise<string> {
  return Buffer.from(peek1((await runtime.saves.receiptOf(object))!).kid).toString('hex')
}

async function print({ board, runtime }: SiteBoard, card: VirtualCard, object: Uint8Array): Promise<void> {
  board.reader.insert(card)
  await until('the card', () => runtime.presence?.card?.session)
  await until('the conditions', () => runtime.presence?.card?.client.readConditions().length === 4 || undefined)
  await runtime.printer!.print(object, { pin })
  board.reader.remove()
  await until('the card to leave', () => !runtime.presence?.card || undefined)
}
