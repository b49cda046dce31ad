/** Programs that systemd watches (D6): they say that they are alive while they are, and cease when their loop or work hangs. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'

const cli = (name: string) => resolve(import.meta.dirname, `../${name}/src/cli.ts`)
const withinMs = 900

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !holds(); await new Promise((later) => setTimeout(later, 20)))
    if (Date.now() > end) throw new Error(`not within a minute: ${what}`)
}

/** What stands in for `systemd-notify` on the path: it writes down what it would say, to whom. */
function notifier(folder: string): { environment: NodeJS.ProcessEnv; said: () => string[] } {
  const heard = join(folder, 'heard')
  writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$1 $NOTIFY_SOCKET" >> '${heard}'\n`, { mode: 0o755 })
  return {
    environment: {
      ...process.env,
      PATH: `${folder}:${process.env['PATH']}`,
      NOTIFY_SOCKET: '/run/notify',
      WATCHDOG_USEC: String(withinMs * 1_000),
    },
    said: () => (existsSync(heard) ? readFileSync(heard, 'utf8').trim().split('\n') : []),
  }
}

/** A program whose work, or whose whole loop, can be made to hang. */
const program = `
  import { watchdog } from ${JSON.stringify(import.meta.resolve('@azukari/protocol/adapters/watchdog'))}
  const log = { warn: (m) => console.log(m), error: (m) => console.log(m) }
  let alive = true
  watchdog({ environment: process.env, alive: () => alive, log })
  process.on('SIGUSR2', () => { alive = false })
  process.on('SIGCONT', () => { for (;;); })
  setInterval(() => {}, 1000)
  console.log('ready')`

function start(environment: NodeJS.ProcessEnv): { child: ChildProcess; out: () => string } {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { env: environment })
  let out = ''
  child.stdout.on('data', (piece) => {
    out += piece
  })
  return { child, out: () => out }
}

/** Whether nothing more is said for ten times as long as it would take; what was under way may still come. */
async function silence(said: () => string[]): Promise<boolean> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const before = said().length
    await new Promise((later) => setTimeout(later, (10 * withinMs) / 3))
    if (said().length === before) return true
  }
  return false
}

for (const [what, signal, told] of [
  ['its loop', 'SIGCONT', false],
  ['its work', 'SIGUSR2', true],
] as const)
  t.test(`D6: a program whose ${what.slice(4)} hangs says no more that it is alive`, async (t) => {
    const { environment, said } = notifier(t.testdir())
    const { child, out } = start(environment)
    t.teardown(() => child.kill('SIGKILL'))
    await until('three words', () => said().length >= 3)
    t.equal(said()[0], 'WATCHDOG=1 /run/notify')
    child.kill(signal)
    t.ok(await silence(said))
    t.equal(/does not do its work/.test(out()), told)
    t.equal(child.exitCode, null, 'it is systemd that ends it')
  })

t.test('D6: nothing is said when systemd does not ask, or asks another; a tool that fails is told of', async (t) => {
  const { environment, said } = notifier(t.testdir())
  for (const other of [{ NOTIFY_SOCKET: '' }, { WATCHDOG_USEC: '' }, { WATCHDOG_PID: '1' }]) {
    const { child, out } = start({ ...environment, ...other })
    await until('it runs', () => out().includes('ready'))
    t.ok((await silence(said)) && said().length === 0, JSON.stringify(other))
    child.kill('SIGKILL')
  }
  const launched = start({ ...environment, WATCHDOG_PID: '1', AZUKARI_LAUNCHED: '1' })
  await until('what a launcher started answers for it', () => said().length > 0)
  launched.child.kill('SIGKILL')
  const without = start({ ...environment, PATH: '/nonexistent' })
  await until('it is told', () => without.out().includes('could not be told'))
  without.child.kill('SIGKILL')
})

t.test('D6: the gateway under its launcher, and a device, say that they are alive', async (t) => {
  const folder = t.testdir()
  const site = join(folder, 'site')
  execFileSync(process.execPath, [cli('gateway'), 'init', '--folder', site])
  const board = join(folder, 'board.mjs')
  writeFileSync(board, `export const board = () => ({ model: 'bare' })`)
  const device = ['--folder', join(folder, 'device'), '--board', board]
  const calls: [string, string[]][] = [
    ['gateway', ['launch', '--folder', site, '--port', '0', '--log', 'error']],
    ['device', ['run', ...device, '--broker', 'mqtt://127.0.0.1:1', '--log', 'silent']],
  ]
  for (const [name, words] of calls) {
    const place = join(folder, `${name}-tool`)
    mkdirSync(place)
    const { environment, said } = notifier(place)
    const child = spawn(process.execPath, [cli(name), ...words], {
      env: environment,
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => {
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch {
        // It has ended.
      }
    })
    let out = ''
    child.stdout.on('data', (piece) => {
      out += piece
    })
    await until(`${name} is ready`, () => out.includes('"ready"'))
    const before = said().length
    await until(`${name} says so`, () => said().length > before + 3)
    const ended = new Promise((done) => child.once('exit', done))
    child.kill('SIGTERM')
    t.equal(await ended, 0, name)
  }
})

const skip = ['systemd-notify', 'socat'].every((tool) => existsSync(`/usr/bin/${tool}`))
  ? false
  : 'no systemd-notify or socat here; npm test installs them where it may'

t.test('D6: systemd-notify itself brings the word to a socket', { skip }, async (t) => {
  // The address of a local socket has room for 107 characters.
  const place = mkdtempSync(join(tmpdir(), 'azukari-'))
  t.teardown(() => rmSync(place, { recursive: true, force: true }))
  const socket = join(place, 'notify')
  const heard = spawn('socat', [`UNIX-RECVFROM:${socket},fork`, 'STDOUT'], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => heard.kill('SIGKILL'))
  let text = ''
  heard.stdout.on('data', (piece) => {
    text += piece
  })
  await until('socat listens', () => existsSync(socket))
  const { child } = start({ ...process.env, NOTIFY_SOCKET: socket, WATCHDOG_USEC: String(withinMs * 1_000) })
  t.teardown(() => child.kill('SIGKILL'))
  await until('the word comes', () => (text.match(/WATCHDOG=1/g)?.length ?? 0) >= 2)
  t.pass(text.slice(0, 40))
})
