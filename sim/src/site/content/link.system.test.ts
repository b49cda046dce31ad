/** The door for players (C7, C14): links made by command, read by an HTTP client and by a browser at the gateway's real HTTPS listener. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { places } from '../../testkit/places.ts'
import { gatewayCommand } from '../processes.ts'
import { SimulatedSite } from '../site.ts'

interface Answered {
  status: number | undefined
  headers: IncomingHttpHeaders
  body: Buffer
}

interface Charges {
  sums: { ledger: string; state: string; charges: number; reversals: number; minor: number }[]
}

/** The name that the site's certificate is for. */
const name = 'gateway.azukari.internal'

t.test('C7 C14: a player fetches by a link, breaks off and goes on; it is charged once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-link-'))
  const site = new SimulatedSite({
    folder,
    servers: places.filter(({ id }) => ['ishikari', 'osaka'].includes(id)),
    boards: [],
    gatewayArgs: ['--https-port', '0'],
    log: quietLog,
  })
  t.teardown(async () => {
    await site.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await site.start()
  const ca = await readFile(`${folder}/tls/authority.pem`)
  const port = Number(site.gateway?.fact['httpsPort'])
  /** @param enough breaks off after so many bytes */
  const ask = (path: string, headers: Record<string, string> = {}, enough = Number.POSITIVE_INFINITY) =>
    new Promise<Answered>((resolve, reject) => {
      const asked = request(
        { host: '127.0.0.1', port, servername: name, ca, path, headers: { host: name, ...headers }, agent: false },
        (answer) => {
          const parts: Buffer[] = []
          let length = 0
          const done = () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) })
          answer.on('data', (part: Buffer) => {
            parts.push(part)
            length += part.length
            if (length < enough) return
            done()
            asked.destroy()
          })
          answer.on('end', done)
          answer.on('error', reject)
        },
      )
      asked.once('error', reject)
      asked.end()
    })

  const here = ['--folder', folder, '--site', 'site']
  const song = randomBytes(3_000_000)
  await writeFile(`${folder}/song.mp3`, song)
  const add = ['content', 'add', `${folder}/song.mp3`, ...here, '--provider', '12345678901234', '--price', '50']
  const { id } = await gatewayCommand<{ id: string }>([...add, '--title', 'A Song', '--origin', 'ishikari'])
  const other = await gatewayCommand<{ id: string }>([...add, '--title', 'Another', '--origin', 'ishikari'])
  const card = randomBytes(32).toString('hex')
  const make = async (content: string) => {
    const link = ['content', 'link', content, '--card', card, '--region', 'JP-27', ...here]
    const { pathname, search } = new URL((await gatewayCommand<{ link: string }>(link)).link, `https://${name}`)
    return `${pathname}${search}`
  }
  const link = await make(id)
  const unused = await make(other.id)

  const begun = await ask(link, {}, 200_000)
  t.match(begun.headers, { 'content-type': 'audio/mpeg', 'content-length': '3000000', 'accept-ranges': 'bytes' })
  const got = begun.body.length
  const rest = await ask(link, { range: `bytes=${got}-`, 'if-range': String(begun.headers.etag) })
  t.same([rest.status, rest.headers['content-range']], [206, `bytes ${got}-2999999/3000000`])
  t.ok(Buffer.concat([begun.body, rest.body]).equals(song), 'resumed, byte by byte')
  const [from, tail] = await Promise.all([
    ask(link, { range: 'bytes=1000000-1999999' }),
    ask(link, { range: 'bytes=-100' }),
  ])
  t.ok(from.body.equals(song.subarray(1_000_000, 2_000_000)) && tail.body.equals(song.subarray(-100)))
  t.equal((await ask(link, { range: 'bytes=3000000-' })).status, 416)

  const forged = `${link.slice(0, -6)}AAAAAA`
  t.match(await ask(forged), { status: 403, body: /url\.refused/ })
  t.equal((await ask(`${unused.split('?')[0]}?${link.split('?')[1]}`)).status, 403, 'another’s delivery')
  await gatewayCommand(['content', 'withdraw', other.id, ...here])
  t.match(await ask(unused), { status: 422, body: /content\.withdrawn/ })

  // The server that delivered is gone: whoever else holds it serves what was charged.
  await site.servers.get('osaka')?.process?.stop()
  const without = await ask(link)
  t.ok(without.body.equals(song))
  await site.startServer(places.find(({ id: place }) => place === 'osaka')!)
  const { sums } = await gatewayCommand<Charges>(['content', 'charges', ...here])
  t.match(
    sums.filter(({ ledger }) => ledger === 'content'),
    [{ state: 'counted', charges: 1, reversals: 0, minor: 50 }],
  )
})
