/** Operators' words that are off: a mistyped folder, name or file is told in words, and nothing is made. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import t, { type Test } from 'tap'
import { Stores } from '../adapters/stores.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { Budgets } from '../budgets/budgets.ts'
import { throwUnlisted } from '../service/unlisted.ts'
import { placement } from '../services/placement/module.ts'
import { SiteFolder } from '../site-folder.ts'
import { silent } from '../test-contracts.ts'

const cli = join(import.meta.dirname, '../cli.ts')
const run = (...words: string[]) => spawnSync(process.execPath, [cli, ...words], { encoding: 'utf8', timeout: 600_000 })

/** Makes a site, runs its gateway and signs its first operator in, whose session lies in that folder, too. */
async function runningSite(t: Test, folder: string): Promise<string> {
  const site = join(folder, 'site')
  const made = run('init', '--folder', site, '--json')
  t.equal(made.status, 0, made.stderr)
  const gateway = spawn(process.execPath, [cli, 'run', '--folder', site, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, AZUKARI_LOG: 'error' },
  })
  const over = new Promise((resolve) => gateway.once('close', resolve))
  t.teardown(async () => {
    gateway.kill()
    await over
  })
  await Promise.race([new Promise((begun) => gateway.stdout.once('data', begun)), over])
  process.env['XDG_STATE_HOME'] = join(folder, 'state')
  const password = join(folder, 'password')
  writeFileSync(password, JSON.parse(made.stdout).operator.password)
  t.equal(run('login', 'admin', '--password-file', password, '--folder', site).status, 0)
  return site
}

/** As after a first start. */
async function openedOnce(site: string): Promise<void> {
  const nobody = async () => {
    throw new Error('not asked')
  }
  const stores = Stores.of(site)
  const open = await placement.open({
    folder: new SiteFolder(site, 'site', systemPorts),
    stores,
    ports: systemPorts,
    log: silent,
    unlisted: throwUnlisted,
    passphrase: undefined,
    budgets: new Budgets(),
    buffer: { describe: nobody, read: nobody, release: nobody },
    call: nobody,
    peers: () => undefined,
    members: nobody,
    signers: () => () => undefined,
  })
  await open.service.stop()
  await open.close()
  await stores.close()
}

const running = runningSite(t, t.testdir())

t.test('D6: a folder that is no site is told, and none is made', async (t) => {
  const folder = t.testdir({ file: 'x' })
  const none = join(folder, 'none')
  for (const words of [['claim', 'new', '--region', 'JP-13'], ['device', 'list'], ['release', 'key'], ['moves']]) {
    const { status, stderr } = run(...words, '--folder', none)
    t.equal(status, 1, words.join(' '))
    t.match(stderr, /is not there; name the site’s folder.*azukari-gateway init/)
    t.notMatch(stderr, /\n {4}at /, 'without a stack')
  }
  t.notOk(existsSync(none), 'nothing was made')
  t.match(run('init', '--folder', join(folder, 'file/x')).stderr, /cannot be made: .*file is no folder/)
  t.match(run('device', 'list', '--folder', join(folder, 'file')).stderr, /file is no folder/)
  t.match(run('init', '--folder', none, '--site', 'Bad Name').stderr, /--site Bad Name: a–z/)
  t.match(run('data-server', '--folder', folder, '--id', 'x y').stderr, /--id x y: a–z/)
  t.match(run('claim', 'new', '--folder', folder, '--region', 'JP-13').stderr, /Nothing runs on this site/)
  t.notOk(existsSync(none))
})

t.test('D6: a file that is not there, or is none of ours, is told without a stack', async (t) => {
  const folder = t.testdir({ 'card.json': 'no JSON' })
  const site = await running
  const absent = run('member', 'add', join(folder, 'none.json'), '--folder', site)
  t.equal(absent.status, 1)
  t.match(absent.stderr, /none\.json: there is no such file/)
  t.notMatch(absent.stderr, /\n {4}at |inside the system/)
  t.match(
    run('member', 'add', join(folder, 'card.json'), '--folder', site).stderr,
    /card\.json is no registration file/,
  )
  writeFileSync(join(folder, 'list.json'), 'null')
  t.match(
    run('member', 'add', join(folder, 'list.json'), '--folder', site).stderr,
    /list\.json is no registration file/,
  )
  t.match(
    run('servers', 'contain', 'nobody', '--reason', 'x', '--folder', site).stderr,
    /there is no data server “nobody”/,
  )
})

t.test('D6: a port in use is told without a stack, and nothing half-started stays behind', async (t) => {
  const site = join(t.testdir(), 'site')
  t.equal(run('init', '--folder', site).status, 0)
  const other = createServer()
  t.teardown(() => other.close())
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const address = other.address()
  const port = String(typeof address === 'object' && address?.port)
  const gateway = 'https://127.0.0.1:1'
  for (const words of [
    ['run', '--port', port],
    ['run', '--port', '0', '--health-port', port],
    ['data-server', '--id', 'x', '--port', port],
    ['placement', '--port', port, '--gateway', gateway],
  ]) {
    const { status, stderr } = run(...words, '--folder', site)
    t.equal(status, 1, words.join(' '))
    t.match(stderr, port)
    t.notMatch(stderr, /\n {4}at |inside the system/)
  }
})

t.test('D6: with nothing running, what reads works on the closed folder and the rest says what to do', async (t) => {
  const folder = t.testdir({ 'card.json': '{}' })
  const site = join(folder, 'site')
  t.equal(run('init', '--folder', site).status, 0)
  const fresh = run('moves', '--folder', site)
  t.match(fresh.stderr, /has no placement yet: start the gateway once/)
  t.notOk(existsSync(join(site, 'placement/placement.db')), 'nothing was made')
  await openedOnce(site)
  for (const words of ['moves', 'risk']) {
    const { status, stderr, stdout } = run(...words.split(' '), '--folder', site, '--json')
    t.equal(status, 0, `${words} ${stderr}`)
    t.ok(JSON.parse(stdout), words)
  }
  for (const words of ['moves pause', 'servers contain x --reason y'])
    t.match(
      run(...words.split(' '), '--folder', site).stderr,
      /Nothing runs on this site.*\n.*azukari-gateway run/,
      words,
    )
  t.match(run('member', 'add', join(folder, 'card.json'), '--folder', site).stderr, /Nothing runs on this site/)
  using _ = holdFolder(join(site, 'placement.lock'))
  t.match(run('moves', '--folder', site).stderr, /placement\.lock/, 'not beside a placement that runs apart')
})

t.test('S5: who pushes a hazard is told what becomes of it', async (t) => {
  const folder = t.testdir({ 'no-feed.xml': 'x' })
  const site = await running
  const alert = (id: string, years: number) => {
    const at = (hours: number) => new Date(Date.now() + years * 365 * 86_400_000 + hours * 3_600_000).toISOString()
    const file = join(folder, `${id}.xml`)
    writeFileSync(
      file,
      `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>${id}</identifier><sender>x@example.org</sender>
      <sent>${at(-1)}</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info><category>Met</category>
      <event>Flood</event><urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>
      <onset>${at(0)}</onset><expires>${at(9)}</expires><area><areaDesc>x</areaDesc>
      <polygon>36,138 36,139 37,139 37,138 36,138</polygon></area></info></alert>`,
    )
    return run('hazard', 'push', file, '--folder', site)
  }
  const now = alert('now', 0)
  t.equal(now.status, 0, now.stderr)
  t.match(now.stdout, /now: Flood, until .*\nTaken\. azukari-gateway risk/)
  t.match(alert('old', -2).stdout, /old: Flood, over since .*: it changes nothing/)
  t.equal(run('hazard', 'push', join(folder, 'no-feed.xml'), '--folder', site).status, 1)
})

t.test(
  'D6: a folder, a dangling link, another encoding or another format in place of a file is told as what it is',
  async (t) => {
    const folder = t.testdir({ 'empty.json': '{}', there: {} })
    const site = await running
    symlinkSync('nowhere', join(folder, 'dangling'))
    writeFileSync(join(folder, 'utf16'), Buffer.from('\ufeff<?xml version="1.0"?><Document/>', 'utf16le'))
    const mt940 = ':20:STARTUMS\n:25:1234/5678\n:28C:1/1\n:60F:C260901JPY0,\n:61:2609010901C100,NTRF\n'
    writeFileSync(join(folder, 'mt940'), mt940)
    const told = (command: string, name: string, words: RegExp) => {
      const { status, stderr } = run(...command.split(' '), join(folder, name), '--folder', site)
      t.equal(status, 1, `${command} ${name}`)
      t.match(stderr, words)
      t.notMatch(stderr, /\n {4}at |inside the system/, 'without a stack')
    }
    for (const command of ['member add', 'hazard push', 'settlement bank']) {
      told(command, 'there', /there is a folder; a file is needed/)
      told(command, 'dangling', /dangling is a link to nowhere, which is not there/)
      told(command, 'utf16', /utf16 is written in UTF-16; save it as UTF-8/)
    }
    told('settlement bank', 'mt940', /mt940 is a SWIFT MT940 statement, which is not taken in/)
    told('member add', 'empty.json', /it has no memberId, number, name, level/)
  },
)
