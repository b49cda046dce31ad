import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import t from 'tap'
import { benchSite, enrolMany, record, startActGateway } from './act-gateway.ts'
import type { LoadOrder, LoadResult } from './act-load.ts'
import { load } from './load.ts'

t.test('D3 D6: a pace that the machine cannot keep ends in figures, not in refusals', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'azukari-load-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const key = generateKey('ed25519', systemRandom)
  const gateway = await startActGateway(directory, key)
  t.teardown(() => gateway.stop())
  const [count, actsPerDevice] = [24, 200]
  const order: LoadOrder = {
    port: gateway.port,
    mode: 'acts',
    site: benchSite,
    devices: await enrolMany(directory, count),
    gatewayKey: Buffer.from(coseKey(publicOf(key))).toString('hex'),
    contract: record.id,
    bodyBytes: 150,
    actsPerDevice,
    windowActs: 16,
    // All at once: more than a service lets wait.
    pace: 1e9,
  }
  const result = await load<LoadResult>(new URL('./act-load.ts', import.meta.url), order)
  t.equal(result.acts, count * actsPerDevice)
  t.equal(result.p99Ms > result.p50Ms, true)
  t.match(await gateway.records.get('SELECT count(*) AS n FROM records'), { n: count * actsPerDevice })
})
