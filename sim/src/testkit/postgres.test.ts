import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import { postgresPrograms, startPostgres } from './postgres.ts'

const programs = postgresPrograms()
const skip = programs ? false : 'no PostgreSQL here; npm test installs it where it may'
const root = resolve(import.meta.dirname, '../../..')

const ask = (url: string, sql: string) =>
  execFileSync(join(programs!, 'psql'), [url, '-AtX', '-c', sql], { encoding: 'utf8', stdio: 'pipe' }).trim()

t.test(
  'D4: a cluster for tests keeps what was committed through a crash, and leaves nothing behind',
  { skip },
  async (t) => {
    const postgres = await startPostgres({ settings: ["work_mem = '5MB'"] })
    t.equal(ask(postgres.url, 'show work_mem'), '5MB')
    t.equal(ask(postgres.url, "select current_setting('fsync')"), 'off')
    ask(postgres.url, 'create table kept (n int); insert into kept values (7)')
    const first = postgres.pid
    await postgres.kill('SIGKILL')
    t.throws(() => ask(postgres.url, 'select 1'), 'nobody answers between')
    await postgres.start()
    t.not(postgres.pid, first)
    t.equal(ask(postgres.url, 'select n from kept'), '7')
    await postgres.kill()
    await postgres[Symbol.asyncDispose]()
    t.notOk(existsSync(postgres.socketFolder), 'its folder is gone')
  },
)

t.test('D4: the command gets a URL and gives its exit code', { skip }, async (t) => {
  const command = ['scripts/postgres.ts', 'run', '--durable', '--', 'sh', '-c']
  const { AZUKARI_TEST_POSTGRES: _, ...env } = process.env
  const query = `${join(programs!, 'psql')} "$AZUKARI_TEST_POSTGRES" -AtX -c "show fsync"; exit 9`
  const child = spawn(process.execPath, [...command, query], { cwd: root, env })
  let said = ''
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString()
  })
  const [code] = await once(child, 'close')
  t.equal(code, 9)
  t.equal(said.trim(), 'on')
})

t.test('D4: the server ends with who started it, killed or not', { skip }, async (t) => {
  const source = `
    import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, 'postgres.ts'))}
    const { pid, url, socketFolder } = await startPostgres()
    console.log(JSON.stringify({ pid, url, socketFolder }))
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [text] = await once(child.stdout, 'data')
  const { pid, url, socketFolder } = JSON.parse(String(text))
  t.teardown(() => rmSync(dirname(socketFolder), { recursive: true, force: true }))
  t.equal(ask(url, 'select 1'), '1')
  child.kill('SIGKILL')
  await once(child, 'exit')
  while (isRunning(pid)) await new Promise((done) => setTimeout(done, 20))
  t.throws(() => ask(url, 'select 1'))
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
