/** What a program loads when it starts (B14), counted rather than timed; and what it says under a Node that is too old (D7). */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'

const root = resolve(import.meta.dirname, '..')
const bin = (name: string) => join(root, name, `src/azukari-${name}.js`)

/** Prints, as the process ends, the URL of every file that was loaded as a module. */
const counting = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module'
  import { writeSync } from 'node:fs'
  const loaded = []
  registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
  process.on('exit', () => writeSync(2, '\\nLOADED ' + JSON.stringify(loaded)))
`)}`

/** Modules that a call loads: all of them, and the names of the packages that are not ours. */
/** @param exit of the call; 1 where it asks a running site, and none runs */
function loads(t: Test, words: string[], exit = 0): { count: number; packages: string[]; out: string } {
  const { NODE_OPTIONS: _, ...env } = process.env
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', counting, ...words], {
    cwd: t.testdir(),
    encoding: 'utf8',
    env,
  })
  t.equal(status, exit, `${words.slice(1).join(' ')}: ${stderr.slice(0, 300)}`)
  const urls: string[] = JSON.parse(/^LOADED (.*)$/m.exec(stderr)?.[1] ?? '[]')
  const packages = urls.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])
  return {
    count: urls.length,
    packages: [...new Set(packages)].filter((name) => !name.startsWith('@azukari/')),
    out: stdout,
  }
}

t.test('B14 D6: help loads the table of commands and nothing else', (t) => {
  // Each service brings its module and its problems to the gateway's.
  for (const [name, maxCount] of Object.entries({ gateway: 52, device: 60, sim: 40 })) {
    const { count, packages, out } = loads(t, [bin(name), '--help'])
    t.match(out, `azukari-${name} `)
    t.ok(count > 5 && count <= maxCount, `${name}: ${count} modules`)
    // A board's codec, which its card commands need, is small.
    const heavy = packages.filter((other) => !/^(cbor-|detect-libc|node-gyp-build)/.test(other))
    t.same(heavy, [], `${name} loads no library for its help`)
  }
  t.end()
})

t.test('B14 D6: a command loads what it needs', (t) => {
  const none = (words: string[], unwanted: string[], exit = 0) => {
    const { packages } = loads(t, [bin('gateway'), ...words], exit)
    t.same(
      packages.filter((name) => unwanted.includes(name)),
      [],
      words.join(' '),
    )
  }
  const heavy = ['aedes', 'fastify', 'mqtt', 'prom-client', 'tsyringe', '@peculiar/x509', '@opentelemetry/api']
  none(['completion', 'bash'], [...heavy, 'kysely', 'typebox', 'pino'])
  none(['acl'], [...heavy, 'kysely', 'typebox', 'pino'])
  none(['service', '--folder', '/var/lib/azukari'], [...heavy, 'kysely', 'typebox', 'pino'])
  none(['config', 'check', '--folder', '.'], [...heavy, 'kysely'])
  none(['device', 'list', '--folder', '.'], heavy, 1)
  none(['claim', 'new', '--region', 'JP-13', '--folder', '.'], heavy, 1)
  t.end()
})

t.test('B14 D6: a data server loads no service, no broker, and nothing that makes certificates', async (t) => {
  const { NODE_OPTIONS: _, ...env } = process.env
  const cwd = t.testdir()
  const call = (...words: string[]) =>
    spawn(process.execPath, ['--import', counting, bin('gateway'), ...words], { cwd, env })
  const place = ['--folder', '.']
  t.equal((await once(call('init', ...place), 'close'))[0], 0)
  let text = ''
  // The first start makes its certificate.
  for (const _start of [1, 2]) {
    text = ''
    const server = call('data-server', ...place, '--id', 'tokyo')
    server.stderr.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    await once(server.stdout, 'data')
    server.kill('SIGTERM')
    t.equal((await once(server, 'close'))[0], 0)
  }
  const urls: string[] = JSON.parse(/^LOADED (.*)$/m.exec(text)![1]!)
  t.ok(urls.some((url) => url.includes('/data-server/')))
  t.same(
    urls.filter((url) =>
      /(\/services\/(?!index\.ts|\w+\/module\.ts)|\/broker\/|node_modules\/(aedes|fastify|kysely|mqtt|prom-client|@peculiar)\/)/.test(
        url,
      ),
    ),
    [],
  )
})

t.test('D7: under a Node that is too old a program says which one it needs', (t) => {
  const older = `data:text/javascript,${encodeURIComponent(`
    Object.defineProperty(process.versions, 'node', { value: '20.19.4' })
    Object.defineProperty(process, 'version', { value: 'v20.19.4' })`)}`
  for (const name of ['gateway', 'device', 'sim']) {
    const { stderr, status } = spawnSync(process.execPath, ['--import', older, bin(name), '--help'], {
      encoding: 'utf8',
    })
    t.equal(status, 1)
    t.match(stderr, new RegExp(`^azukari-${name} needs Node\\.js 24\\.\\d+ or newer; this is v20\\.19\\.4 \\(/`))
    t.notMatch(stderr, /\n +at /, 'no stack')
  }
  t.end()
})
