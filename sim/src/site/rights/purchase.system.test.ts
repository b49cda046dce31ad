/**
 * A purchase of a marked copy (R3) through a whole site of real processes, from a board's buttons to the trace: two members buy the same work,
 * what one of them was shown turns up on a web server, and the case names that sale.
 */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawTestPicture } from '@azukari/protocol/marks/test-picture'
import sharp from 'sharp'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { boardPlaces, places } from '../../testkit/places.ts'
import { memberAt } from '../content/member.ts'
import { gatewayCommand } from '../processes.ts'
import { SimulatedSite } from '../site.ts'
import { until } from '../wait.ts'
import { busyMs, personAt } from './person.ts'

interface Shown {
  sales: {
    sale: string
    contact: string
    priceMinor: number
    voidedMs?: number
    conditions: { places: string[]; resale: boolean }
  }[]
}

interface Charges {
  entries: { ledger: string; state: string; minor: number }[]
}

t.test('R3 R6 R7 C7: a member buys a marked copy at a board, and what becomes of it leads to that sale', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-purchase-'))
  const site = new SimulatedSite({
    folder,
    servers: places.filter(({ id }) => ['ishikari', 'osaka'].includes(id)),
    boards: boardPlaces.filter(({ role }) => role !== 'camera'),
    entry: ['pin', 'choice'],
    log: quietLog,
  })
  let found: Uint8Array | undefined
  const web = createServer((_request, response) => {
    response.writeHead(found ? 200 : 404, { 'content-type': 'image/jpeg' }).end(found)
  }).listen(0, '127.0.0.1')
  await once(web, 'listening')
  const webHost = `127.0.0.1:${(web.address() as AddressInfo).port}`
  t.teardown(async () => {
    await site.stop()
    web.closeAllConnections()
    web.close()
    await rm(folder, { recursive: true, force: true })
  })
  await writeFile(`${folder}/rights.json`, JSON.stringify({ fetch: [webHost] }))
  await site.start()
  const run = <T>(...words: string[]) => gatewayCommand<T>([...words, '--folder', folder, '--site', 'site'])
  const { rgba, width, height } = drawTestPicture(93, 800, 600)
  await sharp(rgba, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .jpeg({ quality: 95 })
    .toFile(`${folder}/photo.jpg`)
  const { work } = await run<{ work: string }>(
    ...['rights', 'register', `${folder}/photo.jpg`, '--author', 'Aoki Hana', '--title', 'Harbour', '--price', '3300'],
    ...['--out', `${folder}/marked.jpg`],
  )
  const { content } = await run<{ content: string }>('rights', 'offer', work, '--provider', '12345678901234')
  const sales = async () => (await run<Shown>('rights', 'show', work)).sales
  const charged = async () =>
    (await run<Charges>('content', 'charges')).entries
      .filter(({ ledger }) => ledger === 'content')
      .map(({ state, minor }) => ({ state, minor }))

  const terminal = site.boards.get('terminal')!
  const buyer = personAt(terminal)
  terminal.board.reader.insert(await site.issueCard('山田 花子'))
  await buyer.begin()
  await buyer.get(/^Harbour, Aoki Hana/, /^Show here$/)
  const picture = await until('the bought picture', () => terminal.board.display.current?.picture, busyMs)
  const [bought] = await sales()
  t.match(bought, { priceMinor: 3_300, contact: /^card:[0-9a-f]{64}$/, conditions: { resale: false } })
  t.same(
    bought?.conditions.places,
    [`content:${content}`],
    'it may be shown and printed, and is to be published nowhere',
  )
  t.same(await charged(), [{ state: 'counted', minor: 3_300 }], 'once')

  // Another member of the same board: a copy of their own, of which they take none.
  await buyer.leave()
  terminal.board.reader.insert(await site.issueCard('佐藤 太郎'))
  const other = await memberAt(terminal)
  await other.refuse(await other.find('harbour'))
  const all = await until(
    'the sale that is void',
    async () => {
      await run('content', 'charges')
      const now = await sales()
      return now.some(({ voidedMs }) => voidedMs !== undefined) ? now : undefined
    },
    busyMs,
  )
  t.equal(all.length, 2)
  t.equal(all.find(({ sale }) => sale === bought?.sale)?.voidedMs, undefined, 'what was shown stays sold')
  t.same(
    (await charged()).filter(({ state }) => state === 'counted'),
    [{ state: 'counted', minor: 3_300 }],
  )

  const shown = sharp(picture.rgba, { raw: { width: picture.width, height: picture.height, channels: 4 } })
  const part = { left: 60, top: 40, width: 640, height: 480 }
  found = new Uint8Array(await shown.removeAlpha().extract(part).jpeg({ quality: 80 }).toBuffer())
  const told = await run<{ work: string; verdict: string; case: number }>('rights', 'report', `http://${webHost}/p.jpg`)
  t.match(told, { work, verdict: 'breach', case: 1 })
  const [opened] = await until(
    'the case to wait for people',
    async () => {
      const cases = await run<{ state: string; sale?: string }[]>('rights', 'cases')
      return cases[0]?.state === 'undecided' ? cases : undefined
    },
    busyMs,
  )
  t.equal(opened?.sale, bought?.sale, 'the case names that sale')
})
