/**
 * From registration to a decided case with shipped commands alone (R1–R8): a picture is registered and sold to three, one copy
 * turns up cropped and compressed on a web server where it may not be.
 */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawTestPicture } from '@azukari/protocol/marks/test-picture'
import sharp from 'sharp'
import t from 'tap'
import { startMailBox } from '../../testkit/mail-box.ts'
import { gatewayCommand, startGatewayCommand } from '../processes.ts'
import { until } from '../wait.ts'

interface Case {
  number: number
  state: string
  sale?: string
  decision?: string
  score?: number
  threshold?: number
}

const root = mkdtempSync(join(tmpdir(), 'azukari-rights-'))
const folder = join(root, 'site')
const file = (name: string) => join(root, name)
const run = <T = Record<string, never>>(...words: string[]) => gatewayCommand<T>([...words, '--folder', folder])

t.test('R1–R8: shipped commands from the registration to the decision, on real sockets', async (t) => {
  const box = await startMailBox()
  const pictures = new Map<string, Uint8Array>()
  const web = createServer((request, response) => {
    const bytes = pictures.get(request.url ?? '')
    response.writeHead(bytes ? 200 : 404, { 'content-type': 'image/jpeg' }).end(bytes)
  }).listen(0, '127.0.0.1')
  await once(web, 'listening')
  const webHost = `127.0.0.1:${(web.address() as AddressInfo).port}`
  await gatewayCommand(['init', '--folder', folder, '--site', 'tokyo'])
  const settings = {
    mail: { host: '127.0.0.1', port: box.port, from: 'rights@tokyo.example' },
    hosts: { [webHost]: 'webmaster@pirate.example' },
    fetch: [webHost],
  }
  writeFileSync(join(folder, 'rights.json'), JSON.stringify(settings))
  const words = ['run', '--folder', folder, '--site', 'tokyo', '--port', '0', '--health-port', '0']
  const gateway = await startGatewayCommand(words, { logFile: file('gateway.log'), limitMs: 60_000 })
  t.teardown(async () => {
    await gateway.stop()
    await box.close()
    web.closeAllConnections()
    web.close()
    rmSync(root, { recursive: true, force: true })
  })

  const { rgba, width, height } = drawTestPicture(71, 800, 600)
  await sharp(rgba, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .jpeg({ quality: 95 })
    .toFile(file('photo.jpg'))
  const { work } = await run<{ work: string }>(
    ...['rights', 'register', file('photo.jpg'), '--author', 'Aoki Hana', '--title', 'Harbour', '--price', '3300'],
    ...['--published', 'https://hana.example/works/', '--out', file('marked.jpg')],
  )
  t.ok(readFileSync(file('marked.jpg.record')).length > 100, 'the author has a record of her own')
  const sales = new Map<string, string>()
  const lastDay = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10)
  for (const buyer of ['sato', 'mori', 'endo']) {
    const { sale } = await run<{ sale: string }>(
      ...['rights', 'sell', work, '--buyer', buyer, '--contact', `${buyer}@buyer.example`],
      ...['--url', `https://${buyer}.example/`, '--until', lastDay, '--out', file(`${buyer}.jpg`)],
    )
    sales.set(buyer, sale)
  }

  const part = { left: 60, top: 40, width: 640, height: 480 }
  pictures.set('/p.jpg', await sharp(file('mori.jpg')).extract(part).jpeg({ quality: 70 }).toBuffer())
  t.match(await run('rights', 'report', 'https://hana.example/works/1.jpg', '--work', work), { verdict: 'permitted' })
  const told = await run<{ case: number }>('rights', 'report', `http://${webHost}/p.jpg`)
  t.match(told, { work, verdict: 'breach', why: 'place', case: 1 }, 'the mark of the fetched copy says whose it is')
  t.match(await run('rights', 'report', `http://${webHost}/p.jpg`), { case: 1 }, 'twice is one case')
  const found = await until(
    'the case to wait for people',
    async () => (await run<Case[]>('rights', 'cases')).find(({ state }) => state === 'undecided'),
    120_000,
  )
  t.equal(found.sale, sales.get('mori'))
  t.ok(found.score! > found.threshold!, `${found.score} of ${found.threshold}`)
  t.same(
    box.mails.map(({ to }) => to),
    [['webmaster@pirate.example'], ['mori@buyer.example']],
    'host, then buyer, once',
  )
  t.match(box.mails[0]?.source, /^Message-ID: <case-1-host-/m)
  await run('rights', 'case', '1', '--out', file('found.jpg'))
  t.same(readFileSync(file('found.jpg')), pictures.get('/p.jpg'), 'the evidence')
  t.match(JSON.parse(readFileSync(file('found.jpg.json'), 'utf8')), { case: { number: 1 }, sightings: [{ times: 2 }] })

  await t.rejects(run('rights', 'report', 'http://10.0.0.1/p.jpg'), { code: 'copy.refused' })
  await t.rejects(run('rights', 'report', `http://${webHost}/none.jpg`), { code: 'copy.gone' })
  await run('rights', 'stop', '1', '--reason', 'it was not taken down')
  await until('the buyer to be told', () => box.mails.length === 3)
  t.match(await run('rights', 'report', 'https://mori.example/own.jpg', '--work', work), { why: 'stopped' })
  t.match(await run('rights', 'report', 'https://sato.example/own.jpg', '--work', work), { verdict: 'permitted' })
  t.match(
    await run('rights', 'charge', '2', '--amount', '1', '--reason', 'x'),
    { pending: /./ },
    'money takes two people',
  )
})
