/** Another implementation, made from the documents alone (docs/examples/enrol.mjs), against a running gateway (issue 2, D3). */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { quietLog } from '../testkit/log.ts'
import { mosquitto, siteOverMosquitto } from './mosquitto.ts'
import { SimulatedSite } from './site.ts'

const example = fileURLToPath(new URL('../../../docs/examples/enrol.mjs', import.meta.url))

async function run(
  url: string,
  site: string,
  claim: string,
): Promise<{ state?: Record<string, unknown>; said?: string }> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [example, url, site, claim], { timeout: 600_000 })
    return { state: JSON.parse(stdout) }
  } catch (error) {
    return { said: String((error as { stderr?: string }).stderr ?? error) }
  }
}

t.test('D3: the example uses nothing of ours', async (t) => {
  const source = await readFile(example, 'utf8')
  const imported = [...source.matchAll(/from '([^']+)'/g)].map(([, name]) => name)
  t.same(imported, ['node:crypto', 'node:net', 'cborg'])
})

t.test('D1 D3: it enrols, greets and reads its state over plain TCP', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-interop-'))
  const site = new SimulatedSite({ folder, servers: [], boards: [], log: quietLog })
  t.teardown(async () => {
    await site.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await site.start()
  const claim = await site.newClaim('JP-27')
  const { state, said } = await run(site.broker, 'site', claim)
  t.match(state, { model: 'enrol.mjs', version: '1', epoch: 1, region: 'JP-27' }, said ?? '')
  t.match(await run(site.broker, 'site', claim), { said: /claim\.used/ }, 'a claim works once')
  const wrong = `${(await site.newClaim('JP-27')).split('.')[0]}.${'a'.repeat(32)}`
  t.match(await run(site.broker, 'site', wrong), { said: /claim\.wrong/ }, 'a wrong secret is refused')
  t.match(await run(site.broker, 'site', `nobody.${'a'.repeat(32)}`), { said: /claim\.(unknown|wrong)/ })
  t.match(await run(site.broker, 'elsewhere', claim), { said: /refused the connection/ }, 'a token for another site')
})

t.test(
  'D3: and over Mosquitto',
  { skip: mosquitto ? false : 'no mosquitto here; npm test installs it where it may' },
  async (t) => {
    const { site, broker } = await siteOverMosquitto(t, { servers: [], boards: [] })
    const { state, said } = await run(broker.devicesUrl, 'site', await site.newClaim('JP-27'))
    t.match(state, { model: 'enrol.mjs', epoch: 1 }, said ?? '')
  },
)
