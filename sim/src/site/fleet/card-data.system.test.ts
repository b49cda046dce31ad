/** Data for the program of the cards (D6): from the site's office by a job to a terminal, and onto each card that is put in. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { CardClient } from '@azukari/device/card'
import { CardData } from '@azukari/device/fleet/card-data'
import type { SiteTrust } from '@azukari/device/identity'
import { encodeContent } from '@azukari/protocol/card/layout'
import { type CardProgram, openCardRelease, signCardRelease } from '@azukari/protocol/card/program'
import { slotHeaderBytes } from '@azukari/protocol/card/slots'
import { sign1With, signerOf } from '@azukari/protocol/cose'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import t from 'tap'
import { channel, clock, code, issue, never, open, openToWrite, random, utf8 } from '../../testkit/card/fixture.ts'
import { VirtualCard } from '../../testkit/card/virtual-card.ts'
import { quietLog } from '../../testkit/log.ts'
import { gatewayCommand } from '../processes.ts'
import { pin, SimulatedSite } from '../site.ts'
import { until } from '../wait.ts'

const releaseKey = generateKey('ed25519', random)
const site = 'tokyo'
const weak = 'azukari/pay-instruction/1'
const program: CardProgram = { number: 3, retired: [weak, 'azukari/offer/1'] }
const signed = (what: CardProgram, key = releaseKey, of = site) => signCardRelease(of, what, signerOf(key))
const trust = () => ({ releaseKey: publicOf(releaseKey) }) as SiteTrust

async function keeper(path = ':memory:') {
  const database = await openDeviceDatabase(path)
  const data = await CardData.open({ database, log: quietLog, site, trust, onResult: () => undefined })
  return { database, data, outcomes: () => data.results.map(({ outcome, code, number }) => [outcome, code, number]) }
}

t.test('D6: data for cards: only this site’s, never older, never against a card’s own identity', async (t) => {
  const { database, data } = await keeper()
  t.teardown(() => database.close())
  t.equal(await code(data.keep(signed(program, generateKey('ed25519', random)))), 'upgrade.wrong-signer')
  t.equal(await code(data.keep(signed(program, releaseKey, 'osaka'))), 'upgrade.foreign')
  t.match(await code(data.keep(new Uint8Array(200).fill(0xff))), /^cbor\./)
  t.equal(await code(data.keep(new Uint8Array(3_000))), 'message.too-large')
  t.equal(data.program, undefined)
  await data.keep(signed(program))
  t.same(data.program, program)
  t.equal(await code(data.keep(signed({ number: 2, retired: [] }))), 'upgrade.downgraded')
  for (const domain of ['azukari/session/1', 'azukari/read/1', 'other/x/1', 'azukari/x'])
    t.throws(() => signed({ number: 4, retired: [domain] }), { code: 'message.invalid' }, domain)
  const longest = Array.from({ length: 16 }, (_, i) => `azukari/${'x'.repeat(38)}${String.fromCharCode(97 + i)}-/100`)
  t.ok(
    encodeContent('program', { number: 0xffff_ffff, retired: longest }).length <= 992,
    'the most that is allowed fits',
  )
  t.same(openCardRelease(signed({ number: 9, retired: longest }), site, publicOf(releaseKey)).retired, longest)
})

t.test(
  'D6: a card that is pulled out at any byte has the old data or the new, and gets it when it comes again',
  async (t) => {
    const { card } = issue()
    const image = card.save()
    const { database, data, outcomes } = await keeper()
    t.teardown(() => database.close())
    await data.keep(signed(program))
    const bytes = slotHeaderBytes + encodeContent('program', program).length
    for (let cut = 0; cut <= bytes; cut++) {
      const copy = VirtualCard.load(image, random)
      const client = await openToWrite(copy)
      copy.cutPower({ writtenBytes: cut })
      const said = await code(data.apply(client, never))
      if (said !== (cut < bytes ? 'card.torn' : undefined)) t.fail(`cut at ${cut}: ${said}`)
      copy.reset()
      const again = await openToWrite(copy)
      if (again.facts.program?.number !== (cut < bytes ? undefined : 3))
        t.fail(`cut at ${cut}: ${again.facts.program?.number}`)
      await data.apply(again, never)
      copy.reset()
      const last = await open(copy)
      if (last.facts.program?.number !== 3 || last.tornSlots > 0)
        t.fail(`cut at ${cut}: it did not get it the second time`)
    }
    t.same(outcomes(), [['held', undefined, 3]], 'one result of a card, the last')

    const newer = await openToWrite(card)
    await newer.updateProgram({ number: 8, retired: [] }, never)
    await data.apply(newer, never)
    t.same(outcomes(), [['newer', undefined, 3]])
    card.reset()
    t.equal((await open(card)).facts.program?.number, 8, 'a card never goes back')
  },
)

t.test(
  'D6: a card of before, without the file, works on and is told of; so is one that lets nobody write',
  async (t) => {
    const path = join(mkdtempSync(join(tmpdir(), 'azukari-cards-')), 'device.db')
    t.teardown(() => rmSync(join(path, '..'), { recursive: true, force: true }))
    const first = await keeper(path)
    await first.data.keep(signed(program))
    const before = issue().card
    const bare = channel(before)
    const withoutFile = {
      ...bare,
      transmit: async (apdu: Uint8Array, signal: AbortSignal) =>
        Buffer.from(apdu).includes(Buffer.from([0x51, 0x04])) ? Uint8Array.of(0x6a, 0x82) : bare.transmit(apdu, signal),
    }
    const client = await CardClient.open(withoutFile, clock, never)
    t.equal(client.facts.program, undefined)
    await first.data.apply(client, never)
    await first.data.apply(await open(issue().card), never)
    t.same(first.outcomes(), [
      ['failed', 'card.unsupported', 3],
      ['failed', 'card.access-denied', 3],
    ])
    await first.database.close()
    const second = await keeper(path)
    t.same(second.data.program, program, 'data and results outlast a restart')
    t.equal(second.data.results.length, 2)
    await second.data.told(second.data.results.slice(0, 1))
    t.same(second.outcomes(), [['failed', 'card.access-denied', 3]])
    await second.database.close()
  },
)

t.test('D6: a job brings data to the cards of a terminal; from then on they do not sign what is retired', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-cards-'))
  const at = ['--folder', folder]
  await gatewayCommand(['init', ...at])
  await gatewayCommand(['release', 'key', ...at])
  const place = { id: 'terminal', role: 'terminal', name: 'Terminal', region: 'JP-13' } as const
  const world = new SimulatedSite({ folder, servers: [], boards: [place], log: quietLog })
  t.teardown(async () => {
    await world.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  await world.start()
  const { board, runtime } = world.boards.get('terminal')!
  const cards = [await world.issueCard('花子'), await world.issueCard('太郎')]
  /** Whether the card that is in signs under a domain. */
  const signs = async (domain: string) => {
    const present = runtime.presence!.require()
    await present.requirePin(pin)
    return code(present.use((client) => sign1With(utf8.encode('x'), client.signAct(never), utf8.encode(domain))))
  }
  board.reader.insert(cards[0]!)
  await until('a session', () => runtime.presence!.card?.session !== undefined)
  t.equal(await signs(weak), undefined, 'a card signs everything that its key is for')
  board.reader.remove()
  await until('the card is out', () => runtime.presence!.card === undefined)

  const released = await gatewayCommand<{ release: string }>([
    'release',
    'card',
    ...at,
    '--number',
    '1',
    '--retire',
    weak,
  ])
  t.match(released, { release: 'card-1', number: 1, retired: [weak] })
  const { job } = await gatewayCommand<{ job: string }>([
    'job',
    'new',
    ...at,
    '--kind',
    'card-data',
    '--release',
    'card-1',
  ])
  type Shown = { state: string; devices: { state: string }[] }
  const shown = () => gatewayCommand<Shown>(['job', 'show', job, ...at])
  await until('the terminal has it', async () => (await shown()).devices[0]!.state === 'done')
  t.same(await gatewayCommand(['card', 'list', ...at]), [], 'no card was there yet')

  for (const card of cards) {
    board.reader.insert(card)
    await until('the card has it', () => runtime.presence!.card?.facts.program?.number === 1)
    t.equal(await signs(weak), 'card.failed', 'it refuses what is retired')
    t.equal(await signs('azukari/offer/1'), undefined, 'and signs the rest')
    board.reader.remove()
    await until('the card is out', () => runtime.presence!.card === undefined)
  }
  type Told = { number: number; outcome: string }[]
  const told = () => gatewayCommand<Told>(['card', 'list', ...at])
  await until('the site knows of both', async () => (await told()).length === 2)
  t.match(await told(), [
    { number: 1, outcome: 'written' },
    { number: 1, outcome: 'written' },
  ])
})
