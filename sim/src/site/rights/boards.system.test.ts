/**
 * Detection in normal use (R4) through a whole site of real processes: somebody offers another's marked picture as content; members
 * print and see it at boards, and the author's site hears of it from those who let it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawTestPicture } from '@azukari/protocol/marks/test-picture'
import sharp from 'sharp'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { boardPlaces, places } from '../../testkit/places.ts'
import { gatewayCommand } from '../processes.ts'
import { SimulatedSite } from '../site.ts'
import { until } from '../wait.ts'
import { busyMs, personAt } from './person.ts'

interface Seen {
  location?: string
  regions: string[]
  times: number
  verdict: string
}

t.test('R4 R5 D8: boards meet a marked work and say so, once, if the member lets them', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-seen-'))
  const site = new SimulatedSite({
    folder,
    servers: places.filter(({ id }) => ['ishikari', 'osaka'].includes(id)),
    boards: boardPlaces.filter(({ role }) => role !== 'camera'),
    entry: ['pin', 'choice'],
    log: quietLog,
  })
  t.teardown(async () => {
    await site.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await site.start()
  const run = <T>(...words: string[]) => gatewayCommand<T>([...words, '--folder', folder, '--site', 'site'])
  const { rgba, width, height } = drawTestPicture(91, 800, 600)
  await sharp(rgba, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .jpeg({ quality: 95 })
    .toFile(`${folder}/photo.jpg`)
  const { work } = await run<{ work: string }>(
    ...['rights', 'register', `${folder}/photo.jpg`, '--author', 'Aoki Hana', '--title', 'Harbour', '--price', '3300'],
    ...['--out', `${folder}/marked.jpg`],
  )
  const part = { left: 40, top: 30, width: 700, height: 520 }
  await sharp(`${folder}/marked.jpg`).extract(part).jpeg({ quality: 80 }).toFile(`${folder}/stolen.jpg`)
  const offered = await run<{ id: string }>(
    ...['content', 'add', `${folder}/stolen.jpg`, '--provider', '12345678901234', '--title', 'My holidays'],
    ...['--price', '0'],
  )
  const seen = () => run<Seen[]>('rights', 'sightings', work)

  const hanako = await site.issueCard('山田 花子')
  const taro = await site.issueCard('佐藤 太郎')
  const [terminal, printer] = [site.boards.get('terminal')!, site.boards.get('printer')!]
  const [atTerminal, atPrinter] = [personAt(terminal), personAt(printer)]

  // Taro has not been asked: what he prints is his own business.
  printer.board.reader.insert(taro)
  await atPrinter.begin()
  await atPrinter.get(/^My holidays$/, /^Print$/)
  await until('the print', () => printer.board.display.current?.lines.includes('It is printed'), busyMs)
  await atPrinter.leave()

  terminal.board.reader.insert(hanako)
  await atTerminal.begin()
  await atTerminal.pick(/^Consent, how long, closing$/)
  await atTerminal.pick(/^Telling authors$/)
  await atTerminal.pick(/^Yes$/, /now: No/)
  await atTerminal.pick(/^Telling authors$/)
  await atTerminal.pick(/^Yes$/, /now: Yes/)
  await atTerminal.back(/^Telling authors$/)
  await atTerminal.get(/^My holidays$/, /^Show here$/)
  await atTerminal.pick(/^Show here$/)
  await atTerminal.pick(/^Get it/)
  await until('the picture', () => terminal.board.display.current?.picture !== undefined)
  t.same(await seen(), [], 'nothing is told while the card is in')
  await atTerminal.leave()
  await until('the terminal to tell', async () => (await seen()).length > 0, busyMs)
  const location = `content:${offered.id}`
  t.match(await seen(), [{ location, regions: ['JP-01'], times: 1, verdict: 'breach' }], 'twice there is once')

  // The printer keeps it while the line is down.
  printer.board.reader.insert(hanako)
  await atPrinter.begin()
  await atPrinter.get(/^My holidays$/, /^Print$/)
  await until('the print', () => printer.board.display.current?.lines.includes('It is printed'), busyMs)
  // Whether she lets it is asked while there is a line; without an answer it would be no.
  const { marks, presence } = printer.runtime
  t.ok(await marks!.allows(presence!.card!))
  await site.gateway?.stop()
  await until('the line to be down', () => !printer.runtime.link.up)
  await atPrinter.leave()
  await until('the sighting in the outbox', async () => (await printer.runtime.outbox.waiting()).rows > 0, busyMs)
  await site.startGateway()
  await until('the printer to tell', async () => (await seen())[0]?.times === 2, busyMs)
  t.match(await seen(), [{ location, regions: ['JP-01', 'JP-27'], times: 2, verdict: 'breach' }])
  const cases = await run<{ work: string; location: string; state: string }[]>('rights', 'cases')
  t.match(cases, [{ work, location, state: 'held' }], 'one case, for people to look at')
  t.equal(cases.length, 1)
})
