/** The operators' console: its page is guarded, and its calls are those of the operator API, from nowhere but that page (D6). */
import { once } from 'node:events'
import { constants } from 'node:http2'
import { type RequestOptions, request } from 'node:https'
import { connect } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { systemPorts } from '../adapters/system-ports.ts'
import { Budgets } from '../budgets/budgets.ts'
import type { OperatorCommand } from '../operator-api/roles.ts'
import { SiteFolder } from '../site-folder.ts'
import { silent } from '../test-contracts.ts'
import { operatedSite } from '../test-operator.ts'
import { startHttpsListener } from '../transport/https-listener.ts'
import { consoleRoutes } from './routes.ts'

const turned: OperatorCommand = {
  what: 'Turns a file round.',
  role: 'fleet',
  options: { in: { type: 'string', what: 'the file' }, out: { type: 'string', what: 'the same, turned round' } },
  filesIn: ['in'],
  filesOut: ['out'],
  carryOut: async (act) => {
    const { bytes, path } = act.file('in')
    act.tell(`${path}: ${bytes.length} bytes`)
    await act.give({ option: 'out', bytes: bytes.toReversed() })
    return { json: { turned: bytes.length }, text: 'turned' }
  },
}
const paid: OperatorCommand = {
  what: 'Pays.',
  role: 'clerk',
  twoPeople: true,
  options: {},
  carryOut: async ({ people }) => ({ json: { people }, text: people.join(' and ') }),
}
const find = async (name: string) => ({ turned, paid })[name]

type Message = Record<string, unknown> & { problem?: { code: string; title: string }; answer?: { json: unknown } }

async function consoleOf(t: Test) {
  const path = t.testdir()
  const budgets = new Budgets()
  const site = await operatedSite(t, path, { budgets, find })
  const { keyring } = new SiteFolder(path, 'site', systemPorts)
  const listener = await startHttpsListener({
    tls: await keyring.identity('gateway', 'gateway'),
    host: '127.0.0.1',
    port: 0,
    routes: [site.api.route, ...consoleRoutes({ answer: site.api.answer, clock: systemPorts.clock })],
    budgets,
    log: silent,
  })
  t.teardown(() => listener.stop())
  const authority = `localhost:${listener.port}`
  const ask = (way: RequestOptions, body?: Uint8Array | string) => {
    const { promise, resolve, reject } = Promise.withResolvers<{
      status: number
      headers: Record<string, unknown>
      body: string
    }>()
    const asked = request(
      { host: 'localhost', port: listener.port, rejectUnauthorized: false, agent: false, ...way },
      async (answer) => {
        let text = ''
        for await (const chunk of answer.setEncoding('utf8')) text += chunk
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text })
      },
    )
    asked.on('error', reject)
    asked.end(body)
    return promise
  }
  const headers = { 'content-type': 'application/vnd.azukari.call', origin: `https://${authority}` }
  const call = async (head: unknown, files: Uint8Array = new Uint8Array()): Promise<Message[]> => {
    const body = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), files])
    const answer = await ask({ method: 'POST', path: '/console/call', headers }, body)
    return answer.body.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Message]))
  }
  const signIn = async (name: string, roles: Parameters<typeof site.api.accounts.add>[1]) => {
    const password = site.api.accounts.newPassword()
    await site.api.accounts.add(name, roles, password)
    const [told] = await call({ command: 'login', values: { name, password }, positionals: [] })
    return (told!.answer!.json as { token: string }).token
  }
  return { ask, call, signIn, headers, site }
}

const codeOf = (messages: Message[]) => messages.at(-1)?.problem?.code

t.test('D6: the page is shown in no frame, runs nothing but its own script, and no path leads out of it', async (t) => {
  const { ask } = await consoleOf(t)
  t.match(await ask({ path: '/' }), { status: 302, headers: { location: '/console/' } })
  const page = await ask({ path: '/console/' })
  t.match(page, { status: 200, headers: { 'content-type': /^text\/html/, 'x-content-type-options': 'nosniff' } })
  t.match(page.headers['content-security-policy'], /default-src 'none'; script-src 'self'.*frame-ancestors 'none'/)
  t.notMatch(page.body, /<script>|style=|\son[a-z]+=/, 'nothing of it stands in the page itself')
  for (const [, name] of page.body.matchAll(/(?:src|href)="([\w.]+)"/g))
    t.match(await ask({ path: `/console/${name}` }), { status: 200 }, `${name}`)
  for (const path of ['routes.ts', '../call.ts', '%2e%2e/call.ts', 'page/index.html', 'nothing'])
    t.match(await ask({ path: `/console/${path}` }), { status: 404 }, path)
  t.match(await ask({ path: '/elsewhere' }), { status: 404 })
})

t.test('D6: it offers what a running site carries out, with the fields that a person fills in', async (t) => {
  const { ask } = await consoleOf(t)
  const commands = JSON.parse((await ask({ path: '/console/commands.json' })).body) as {
    name: string
    role: string
    options: object
  }[]
  t.ok(commands.length > 50)
  t.ok(
    commands.every(({ role }) => role),
    'nothing that is not the site’s to carry out',
  )
  t.notOk(commands.some(({ options }) => 'folder' in options || 'site-url' in options))
  t.match(
    commands.find(({ name }) => name === 'device list'),
    { role: 'fleet', isRead: false },
  )
})

t.test('D6: only the page itself asks, and only who is signed in is answered', async (t) => {
  const { ask, call, signIn, headers, site } = await consoleOf(t)
  const body = `${JSON.stringify({ command: 'whoami', values: {}, positionals: [] })}\n`
  const way = { method: 'POST', path: '/console/call' }
  for (const other of [
    { ...headers, origin: 'https://elsewhere.example' },
    { 'content-type': headers['content-type'] },
    { ...headers, 'content-type': 'text/plain' },
  ])
    t.match(await ask({ ...way, headers: other }, body), { status: constants.HTTP_STATUS_FORBIDDEN, body: '' })
  const whoami = { command: 'whoami', values: {}, positionals: [] }
  t.equal(codeOf(await call(whoami)), 'operator.unauthenticated')
  const refused = await call({
    command: 'login',
    values: { name: 'admin', password: 'x' },
    positionals: [],
    language: 'ja',
  })
  t.match(refused, [{ problem: { code: /^operator\.login-/, title: /[ぁ-ん]/ } }], 'in the language of the page')
  const password = site.api.accounts.newPassword()
  await site.api.accounts.add('local', ['fleet'], password)
  const token = await site.api.accounts.login('local', password, undefined, undefined)
  t.equal(codeOf(await call({ ...whoami, token })), 'operator.unauthenticated', 'a session of the socket is none here')
  const fleet = await signIn('fleet', ['fleet'])
  t.match(await call({ ...whoami, token: fleet }), [{ answer: { json: { operator: 'fleet', roles: ['fleet'] } } }])
  t.equal(
    codeOf(await call({ command: 'paid', values: {}, positionals: [], token: fleet })),
    'operator.forbidden',
    'a role that is missing',
  )
})

t.test('D6: files go up and down with a call, and are those that it announces', async (t) => {
  const { call, signIn } = await consoleOf(t)
  const token = await signIn('fleet', ['fleet'])
  const bytes = Uint8Array.from({ length: 500_000 }, (_, n) => n % 251)
  const head = (sizeBytes: number) => ({
    command: 'turned',
    token,
    values: { in: 'a.bin', out: 'b.bin' },
    positionals: [],
    files: [{ name: 'in', sizeBytes }],
  })
  const told = await call(head(bytes.length), bytes)
  t.ok(told.some(({ line }) => line === 'a.bin: 500000 bytes'))
  t.match(
    told.find(({ file }) => file),
    { file: { option: 'out', suffix: '', sizeBytes: 500_000 } },
  )
  const back = Buffer.concat(told.flatMap(({ piece }) => (piece ? [Buffer.from(String(piece), 'base64')] : [])))
  t.ok(back.equals(bytes.toReversed()))
  t.match(told.at(-1), { answer: { json: { turned: 500_000 }, exit: 0 } })
  t.equal(codeOf(await call(head(bytes.length + 1), bytes)), 'message.invalid', 'too little')
  t.equal(codeOf(await call(head(bytes.length - 1), bytes)), 'message.invalid', 'too much')
  t.equal(codeOf(await call({ ...head(0), values: { in: 'x'.repeat(2 << 20) } })), 'message.too-large')
  t.equal(codeOf(await call('no call')), 'message.invalid')
  t.equal(codeOf(await call({ ...head(60 << 20), command: 'paid' })), 'operator.forbidden', 'before its file is read')
})

t.test('D6: over HTTP/1.1, too, a call that is refused early hears why, however much else it sends', async (t) => {
  const { headers } = await consoleOf(t)
  const port = Number(headers.origin.split(':').at(-1))
  const socket = connect({ host: 'localhost', port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  const rest = Buffer.alloc(16 << 20)
  const told = Object.entries({ ...headers, host: `localhost:${port}`, 'content-length': 8 + rest.length })
  const head = ['POST /console/call HTTP/1.1', ...told.map(([name, value]) => `${name}: ${value}`), 'connection: close']
  socket.write(`${head.join('\r\n')}\r\n\r\nno call\n`)
  await once(socket, 'readable')
  // Whoever sends first and reads then loses the answer with the connection.
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.write(rest, () => resolve())
  })
  let answer = ''
  for await (const chunk of socket.setEncoding('utf8')) answer += chunk
  t.match(answer, /^HTTP\/1\.1 200[\s\S]*message\.invalid/)
})

t.test('D6: what takes two people is begun by one and confirmed by another', async (t) => {
  const { call, signIn } = await consoleOf(t)
  const [first, second] = [await signIn('first', ['clerk']), await signIn('second', ['clerk'])]
  const of = (token: string, command: string, ...positionals: string[]) =>
    call({ command, token, values: {}, positionals })
  const begun = await of(first, 'paid')
  const { pending } = begun.at(-1)!.answer!.json as { pending: string }
  t.match(await of(second, 'pending'), [{ answer: { json: [{ id: pending, began: 'first', isYours: false }] } }])
  t.equal(codeOf(await of(first, 'confirm', pending)), 'operator.same-person')
  t.match((await of(second, 'confirm', pending)).at(-1), { answer: { json: { people: ['first', 'second'] } } })
  t.equal(codeOf(await of(second, 'confirm', pending)), 'operator.pending-unknown')
})
