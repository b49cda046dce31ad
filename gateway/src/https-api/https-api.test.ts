/** Programs and people outside the site: API keys and links at the listener, judged before a handler runs (D6, P6, P7, P9). */
import { once } from 'node:events'
import { connect, type IncomingHttpHeaders } from 'node:http2'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { sameBytes } from '@azukari/protocol/bytes'
import { Bytes, contract, Text, Type } from '@azukari/protocol/contract'
import { admitOutsider, FilePiece, pieceRequest } from '@azukari/protocol/contracts/https'
import { signerOf } from '@azukari/protocol/cose'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import { signMemberToken } from '@azukari/protocol/member-token'
import { InternalError, Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { memoryDatabase } from '../adapters/database.ts'
import { systemDefer } from '../adapters/defer.ts'
import { Budgets } from '../budgets/budgets.ts'
import { createAuthority, issue } from '../pki/authority.ts'
import { ApiKeys, credentialOf } from '../service/api-keys.ts'
import { createServiceHost } from '../service/host.ts'
import { signLink } from '../service/links.ts'
import { remoteService } from '../service/remote.ts'
import { serviceHandlers } from '../service/serve.ts'
import { call, linkCall, type Service, shopAct, shopCall } from '../service/service.ts'
import { throwUnlisted } from '../service/unlisted.ts'
import { silent } from '../test-contracts.ts'
import { CallClient } from '../transport/client.ts'
import { startHttpsListener } from '../transport/https-listener.ts'
import { startCallServer } from '../transport/server.ts'
import { type HttpsApiLimits, httpsRoutes } from './routes.ts'

const frame = { kind: 'https', service: 'content', title: 'test', serves: ['D6'] } as const
const look = contract({
  ...frame,
  name: 'toy.look',
  authority: 'shop',
  https: { method: 'GET', path: '/v1/toy/{shelf}', scope: 'look' },
  request: Type.Object({ shelf: Text(16), limit: Type.Optional(Type.Integer({ minimum: 1 })) }),
  reply: Type.Object({ holder: Text(32), shelf: Text(16), limit: Type.Integer(), seal: Bytes(4) }),
})
const put = contract({
  ...frame,
  name: 'toy.put',
  authority: 'shop',
  https: { method: 'POST', path: '/v1/toy/{shelf}', scope: 'put' },
  request: Type.Object({
    shelf: Text(16),
    count: Type.Integer({ minimum: 1, maximum: 9 }),
    seal: Type.Optional(Bytes(4)),
  }),
  reply: Type.Object({ total: Type.Integer() }),
  problems: ['object.unknown'],
})
const open = contract({
  ...frame,
  name: 'toy.open',
  authority: 'link',
  https: { method: 'GET', path: '/v1/toy-files/{file}' },
  request: Type.Object({ file: Text(32), ...pieceRequest }),
  reply: FilePiece,
  problems: ['object.unknown'],
})
const contracts = [look, put, open]

const key = generateKey('ed25519', systemRandom)
const signer = signerOf(key)
/** Several pieces, and not a whole number of them. */
const large = systemRandom.bytes(1_000_003)

interface World {
  url: string
  ca: string | string[]
  keys: ApiKeys
  newKey(scopes?: string[], lifeMs?: number): Promise<string>
  link(of?: { file?: string; subject?: string; lifeMs?: number }): string
  reached: string[]
  skewMs: number
  version: string
  budgets: Budgets
  service: Service
}

interface Options {
  isApart?: boolean
  limits?: Partial<HttpsApiLimits>
}

const wide = { requests: { perSecond: 1_000, burst: 1_000 }, wrong: { perSecond: 1_000, burst: 1_000 } }

async function world(t: Test, { isApart = false, limits = wide }: Options = {}): Promise<World> {
  const made = { reached: [] as string[], skewMs: 0, version: 'aaaaaaaa' }
  const clock = { ...systemClock, now: () => Date.now() + made.skewMs }
  const database = memoryDatabase()
  const host = await createServiceHost({
    name: 'content',
    database,
    clock,
    random: systemRandom,
    log: silent,
    defer: systemDefer,
    migrations: [
      { number: 1, name: 'shelves', up: 'CREATE TABLE shelves (n INTEGER PRIMARY KEY, count INTEGER NOT NULL)' },
    ],
    unlisted: throwUnlisted,
    links: { signer, find: (kid) => (sameBytes(kid, signer.kid) ? publicOf(key) : undefined) },
    handlers: [
      shopCall(look, ({ shelf, limit = 0 }, { holder }) => {
        made.reached.push(shelf)
        return { holder, shelf, limit, seal: Uint8Array.of(255, 254, 1, 2) }
      }),
      shopAct(put, async ({ shelf, count, seal }, { sql }) => {
        made.reached.push(shelf)
        if (seal && seal[0] !== 255) throw new InternalError('not the bytes that were sent')
        await sql.run('INSERT INTO shelves (count) VALUES (?)', count)
        if (shelf === 'none') throw new Problem('object.unknown')
        if (shelf === 'busy') throw new Problem('service.busy')
        return { total: (await sql.get<{ n: number }>('SELECT sum(count) AS n FROM shelves'))!.n }
      }),
      linkCall(open, ({ file, from, count }, { holder }) => {
        made.reached.push(`${file} ${holder}`)
        if (file === 'none') throw new Problem('object.unknown')
        const bytes = file === 'empty' ? new Uint8Array(0) : large
        const { version } = made
        if (file === 'changing' && from > 0) made.version = 'bbbbbbbb'
        return {
          sizeBytes: bytes.length,
          mediaType: 'text/x-test',
          name: '領収書.txt',
          version,
          bytes: bytes.slice(from, from + count),
        }
      }),
    ],
  })
  await host.start()
  const validity = { nowMs: Date.now(), days: 1 }
  const authority = await createAuthority('tokyo', validity, systemRandom)
  const identity = async (id: string, role: 'service' | 'gateway') => {
    const { cert, key } = await issue(authority, { id, role }, validity, systemRandom)
    return { ca: authority.cert, cert, key }
  }
  let service: Service = host
  if (isApart) {
    const server = await startCallServer({
      tls: await identity('content', 'service'),
      handlers: serviceHandlers(host, clock),
      clock,
      log: silent,
      port: 0,
      unlisted: throwUnlisted,
    })
    const tls = await identity('gateway', 'gateway')
    const client = new CallClient({ url: `https://127.0.0.1:${server.port}`, tls, server: 'content', clock })
    service = remoteService({ name: 'content', client, clock, log: silent })
    t.teardown(() => server.stop(0))
    t.teardown(() => client.close())
  }
  const budgets = new Budgets()
  const tls = await identity('gateway', 'gateway')
  const listener = await startHttpsListener({
    tls,
    host: '127.0.0.1',
    port: 0,
    routes: httpsRoutes({
      contracts,
      service: (name) => (name === 'content' ? service : undefined),
      budgets,
      clock,
      random: systemRandom,
      log: silent,
      limits,
    }),
    budgets,
    log: silent,
  })
  t.teardown(() => host.stop())
  t.teardown(() => listener.stop())
  const keys = new ApiKeys(host.store, systemRandom)
  return Object.assign(made, {
    url: `https://127.0.0.1:${listener.port}`,
    ca: authority.cert,
    keys,
    newKey: async (scopes = ['look', 'put'], lifeMs = 60_000) =>
      (await keys.add({ holder: 'shop-1', scopes, by: 'hanako', lifeMs })).key,
    link: ({ file = 'a.txt', subject = 'member', lifeMs = 60_000 } = {}) =>
      signLink(open, { fields: { file }, subject, lifeMs }, clock.now(), { signer, random: systemRandom }),
    budgets,
    service,
  })
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  bytes: Buffer
  json: Record<string, unknown>
  /** The stream ended as a whole. */
  isWhole: boolean
}

interface Question {
  key?: string
  method?: string
  headers?: Record<string, string>
  body?: unknown
  /** Sends the body as it is, and with `false` never ends it. */
  raw?: string | Uint8Array
  isEnded?: boolean
}

function ask({ url, ca }: Pick<World, 'url' | 'ca'>, path: string, question: Question = {}): Promise<Answer> {
  const { key, method = 'GET', headers = {}, body, raw, isEnded = true } = question
  const session = connect(url, { ca, checkServerIdentity: () => undefined })
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  session.on('error', reject)
  const sent: Record<string, string> = { ':method': method, ':path': path, ...headers }
  if (key !== undefined) sent['authorization'] = `Bearer ${key}`
  if (method === 'POST') sent['content-type'] ??= 'application/json'
  const stream = session.request(sent, { endStream: method === 'GET' })
  let head: IncomingHttpHeaders & { ':status'?: number | undefined } = {}
  const chunks: Buffer[] = []
  stream.on('response', (given) => {
    head = given
  })
  stream.on('error', () => undefined)
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('close', () => {
    const bytes = Buffer.concat(chunks)
    const isJson = /json/.test(String(head['content-type']))
    const isWhole = String(head['content-length'] ?? bytes.length) === String(bytes.length)
    resolve({
      status: head[':status'] ?? 0,
      headers: head,
      bytes,
      json: isJson ? JSON.parse(bytes.toString()) : {},
      isWhole,
    })
    session.destroy()
  })
  if (method === 'POST') {
    stream.write(raw ?? JSON.stringify(body ?? {}))
    if (isEnded) stream.end()
  }
  return promise
}

const under = (key: string) => ({ 'idempotency-key': key })
const codeOf = ({ status, json }: Answer) => `${status} ${json['code']}`

for (const isApart of [false, true]) {
  const where = isApart ? 'apart' : 'inside'

  t.test(`P6 D6: an API key is judged before the handler, for a service ${where}`, async (t) => {
    const at = await world(t, { isApart })
    const good = await at.newKey()
    const answer = await ask(at, '/v1/toy/top?limit=3&unknown=1', { key: good })
    t.equal(answer.status, 200)
    t.match(answer.json, { holder: 'shop-1', shelf: 'top', limit: 3, seal: '__4BAg' }, 'bytes are base64url')
    t.match(answer.headers, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    at.reached.length = 0
    const [, id, secret] = good.split('_') as [string, string, string]
    const other = await at.newKey()
    t.equal(codeOf(await ask(at, '/v1/toy/top')), '401 api.key-required')
    t.equal(codeOf(await ask(at, '/v1/toy/top', { key: 'azk_short' })), '401 api.key-refused')
    t.equal(codeOf(await ask(at, '/v1/toy/top', { key: `azk_${'0'.repeat(16)}_${secret}` })), '401 api.key-refused')
    t.equal(codeOf(await ask(at, '/v1/toy/top', { key: `azk_${id}_${other.slice(21)}` })), '401 api.key-refused')
    const narrow = await ask(at, '/v1/toy/top', { key: await at.newKey(['put']) })
    t.equal(codeOf(narrow), '403 api.scope')
    t.match(narrow.json, { type: 'urn:azukari:problem:api.scope', detail: 'look', status: 403 })
    t.match(narrow.headers, { 'content-type': 'application/problem+json', 'content-language': 'en' })
    t.ok(await at.keys.revoke('shop-1', id))
    t.equal(codeOf(await ask(at, '/v1/toy/top', { key: good })), '401 api.key-ended', 'revoked')
    at.skewMs = 60_001
    const late = await ask(at, '/v1/toy/top', { key: other, headers: { 'accept-language': 'ja' } })
    t.equal(codeOf(late), '401 api.key-ended', 'expired')
    t.match(late.json['title'], /APIキー/)
    t.same(at.reached, [], 'none of them reached the handler')
    t.equal(codeOf(await ask(at, '/v1/toy/a/b', { key: other })), '404 message.unknown-contract')
    t.equal(codeOf(await ask(at, '/v1/toy/%2e%2e', { key: other })), '404 message.unknown-contract')
  })

  t.test(`P7 D5: what a shop asks is done once for each idempotency key, ${where}`, async (t) => {
    const at = await world(t, { isApart })
    const key = await at.newKey()
    const post = (headers: Record<string, string>, body: unknown, path = '/v1/toy/top') =>
      ask(at, path, { method: 'POST', key, headers, body })
    const same = await Promise.all(Array.from({ length: 5 }, () => post(under('a'), { count: 2, seal: '__4BAg' })))
    t.same(new Set(same.map(({ json }) => json['total'])), new Set([2]))
    t.equal(at.reached.length, 1, 'five times the same request, done once')
    t.equal(codeOf(await post(under('a'), { count: 3 })), '409 api.idempotency-conflict')
    t.equal(codeOf(await post(under('a'), { count: 2, seal: '__4BAg' }, '/v1/toy/low')), '409 api.idempotency-conflict')
    t.equal(codeOf(await post({}, { count: 2 })), '400 api.idempotency-key')
    t.equal(codeOf(await post(under('b c'), { count: 2 })), '400 api.idempotency-key')
    t.match((await post(under('b'), { count: 2 })).json, { total: 4 })
    t.equal(codeOf(await post(under('c'), { count: 9 }, '/v1/toy/none')), '404 object.unknown')
    at.reached.length = 0
    t.equal(codeOf(await post(under('c'), { count: 9 }, '/v1/toy/none')), '404 object.unknown')
    t.same(at.reached, [], 'a refusal stays one')
    for (let n = 0; n < 2; n++)
      t.equal(codeOf(await post(under('d'), { count: 9 }, '/v1/toy/busy')), '503 service.busy')
    t.same(at.reached, ['busy', 'busy'], 'what may succeed later is tried again')
    t.match((await post(under('e'), { count: 1 })).json, { total: 5 }, 'nothing of what was refused stayed')
    const other = await at.keys.add({ holder: 'shop-2', scopes: ['put'], by: 'hanako', lifeMs: 60_000 })
    const theirs = await ask(at, '/v1/toy/top', {
      method: 'POST',
      key: other.key,
      headers: under('a'),
      body: { count: 1 },
    })
    t.match(theirs.json, { total: 6 }, 'keys of another shop are its own')
  })

  t.test(`P9 D6: a signed link opens one path for a time, ${where}`, async (t) => {
    const at = await world(t, { isApart })
    const link = at.link()
    const whole = await ask(at, link)
    t.equal(whole.status, 200)
    t.ok(whole.bytes.equals(large))
    t.match(whole.headers, {
      'content-type': 'text/x-test',
      'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent('領収書.txt')}`,
      etag: '"aaaaaaaa"',
      'referrer-policy': 'no-referrer',
    })
    const part = async (range: string, more = {}) => ask(at, link, { headers: { range, ...more } })
    for (const [range, from, to] of [
      ['bytes=0-0', 0, 1],
      ['bytes=10-300000', 10, 300_001],
      ['bytes=999999-', 999_999, 1_000_003],
      ['bytes=-5', 999_998, 1_000_003],
    ] as const) {
      const answer = await part(range)
      t.equal(answer.status, 206, range)
      t.ok(answer.bytes.equals(large.subarray(from, to)), range)
      t.equal(answer.headers['content-range'], `bytes ${from}-${to - 1}/1000003`)
    }
    const beyond = await part('bytes=1000003-')
    t.equal(codeOf(beyond), '416 url.range')
    t.equal(beyond.headers['content-range'], 'bytes */1000003')
    for (const range of ['bytes=0-1,5-6', 'lines=1-2']) t.equal((await part(range)).status, 200, `${range}: the whole`)
    t.equal((await part('bytes=0-0', { 'if-range': '"older"' })).status, 200, 'it changed since: the whole')
    t.match(await ask(at, at.link({ file: 'empty' })), { status: 200, bytes: { length: 0 } })
    t.equal(codeOf(await ask(at, at.link({ file: 'none' }))), '404 object.unknown')
    t.notOk((await ask(at, at.link({ file: 'changing' }))).isWhole, 'halves of two files are never given as one')
    at.reached.length = 0
    const forger = signerOf(generateKey('ed25519', systemRandom))
    const of = { fields: { file: 'a.txt' }, subject: 'member', lifeMs: 60_000 }
    const forged = signLink(open, of, Date.now(), { signer: { ...forger, kid: signer.kid }, random: systemRandom })
    const twisted = `${link.slice(0, -2)}${link.endsWith('A') ? 'BB' : 'AA'}`
    const token = signMemberToken(
      { id: new Uint8Array(16), level: 0, card: new Uint8Array(32), session: new Uint8Array(16), device: 'https:' },
      Date.now(),
      signer,
    )
    for (const [what, path] of Object.entries({
      forged,
      twisted,
      'without a link': '/v1/toy-files/a.txt',
      'of another path': link.replace('a.txt', 'b.txt'),
      'a token of another use': `/v1/toy-files/a.txt?link=${Buffer.from(token).toString('base64url')}`,
    }))
      t.equal(codeOf(await ask(at, path)), '403 url.refused', what)
    at.skewMs = 60_001
    t.equal(codeOf(await ask(at, link)), '410 url.expired')
    t.same(at.reached, [], 'none of them reached the handler')
    t.throws(() => signLink(look, of, 0, { signer, random: systemRandom }), InternalError)
    t.throws(
      () => signLink(open, { ...of, lifeMs: 8 * 86_400_000 }, 0, { signer, random: systemRandom }),
      InternalError,
    )
    t.throws(
      () => signLink(open, { ...of, fields: { file: '../a' } }, 0, { signer, random: systemRandom }),
      InternalError,
    )
  })
}

t.test('D6: neither a device nor a service comes by a key or a link of somebody outside', async (t) => {
  const at = await world(t)
  const credential = credentialOf(await at.newKey())!
  for (const device of ['printer', 'service:work'])
    for (const contract of [look.id, admitOutsider.id]) {
      const { problem } = await at.service.handle({
        caller: { device, region: '', roles: [] },
        contract,
        id: new Uint8Array(16),
        atMs: Date.now(),
        https: { credential, path: '/v1/toy/top' },
        body: contract === look.id ? { shelf: 'top' } : { contract: look.id },
      })
      t.equal(problem?.code, 'message.unauthorised', `${device} ${contract}`)
    }
  t.same(at.reached, [])
})

t.test('D6: a body is judged: JSON, its type, its size, and the time that it takes', async (t) => {
  const at = await world(t, { limits: { ...wide, bodyMs: 100 } })
  const key = await at.newKey()
  const post = (raw: string | Uint8Array, more: Question = {}) =>
    ask(at, '/v1/toy/top', { method: 'POST', key, raw, headers: under('k'), ...more })
  for (const raw of [
    '',
    '{',
    '[]',
    'null',
    '"x"',
    '['.repeat(60_000),
    '{"count":10}',
    '{"count":"1"}',
    '{"count":1,"seal":"/w=="}',
  ])
    t.equal(codeOf(await post(raw)), '400 message.invalid', raw.slice(0, 20))
  t.equal(
    codeOf(await post('{"count":1}', { headers: { ...under('k'), 'content-type': 'text/plain' } })),
    '400 message.invalid',
  )
  t.equal(codeOf(await post(Buffer.alloc(70_000, 32))), '413 message.too-large')
  t.equal(codeOf(await post('{"count":', { isEnded: false })), '408 message.expired', 'a slow client')
  t.same(at.reached, [])
  const stranger = await post(Buffer.alloc(70_000, 32), {
    key: `azk_${'0'.repeat(16)}_${'A'.repeat(43)}`,
    isEnded: false,
  })
  t.equal(codeOf(stranger), '401 api.key-refused', 'whose body nobody reads')
  const polluted = await post('{"count":1,"__proto__":{"seal":"AAAA"},"shelf":"low"}', { headers: under('p') })
  t.match(polluted.json, { total: 1 })
  t.same(at.reached, ['top'], 'the path says which')
})

t.test('D6: a reader that takes nothing of its file is let go, and others read on', async (t) => {
  const at = await world(t, { limits: { ...wide, silentMs: 50 } })
  const session = connect(at.url, { ca: at.ca, checkServerIdentity: () => undefined })
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': at.link() })
  const held = () => at.budgets.report().find(({ budget, kind }) => budget === 'https_calls' && kind === 'link')?.held
  await once(stream, 'response')
  t.equal(held(), 1, 'it is counted, and its window is full')
  t.equal((await ask(at, at.link())).bytes.length, large.length)
  while (held() !== 0) await new Promise((resolve) => setImmediate(resolve))
  t.pass('nothing is held for it')
})

t.test('D6: wrong keys of one address are limited, and so is who asks without end', async (t) => {
  const limits = { requests: { perSecond: 0.1, burst: 3 }, wrong: { perSecond: 0.1, burst: 4 } }
  const at = await world(t, { limits })
  const key = await at.newKey()
  for (let n = 0; n < 3; n++) t.equal((await ask(at, '/v1/toy/top', { key })).status, 200)
  const often = await ask(at, '/v1/toy/top', { key: await at.newKey() })
  t.equal(codeOf(often), '429 api.wait', 'another key of the same shop')
  t.equal(often.headers['retry-after'], '10')
  const refused = `azk_${'0'.repeat(16)}_${'A'.repeat(43)}`
  for (let n = 0; n < 2; n++) t.equal(codeOf(await ask(at, '/v1/toy/top', { key: refused })), '401 api.key-refused')
  for (let n = 0; n < 2; n++) t.equal(codeOf(await ask(at, '/v1/toy-files/a.txt?link=x')), '403 url.refused')
  t.equal(codeOf(await ask(at, '/v1/toy/top', { key: refused })), '429 api.wait', 'keys and links count together')
  t.equal(codeOf(await ask(at, at.link())), '429 api.wait')
  const report = at.budgets.report().filter(({ budget }) => budget.startsWith('https_'))
  t.ok(
    report.every(({ held }) => held <= 1),
    'nothing stays reserved',
  )
  t.ok(report.some(({ budget, refused: times }) => budget === 'https_requests' && times === 1))
})

t.test('D6: the site describes what it answers', async (t) => {
  const at = await world(t)
  const { json } = await ask(at, '/v1/openapi.json')
  t.match(json, {
    openapi: '3.1.0',
    paths: {
      '/v1/toy/{shelf}': {
        get: { security: [{ shop: ['look'] }] },
        post: { parameters: [{ name: 'shelf' }, { name: 'Idempotency-Key', required: true }] },
      },
      '/v1/toy-files/{file}': { get: { security: [{ link: [] }] } },
    },
  })
})

t.test('D4: a contract for who is outside has a handler of its own kind', async (t) => {
  const host = (handlers: Parameters<typeof createServiceHost>[0]['handlers']) =>
    createServiceHost({
      name: 'content',
      database: memoryDatabase(),
      migrations: [],
      unlisted: throwUnlisted,
      clock: systemClock,
      random: systemRandom,
      log: silent,
      handlers,
    })
  await t.rejects(host([call(look, () => ({}) as never)]), InternalError, 'nobody would judge the key')
  await t.rejects(host([shopCall(put, () => ({ total: 0 }))]), InternalError, 'it would be done again and again')
  await t.rejects(host([linkCall(open, () => ({}) as never)]), InternalError, 'nobody judges links')
  const { https: _, ...bare } = {
    ...frame,
    name: 'toy.bare',
    authority: 'shop',
    request: look.request,
    reply: look.reply,
    https: 0,
  } as const
  t.throws(() => contract({ ...bare }), InternalError, 'without a path')
  t.throws(() => contract({ ...bare, authority: 'device' }), InternalError)
  t.throws(() => contract({ ...bare, https: { method: 'GET', path: '/v1/x' } }), InternalError, 'without a scope')
  t.throws(
    () => contract({ ...bare, authority: 'link', https: { method: 'POST', path: '/v1/x' } }),
    InternalError,
    'a link that changes something',
  )
})
