/** Data servers on hosts of their own (D4, D6): they join with a claim and shipped commands, and stay in by themselves. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@azukari/protocol/adapters/free-port'
import t from 'tap'
import { gatewayCommand, type Running, startGatewayCommand } from './processes.ts'
import { until } from './wait.ts'

const root = mkdtempSync(join(tmpdir(), 'azukari-hosts-'))
const running: Running[] = []
t.teardown(async () => {
  for (const process of running.reverse()) await process.stop()
  rmSync(root, { recursive: true, force: true })
})

const folder = join(root, 'gateway')
const at = ['--folder', folder, '--site', 'tokyo']
const places = { ishikari: ['JP-01', '43.17', '141.32'], naha: ['JP-47', '26.21', '127.68'] } as const

async function start(name: string, args: string[]): Promise<Running> {
  const process = await startGatewayCommand(args, { logFile: join(root, `${name}.log`), limitMs: 60_000 })
  running.push(process)
  return process
}

async function claimOf(id: keyof typeof places): Promise<string> {
  const [region, latitude, longitude] = places[id]
  const where = ['--region', region, '--latitude', latitude, '--longitude', longitude]
  const rate = ['--rate', 'earthquake=0.01,0.6,J-SHIS 2024']
  return (await gatewayCommand<{ claim: string }>(['servers', 'add', id, ...at, ...where, ...rate])).claim
}

const listed = () =>
  JSON.parse(readFileSync(join(folder, 'servers.json'), 'utf8')) as { id: string; url: string; rates: unknown[] }[]

t.test('D4 D6: data servers join from folders of their own, and no key of the authority goes there', async (t) => {
  await gatewayCommand(['init', ...at])
  const gateway = await start('gateway', ['run', ...at, '--port', '0', '--peer-port', '0', '--health-port', '0'])
  const peers = `https://127.0.0.1:${gateway.fact['peerPort']}`
  const join_ = (host: string, claim: string, port: number) =>
    gatewayCommand<{ id: string; site: string }>([
      'data-server',
      'enrol',
      '--folder',
      join(root, host),
      '--gateway',
      peers,
      '--claim',
      claim,
      '--url',
      `https://127.0.0.1:${port}`,
      '--host',
      '127.0.0.1',
    ])
  const claim = await claimOf('ishikari')

  await t.rejects(join_('elsewhere', `${claim.slice(0, -4)}aaaa`, 9), { code: 'claim.wrong' })
  await t.rejects(join_('elsewhere', 'nobody.aaaaaaaaaaaaaaaa', 9), { code: 'claim.unknown' })
  t.notOk(existsSync(join(root, 'elsewhere/tls')), 'nothing is kept of a site that did not let it in')
  const [port, moved] = [await freePort(), await freePort()]
  t.match(await join_('ishikari', claim, port), { id: 'ishikari', site: 'tokyo' })
  await join_('ishikari', claim, port)
  t.equal(listed().length, 1, 'begun again, as after a lost answer, it is the same server')
  await t.rejects(join_('elsewhere', claim, port), { code: 'claim.used' })
  await t.rejects(claimOf('ishikari'), { code: 'config.invalid' })

  const tls = readdirSync(join(root, 'ishikari/tls')).sort()
  t.same(tls, ['authority.pem', 'ishikari.pem'])
  await start('ishikari', ['data-server', '--folder', join(root, 'ishikari')])
  await join_('naha', await claimOf('naha'), await freePort())
  const naha = await start('naha', ['data-server', '--folder', join(root, 'naha')])
  const servers = async () =>
    gatewayCommand<{ server: string; state: string; awaySinceMs: number | null }[]>(['servers', '--folder', folder])
  await until('placement knows both', async () => (await servers()).length === 2)
  t.match(
    listed().find(({ id }) => id === 'naha'),
    { url: naha.fact['url'], rates: [{ peril: 'earthquake', source: 'J-SHIS 2024' }] },
  )

  t.test('D6: an address that changed is told with the next certificate', async (t) => {
    const file = join(root, 'ishikari/data-server.json')
    const before = readFileSync(join(root, 'ishikari/tls/ishikari.pem'), 'utf8')
    await running.splice(1, 1)[0]!.stop()
    const own = JSON.parse(readFileSync(file, 'utf8')) as { url: string; port: number }
    writeFileSync(file, JSON.stringify({ ...own, port: moved, url: `https://127.0.0.1:${moved}` }))
    await start('ishikari', ['data-server', '--folder', join(root, 'ishikari')])
    await until('the new address', () => listed().some(({ url }) => url.endsWith(`:${moved}`)))
    await until('the new certificate', () => readFileSync(join(root, 'ishikari/tls/ishikari.pem'), 'utf8') !== before)
    t.match(readFileSync(join(root, 'ishikari/tls/authority.pem'), 'utf8'), /BEGIN CERTIFICATE/)
  })

  t.test('S9 D6: a server that does not answer is seen within a minute', async (t) => {
    const at = running.findIndex(({ fact }) => fact['id'] === 'naha')
    await running.splice(at, 1)[0]!.kill()
    const health = `http://127.0.0.1:${gateway.fact['healthPort']}`
    const facts = async () => (await (await fetch(`${health}/healthz`)).json()) as { serversAway: { server: string }[] }
    t.same((await facts()).serversAway, [])
    await until('it is missed', async () => (await facts()).serversAway[0]?.server === 'naha', 120_000)
    t.match(await (await fetch(`${health}/metrics`)).text(), /azukari_data_server_up\{server="naha"\} 0\n/)
    const listed = await servers()
    t.same(
      listed.map(({ server, awaySinceMs }) => [server, awaySinceMs === null]),
      [
        ['ishikari', true],
        ['naha', false],
      ],
    )
  })

  t.test('D6: the authority of another site is never replaced', async (t) => {
    const other = join(root, 'other')
    await gatewayCommand(['init', '--folder', other, '--site', 'osaka'])
    const authority = readFileSync(join(other, 'tls/authority.pem'), 'utf8')
    rmSync(join(other, 'tls/authority.key'))
    await t.rejects(join_('other', await claimFor('kobe'), await freePort()), {
      code: 'certificate.invalid',
    })
    t.equal(readFileSync(join(other, 'tls/authority.pem'), 'utf8'), authority)
  })
})

async function claimFor(id: string): Promise<string> {
  const where = ['--region', 'JP-28', '--latitude', '34.7', '--longitude', '135.2']
  return (await gatewayCommand<{ claim: string }>(['servers', 'add', id, ...at, ...where])).claim
}
