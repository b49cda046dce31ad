/**
 * Content through a whole site of real processes: a provider registers by command, members browse and get at two boards whose data
 * servers differ, one of the servers dies.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRecord } from '@azukari/protocol/delivery'
import { parseCoseKey } from '@azukari/protocol/keys'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { boardPlaces, places } from '../../testkit/places.ts'
import { gatewayCommand } from '../processes.ts'
import { SimulatedSite } from '../site.ts'
import { filesWith, memberAt, sha256 } from './member.ts'

interface Shown {
  content: { id: string; origin: string; state: string }
  holders: { server: string; isOrigin: boolean }[]
  deliveries: number
}

interface Charges {
  sums: { ledger: string; state: string; charges: number; reversals: number; minor: number }[]
  entries: { state: string; problem?: string; delivery: string }[]
}

interface Earned {
  parts: { part: string; deliveries: number; waitingMinor: number }[]
}

interface Proof {
  server: string
  serverKey: string
  records: { seq: number; signed: string }[]
}

/** Charges, reversals and their sum, by ledger and state. */
function sumsOf({ sums }: Charges): Record<string, number[]> {
  const rows = sums.map(({ ledger, state, charges, reversals, minor }) => [
    `${ledger} ${state}`,
    [charges, reversals, minor],
  ])
  return Object.fromEntries(rows)
}

t.test('C1 C2 C3 C4 C5 C7 C8 C9 C13: a provider’s file reaches members through their own data servers', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-content-'))
  const site = new SimulatedSite({
    folder,
    servers: places.filter(({ id }) => ['ishikari', 'osaka', 'fukuoka'].includes(id)),
    boards: boardPlaces.filter(({ role }) => role !== 'camera'),
    log: quietLog,
  })
  t.teardown(async () => {
    await site.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const operators = { ishikari: '11111111111111' }
  const shares = { content: { storage: 100, origin: 50 } }
  await writeFile(`${folder}/content.json`, JSON.stringify({ serviceMinor: 2, shares, operators }))
  await site.start()
  const here = ['--folder', folder, '--site', 'site']
  const film = randomBytes(1_500_000)
  await writeFile(`${folder}/film.mp4`, film)
  const add = ['content', 'add', `${folder}/film.mp4`, ...here, '--provider', '12345678901234', '--origin', 'fukuoka']
  const added = await gatewayCommand<{ id: string; origin: string; mediaType: string }>([
    ...add,
    '--title',
    'Harbour in Winter 冬の港',
    '--price',
    '300',
  ])
  t.match(added, { origin: 'fukuoka', mediaType: 'video/mp4' })
  await gatewayCommand([...add, '--title', 'Harbour in Summer', '--price', '0', '--type', 'video/mp4'])

  const hanako = await site.issueCard('山田 花子')
  const taro = await site.issueCard('佐藤 太郎')
  const terminal = site.boards.get('terminal')!
  const printer = site.boards.get('printer')!
  terminal.board.reader.insert(hanako)
  printer.board.reader.insert(taro)
  const north = await memberAt(terminal)
  const west = await memberAt(printer)

  const first = await north.browse(undefined, undefined, 1)
  const second = await north.browse(undefined, first.next, 1)
  t.same(
    [first, second].flatMap(({ items }) => items.map(({ title }) => title)),
    ['Harbour in Summer', 'Harbour in Winter 冬の港'],
  )
  t.equal(second.next, undefined, 'nothing behind the last page')
  t.same((await north.browse('SPRING', undefined, 10)).items, [])
  const item = await north.find('港 winter')
  t.match(item, { contentMinor: 300, sizeBytes: film.length })

  const missed = await north.get(item)
  t.match(missed, { server: 'ishikari', from: 'fukuoka', fee: 'purchase' }, 'a miss: fetched from the origin')
  t.equal(sha256(missed.bytes), sha256(film))
  t.match(await north.get(item), { server: 'ishikari', from: 'ishikari', fee: 'reference' }, 'a hit')
  const show = () => gatewayCommand<Shown>(['content', 'show', added.id, ...here])
  t.match(await show(), { holders: [{ server: 'fukuoka', isOrigin: true }, { server: 'ishikari' }], deliveries: 2 })
  t.match(await west.get(await west.find('winter')), { server: 'osaka', fee: 'purchase' })

  // Whoever holds it serves it: the origin is gone, and Osaka forgets it.
  await site.servers.get('fukuoka')!.process!.kill()
  await rm(`${folder}/data-servers/osaka/disk/objects`, { recursive: true })
  await site.servers.get('osaka')!.process!.stop()
  await site.startServer(site.servers.get('osaka')!.place)
  const fetched = { server: 'osaka', from: 'ishikari', fee: 'purchase' }
  t.match(await west.get(item), fetched, 'the origin is dead, another holder serves')

  const found = await filesWith(`${folder}/devices`, film.subarray(70_000, 70_064))
  t.same(found, [], 'no board wrote what it was shown to its disk')

  // Both ledgers, what was not taken reversed, and who earns what.
  await north.refuse(item)
  const charged = await gatewayCommand<Charges>(['content', 'charges', ...here])
  t.same(sumsOf(charged), {
    'content cancelled': [1, 1, 0],
    'content counted': [4, 0, 1_200],
    'service cancelled': [1, 1, 0],
    'service counted': [4, 0, 8],
  })
  const again = await gatewayCommand<Charges>(['content', 'charges', ...here])
  t.same(sumsOf(again), sumsOf(charged), 'pulled once, however often it is asked')
  const [unpaid] = again.entries.filter(({ state }) => state === 'counted')
  t.equal(unpaid?.problem, 'register.unknown-number', 'who has no account waits, and is told of')
  const earned = (who: string) => gatewayCommand<Earned>(['content', 'earnings', who, ...here])
  t.match((await earned('11111111111111')).parts, [{ part: 'storage', deliveries: 2, waitingMinor: 60 }])
  t.match((await earned('12345678901234')).parts, [
    { part: 'rest', deliveries: 4, waitingMinor: 1_200 - 4 * 30 - 2 * 15 },
  ])
  const proof = await gatewayCommand<Proof>(['content', 'proof', unpaid!.delivery, ...here])
  const [record] = proof.records
  const key = parseCoseKey(Buffer.from(proof.serverKey, 'hex'))
  const said = openRecord(Buffer.from(record!.signed, 'hex'), key, { server: proof.server, seq: record!.seq })
  t.match(said, { kind: 'charge', provider: '12345678901234', contentMinor: 300, serviceMinor: 2 })

  await gatewayCommand(['content', 'withdraw', added.id, ...here])
  await t.rejects(north.get(item), { code: 'content.withdrawn' })
  t.same((await north.browse('winter', undefined, 10)).items, [])
})
