/**
 * The conformance suites over hardware maps (D2, S17): by default the simulator's and the protocol stack's; a real
 * board's with AZUKARI_HARDWARE_MAP=FILE.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildPart } from '@azukari/boards/definitions'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import t from 'tap'
import { quietLog } from '../testkit/log.ts'
import { loadMap, mapsFolder } from './hardware-map.ts'
import { simulatedParts } from './rigs/simulated.ts'
import { startRig } from './rigs.ts'

t.setTimeout(process.env['AZUKARI_HARDWARE_MAP'] ? 3_600_000 : 300_000)
const directory = await mkdtemp(join(tmpdir(), 'azukari-map-'))
t.teardown(() => rm(directory, { recursive: true, force: true }))
const ports = {
  clock: systemClock,
  files: systemFiles(),
  random: systemRandom,
  log: quietLog,
  directory,
  makers: { simulated: (kind: keyof typeof simulatedParts) => simulatedParts[kind]() },
}
const own = process.env['AZUKARI_HARDWARE_MAP']
const paths = own ? [own] : ['simulator.json', 'protocol-stack.json'].map((name) => new URL(name, mapsFolder))

for (const { board, from, parts } of await Promise.all(paths.map((path) => loadMap(path))))
  for (const { kind, name, rig, definition } of parts)
    t.test(`D2 S17: ${board.model}: ${name} through ${definition.driver}`, async (t) => {
      const far = await startRig(rig, kind)
      t.teardown(() => far.stop())
      await far.run(t, () => buildPart(kind, name, { ...definition, ...far.options }, { ...ports, from }))
    })

t.test('D2: a map that is wrong says where', async (t) => {
  await t.rejects(loadMap(join(directory, 'none.json')), { code: 'config.invalid' })
  await t.rejects(startRig('magician', 'camera'), {
    code: 'config.invalid',
    detail: /no rig magician; there are person/,
  })
})
