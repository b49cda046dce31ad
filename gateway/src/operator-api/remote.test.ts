/** Operators of other machines: the same calls over HTTPS, for who knows the site and is signed in there (D6, D8). */
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, constants } from 'node:http2'
import { request } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { isProblem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { connectToUrl, operatorPath, operatorType } from '../adapters/operator-https.ts'
import { readSession, writeSession } from '../adapters/session-file.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { Budgets } from '../budgets/budgets.ts'
import { SiteFolder } from '../site-folder.ts'
import { silent } from '../test-contracts.ts'
import { jsonOf, operatedSite } from '../test-operator.ts'
import { type HttpsLimits, startHttpsListener } from '../transport/https-listener.ts'
import { callSite } from './client.ts'
import type { OperatorCommand } from './roles.ts'
import type { SignInLimits } from './sign-ins.ts'
import { frame } from './wire.ts'

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return isProblem(error) ? error.code : String(error)
  }
}

async function problemOf(t: Test, ...words: string[]): Promise<unknown> {
  return ((await jsonOf(t, ...words)).answer['problem'] as { code: string } | undefined)?.code
}

const wide: SignInLimits = { address: { perSecond: 100, burst: 100 }, all: { perSecond: 100, burst: 100 }, atOnce: 2 }

interface Options {
  find?: (command: string) => Promise<OperatorCommand | undefined>
  signInLimits?: SignInLimits
  limits?: Partial<HttpsLimits>
  skewMs?: () => number
}

/** A site with a listener, and the words with which its authority is known. */
async function remoteSite(t: Test, { find, signInLimits = wide, limits, skewMs = () => 0 }: Options = {}) {
  const path = t.testdir()
  const clock = { ...systemPorts.clock, now: () => Date.now() + skewMs() }
  const ports = { ...systemPorts, clock }
  const budgets = new Budgets()
  const made = await operatedSite(t, path, { ports, budgets, signInLimits, ...(find && { find }) })
  const { keyring } = new SiteFolder(path, 'site', systemPorts)
  const tls = await keyring.identity('gateway', 'gateway')
  const listen = (shown = tls) =>
    startHttpsListener({
      tls: shown,
      host: '127.0.0.1',
      port: 0,
      routes: [made.api.route],
      budgets,
      log: silent,
      ...(limits && { limits }),
    })
  const listener = await listen()
  t.teardown(() => listener.stop())
  const url = `https://localhost:${listener.port}`
  const authority = join(path, 'tls/authority.pem')
  const pin = new X509Certificate(readFileSync(authority)).fingerprint256
  const by = ['--site-url', url, '--site-ca', authority]
  /** Signs in from another machine: `remote` is the same account as at the socket. */
  const login = (name: string) => jsonOf(t, 'login', name, ...by, '--password-file', join(path, `${name}.password`))
  return { ...made, path, url, by, pin, authority, login, listen, budgets, keyring }
}

t.test('D6: a site is worked on from another machine, known by its authority’s file or fingerprint', async (t) => {
  const { url, path, pin, login, signIn } = await remoteSite(t)
  t.equal(
    await problemOf(t, 'device', 'list', '--site-url', url),
    'operator.unauthenticated',
    'no role without a session',
  )
  t.match(await login('admin'), { exit: 0, answer: { operator: 'admin' } })
  t.match(await jsonOf(t, 'whoami', '--site-url', url), { exit: 0, answer: { operator: 'admin' } })
  t.match(await jsonOf(t, 'device', 'list', '--site-url', url), { exit: 0, answer: [] })
  await signIn('helper', ['fleet'])
  const file = join(path, 'helper.password')
  const pinned = ['login', 'helper', '--site-url', url, '--site-pin', pin, '--password-file', file]
  t.match(await jsonOf(t, ...pinned), { exit: 0, answer: { operator: 'helper' } })
  t.equal(await problemOf(t, 'operator', 'list', '--site-url', url), 'operator.forbidden', 'a role that is missing')
  t.match(await jsonOf(t, 'logout', '--site-url', url), { exit: 0 })
  t.equal(await problemOf(t, 'whoami', '--site-url', url), 'operator.unauthenticated')
  t.match(await jsonOf(t, 'whoami', '--folder', path), { exit: 0 }, 'the session at the socket is another one')
  for (const wrong of ['http://localhost:1', 'localhost:1', `${url}/path`, 'https://a@localhost:1'])
    t.equal(await problemOf(t, 'whoami', '--site-url', wrong), 'config.invalid', wrong)
  t.equal(
    await problemOf(t, 'whoami', '--site-url', 'https://localhost:1'),
    'operator.unauthenticated',
    'nowhere signed in',
  )
})

t.test('D6: a password is not typed for who is not the site', async (t) => {
  const { url, path, listen, keyring } = await remoteSite(t)
  const password = ['--password-file', join(path, 'admin.password')]
  t.equal(await problemOf(t, 'login', 'admin', '--site-url', url, ...password), 'config.invalid', 'known by nothing')
  const pin = '0'.repeat(64)
  t.equal(
    await problemOf(t, 'login', 'admin', '--site-url', url, '--site-pin', pin, ...password),
    'operator.other-site',
  )
  t.equal(await problemOf(t, 'login', 'admin', '--site-url', url, '--site-pin', 'x', ...password), 'config.invalid')
  const other = new SiteFolder(join(path, 'other'), 'site', systemPorts)
  await other.keyring.authority()
  const foreign = `${other.path}/tls/authority.pem`
  t.equal(
    await problemOf(t, 'login', 'admin', '--site-url', url, '--site-ca', foreign, ...password),
    'operator.other-site',
  )
  // One that the authority certified, and that is not the gateway.
  const service = await listen(await keyring.identity('helper', 'service'))
  t.teardown(() => service.stop())
  const there = `https://localhost:${service.port}`
  const own = join(path, 'tls/authority.pem')
  t.equal(
    await problemOf(t, 'login', 'admin', '--site-url', there, '--site-ca', own, ...password),
    'operator.other-site',
  )
})

t.test('D6: a session that was stolen is good nowhere else, and ends as others do', async (t) => {
  let skew = 0
  const { url, path, login, authority } = await remoteSite(t, { skewMs: () => skew })
  await login('admin')
  const remote = readSession(url)
  const local = readSession(path)
  if (!remote || !local) throw new Error('nobody is signed in')
  const pem = readFileSync(authority, 'utf8')
  t.equal(
    await codeOf(callSite('whoami', { folder: path }, [], {}, { token: remote.token })),
    'operator.unauthenticated',
  )
  const stolen = { token: local.token, authority: pem }
  t.equal(
    await codeOf(callSite('whoami', { 'site-url': url }, [], {}, stolen)),
    'operator.unauthenticated',
    'of the socket',
  )
  const elsewhere = url.replace('localhost', '127.0.0.1')
  writeSession(elsewhere, remote)
  t.equal(await problemOf(t, 'whoami', '--site-url', elsewhere), 'operator.unauthenticated', 'of another name')
  t.match(await jsonOf(t, 'whoami', '--site-url', url), { exit: 0 })
  skew = 61 * 60_000
  t.equal(await problemOf(t, 'whoami', '--site-url', url), 'operator.unauthenticated', 'an hour without use')
})

const pay: OperatorCommand = {
  what: 'pays',
  role: 'clerk',
  twoPeople: true,
  options: {},
  carryOut: async ({ people }) => ({ json: { people }, text: 'paid' }),
}

t.test('D6 P9: the same person is one person at the socket and from another machine', async (t) => {
  const { url, path, login, signIn } = await remoteSite(t, { find: async () => pay })
  await signIn('first', ['clerk'])
  await login('first')
  const { json } = await callSite('pay', { folder: path }, [])
  const { pending } = json as { pending: string }
  t.equal(await problemOf(t, 'confirm', pending, '--site-url', url), 'operator.same-person')
  await signIn('second', ['clerk'])
  t.match(await login('second'), { exit: 0 })
  t.match(await jsonOf(t, 'confirm', pending, '--site-url', url), { exit: 0, answer: { people: ['first', 'second'] } })
})

t.test('D6: files and progress come through; one that is cut in the middle changes nothing', async (t) => {
  const seen: number[] = []
  const copy: OperatorCommand = {
    what: 'copies',
    role: 'fleet',
    positionals: 'FILE',
    options: {},
    filesIn: ['file'],
    filesOut: ['out'],
    async carryOut({ file, tell, give }) {
      const { bytes } = file('file')
      seen.push(bytes.length)
      tell('half way')
      await give({ option: 'out', bytes })
      return { json: { bytes: bytes.length }, text: 'copied' }
    },
  }
  const { url, path, login, api, budgets } = await remoteSite(t, { find: async () => copy })
  await login('admin')
  const [source, out] = [join(path, 'source'), join(path, 'out')]
  writeFileSync(source, Buffer.alloc(3 << 20, 7))
  const told = t.capture(console, 'error')
  t.match(await callSite('copy', { 'site-url': url, out }, [source], copy), { json: { bytes: 3 << 20 } })
  told.restore()
  t.match(
    told().map(({ args }) => args[0]),
    ['half way'],
  )
  t.ok(readFileSync(out).equals(readFileSync(source)))
  const session = readSession(url)
  if (!session?.authority) throw new Error('nobody is signed in')
  const { stream, close } = await connectToUrl(url, session.authority)
  const call = {
    token: session.token,
    command: 'copy',
    values: {},
    positionals: ['x'],
    files: [{ name: 'file', sizeBytes: 3 << 20 }],
  }
  stream.write(frame(call))
  await new Promise<void>((resolve) => stream.once('data', () => resolve()))
  stream.write(frame({ chunk: new Uint8Array(1 << 18) }))
  const held = () => budgets.report().find(({ budget }) => budget === 'operator_files')?.held
  close()
  while (held() !== 0) await new Promise((resolve) => setImmediate(resolve))
  t.same(seen, [3 << 20], 'it was not begun')
  t.same(await api.log.check(), [])
})

t.test(
  'D6: a flood of sign-ins is refused before it costs anything, and keeps nobody out who is signed in or inside',
  async (t) => {
    const signInLimits = { address: { perSecond: 0.001, burst: 6 }, all: { perSecond: 1, burst: 20 }, atOnce: 1 }
    const { url, path, login, authority, api, budgets, signIn } = await remoteSite(t, { signInLimits })
    await signIn('second')
    t.match(await login('admin'), { exit: 0 })
    const known = { authority: readFileSync(authority, 'utf8') }
    const guess = () => codeOf(callSite('login', { 'site-url': url, name: 'second', password: 'wrong' }, [], {}, known))
    const codes = await Promise.all(Array.from({ length: 40 }, guess))
    t.ok(
      codes.every(
        (code) => code === 'operator.login-refused' || code === 'operator.login-wait' || code === 'service.busy',
      ),
    )
    const logged = (await api.log.latest(100)).filter(
      ({ command, outcome }) => command === 'login' && outcome !== 'done',
    )
    t.ok(logged.length <= 5, `${logged.length} entries of 40 tries`)
    t.ok(budgets.report().some(({ budget, refused }) => budget === 'sign_ins' && refused >= 30))
    t.match(await jsonOf(t, 'whoami', '--site-url', url), { exit: 0 }, 'who is signed in goes on')
    const inside = ['login', 'second', '--folder', path, '--password-file', join(path, 'second.password')]
    t.match(await jsonOf(t, ...inside), { exit: 0 }, 'and at the site’s own machine nobody waits')
    t.equal(
      await codeOf(callSite('whoami', { 'site-url': url }, [], {}, known)),
      'operator.login-wait',
      'calls without a session count, too',
    )
  },
)

t.test('D6: guesses from outside wait longer and longer, whatever their address', async (t) => {
  const { url, authority, path } = await remoteSite(t)
  const known = { authority: readFileSync(authority, 'utf8') }
  const guess = () => codeOf(callSite('login', { 'site-url': url, name: 'admin', password: 'wrong' }, [], {}, known))
  const codes: unknown[] = []
  for (let n = 0; n < 5; n++) codes.push(await guess())
  t.same(codes, [
    'operator.login-refused',
    'operator.login-refused',
    'operator.login-refused',
    'operator.login-wait',
    'operator.login-wait',
  ])
  t.match(await jsonOf(t, 'login', 'admin', '--folder', path, '--password-file', join(path, 'admin.password')), {
    exit: 0,
  })
})

t.test('D6: silent connections do not shut a signed-in operator out', async (t) => {
  const { url, login } = await remoteSite(t, { limits: { strangers: 4, strangersPerAddress: 4 } })
  await login('admin')
  const session = readSession(url)
  if (!session?.authority) throw new Error('nobody is signed in')
  const { stream, close } = await connectToUrl(url, session.authority)
  t.teardown(close)
  stream.write(frame({ token: session.token, command: 'device list', values: {}, positionals: [] }))
  await new Promise<void>((resolve) => stream.once('data', () => resolve()))
  const ended = new Promise<'ended'>((resolve) => stream.session?.once('close', () => resolve('ended')))
  for (let n = 0; n < 12; n++) {
    const socket = connectTcp(Number(new URL(url).port), '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.on('error', () => undefined)
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  }
  t.match(await jsonOf(t, 'whoami', '--site-url', url), { exit: 0 })
  t.equal(await Promise.race([ended, Promise.resolve('open')]), 'open')
})

t.test('D6: what is no call is refused: other paths and methods, pages in browsers, HTTP/1.1, nonsense', async (t) => {
  const { url, authority } = await remoteSite(t)
  const session = connect(url, { ca: readFileSync(authority), checkServerIdentity: () => undefined })
  t.teardown(() => session.destroy())
  const status = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': operatorPath,
        'content-type': operatorType,
        ...headers,
      })
      stream.once('response', ({ ':status': found }) => {
        resolve(found)
        stream.close(constants.NGHTTP2_CANCEL)
      })
      stream.on('error', reject)
      stream.end()
    })
  t.equal(await status({ ':path': '/' }), 404)
  t.equal(await status({ ':method': 'GET' }), 404)
  t.equal(await status({ 'content-type': 'application/json' }), 415)
  t.equal(await status({ origin: 'https://example.org' }), 415)
  const one = new Promise<number | undefined>((resolve, reject) => {
    const asked = request(`${url}${operatorPath}`, {
      method: 'POST',
      ca: readFileSync(authority),
      checkServerIdentity: () => undefined,
      headers: { 'content-type': operatorType },
    })
    asked.once('response', (response) => resolve(response.statusCode)).once('error', reject)
    asked.end()
  })
  t.equal(await one, 505)
  const line = await connectToUrl(url, readFileSync(authority, 'utf8'))
  line.stream.on('error', () => undefined)
  line.stream.resume()
  line.stream.write(Buffer.from('ffffffff', 'hex'))
  await new Promise<void>((resolve) => line.stream.once('close', () => resolve()))
  t.pass('a length that no call has ends the stream')
  line.close()
})
