import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openDatabase } from '../adapters/database.ts'
import { gatewayMigrations } from '../registry/tables.ts'
import { migrate } from '../storage/migrate.ts'
import { keepParts, partsForPeople, partsOfDevices, sameParts } from './parts.ts'

t.test('D6: how parts are is kept per device, and told with since when', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-parts-'))
  const database = openDatabase(join(folder, 'gateway.db'))
  t.teardown(async () => {
    await database.close()
    rmSync(folder, { recursive: true, force: true })
  })
  await migrate(database, [gatewayMigrations], 0)
  const sound = [
    { part: 'reader', state: 'present', sinceMs: 5 },
    { part: 'camera', state: 'unknown' },
  ]
  const wrong = [
    { part: 'reader', state: 'absent', detail: 'reader.absent', sinceMs: Date.UTC(2026, 0, 2, 3, 4) },
    { part: 'printer', state: 'out-of-media' },
  ]
  await keepParts(database, 'one', sound, 1)
  await keepParts(database, 'two', sound, 1)
  await keepParts(database, 'one', wrong, 2)
  const held = await partsOfDevices(database)
  t.same(held.get('one'), { atMs: 2, parts: wrong })
  t.same(held.get('two'), { atMs: 1, parts: sound })
  t.equal(
    partsForPeople(held.get('one')?.parts),
    'reader absent since 2026-01-02T03:04Z (reader.absent), printer out-of-media',
  )
  t.equal(partsForPeople(sound), 'parts ok')
  t.equal(partsForPeople([{ part: 'camera', state: 'attached' }]), 'parts ok', 'a device of the release before')
  t.equal(partsForPeople(undefined), 'no report yet')
  t.ok(sameParts(sound, [{ ...sound[0]!, sinceMs: 9 }, sound[1]!]), 'what is reckoned anew at each start is no news')
  t.notOk(sameParts(sound, wrong))
  t.end()
})
