/** The way out: where it may lead, how much it may bring, how long it may take (S9, S14). */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { systemFiles } from '@azukari/protocol/adapters/files'
import t from 'tap'
import { fetchFeed } from '../services/placement/adapters/fetch-feed.ts'
import { hazardSite } from '../services/placement/hazards/test-hazards.ts'
import { guardedFetch, type OutboundRequest } from './guarded-fetch.ts'
import { isPublic, type Resolve } from './outbound-address.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

async function serve(
  t: { teardown: (work: () => void) => void },
  answer: Answer,
): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.headers.host} ${request.url}`)
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, asked }
}

const problems = {
  unreachable: 'feed.unreachable',
  refused: 'feed.refused',
  tooLarge: 'feed.too-large',
  type: 'feed.malformed',
} as const

function asking(port: number, path = '/', more: Partial<OutboundRequest> = {}): OutboundRequest {
  const { signal } = new AbortController()
  const named = [`127.0.0.1:${port}`, `localhost:${port}`]
  return {
    url: `http://127.0.0.1:${port}${path}`,
    named,
    maxBytes: 10_000,
    timeoutMs: 20_000,
    signal,
    problems,
    ...more,
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

t.test('S14: public addresses and others', (t) => {
  for (const address of ['8.8.8.8', '133.5.1.1', '172.15.0.1', '172.32.0.1', '2606:4700::1111', '2400:cb00::1'])
    t.ok(isPublic(address), address)
  for (const address of [
    '127.0.0.1',
    '127.1.2.3',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '198.18.0.1',
    '203.0.113.9',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:0:1::',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    '2001:db8::1',
    'not an address',
    '',
  ])
    t.notOk(isPublic(address), address)
  t.end()
})

t.test(
  'S14: a feed on this machine that redirects to another local port is refused, and the feed is told',
  async (t) => {
    const secret = await serve(t, (_request, response) => void response.end('<alert/>'))
    const feed = await serve(t, (_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${secret.port}/admin` }).end()
    })
    const url = `http://127.0.0.1:${feed.port}/feed.xml`
    const site = await hazardSite({ feeds: [{ name: 'local', url }], files: systemFiles(), fetchFeed })
    await site.look()
    t.match(site.status(), [{ name: 'local', problem: 'feed.refused' }])
    t.same(secret.asked, [], 'nothing arrived there')

    const named = { feeds: [{ name: 'local', url, mayRedirectTo: [`127.0.0.1:${secret.port}`] }], files: systemFiles() }
    const again = await hazardSite({ ...named, fetchFeed })
    await again.look()
    t.equal(secret.asked.length, 1, 'the operator may name it')
  },
)

t.test('S14: redirects are judged one by one, and there are not many of them', async (t) => {
  const away = [
    'http://169.254.169.254/latest/meta-data/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://0x7f.1/',
    'https://10.0.0.1/',
    'file:///etc/passwd',
    'http://example.org/',
    'https://user:word@example.org/',
  ]
  const { port, asked } = await serve(t, (request, response) => {
    const n = Number(new URL(`http://x${request.url}`).searchParams.get('away') ?? -1)
    if (request.url === '/feed') return void response.end('hello')
    if (request.url === '/once') return void response.writeHead(301, { location: '/feed' }).end()
    if (request.url === '/nowhere') return void response.writeHead(301).end()
    response.writeHead(307, { location: away[n] ?? '/loop' }).end()
  })
  t.equal(text((await guardedFetch(asking(port, '/once'))).bytes), 'hello')
  for (const [n, target] of away.entries())
    await t.rejects(guardedFetch(asking(port, `/?away=${n}`)), { code: 'feed.refused' }, target)
  await t.rejects(guardedFetch(asking(port, '/nowhere')), { code: 'feed.unreachable' })
  asked.length = 0
  await t.rejects(guardedFetch(asking(port, '/loop')), { code: 'feed.refused', detail: /more than 3/ })
  t.equal(asked.length, 4)
  t.match(await guardedFetch(asking(port, '/once', { method: 'POST', body: '{}' })), { status: 301 }, 'a POST stays')
  t.match(await guardedFetch(asking(port, '/once', { redirects: 0 })), { status: 301 })
})

t.test('S14: a name that resolves inside is refused; what was judged is what is reached', async (t) => {
  const { port, asked } = await serve(t, (_request, response) => void response.end('hello'))
  let looked = 0
  const rebinding: Resolve = async () => {
    looked++
    return [{ address: looked === 1 ? '127.0.0.1' : '127.0.0.9', family: 4 }]
  }
  const public443 = { url: 'https://rebind.example/', named: [] }
  await t.rejects(guardedFetch(asking(port, '/', public443), rebinding), {
    code: 'feed.refused',
    detail: /127\.0\.0\.1/,
  })
  const mixed: Resolve = async () => [
    { address: '8.8.8.8', family: 4 },
    { address: '10.0.0.1', family: 4 },
  ]
  await t.rejects(guardedFetch(asking(port, '/', public443), mixed), { code: 'feed.refused' }, 'one of its addresses')
  looked = 0
  const local = asking(port, '/', { url: `http://localhost:${port}/` })
  t.equal(text((await guardedFetch(local, rebinding)).bytes), 'hello')
  t.equal(looked, 1, 'looked up once, and connected to that')
  t.same(asked, [`localhost:${port} /`])
  const never: Resolve = () => new Promise(() => undefined)
  await t.rejects(
    guardedFetch({ ...local, timeoutMs: 50 }, never),
    { code: 'feed.unreachable' },
    'a name server that is silent',
  )
  await t.rejects(
    guardedFetch(local, async () => []),
    { code: 'feed.unreachable' },
  )
})

t.test('S14: limits on bytes, types and time', async (t) => {
  const open: ServerResponse[] = []
  const { port } = await serve(t, (request, response) => {
    switch (request.url) {
      case '/big':
        return void response.end(Buffer.alloc(20_000))
      case '/bomb':
        return void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(5_000_000)))
      case '/zip':
        return void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('hello'))
      case '/broken':
        return void response.writeHead(200, { 'content-encoding': 'gzip' }).end('not zipped')
      case '/cut':
        response.writeHead(200, { 'content-length': '100' }).write('half')
        return void response.socket?.destroySoon()
      case '/brotli':
        return void response.writeHead(200, { 'content-encoding': 'br' }).end('x')
      case '/page':
        return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
      case '/slow':
        response.writeHead(200).write('a')
        return void open.push(response)
      default:
        return void response.writeHead(503).end('busy')
    }
  })
  t.equal(text((await guardedFetch(asking(port, '/zip'))).bytes), 'hello')
  t.match(await guardedFetch(asking(port, '/gone')), { status: 503, bytes: { length: 0 } })
  const types = { types: /xml/ }
  for (const [path, code, more] of [
    ['/big', 'feed.too-large', {}],
    ['/bomb', 'feed.too-large', {}],
    ['/broken', 'feed.unreachable', {}],
    ['/cut', 'feed.unreachable', {}],
    ['/brotli', 'feed.malformed', {}],
    ['/page', 'feed.malformed', types],
    ['/slow', 'feed.unreachable', { timeoutMs: 200 }],
  ] as const)
    await t.rejects(guardedFetch(asking(port, path, more)), { code }, path)
  const stop = new AbortController()
  const waiting = guardedFetch(asking(port, '/slow', { signal: stop.signal }))
  stop.abort()
  await t.rejects(waiting, { code: 'feed.unreachable' }, 'stopped from outside')
})
