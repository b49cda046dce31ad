import t from 'tap'
import { PlacementFixture } from '../../testkit/placement/fixture.ts'
import type { FixturePlace } from '../../testkit/placement/risks.ts'

const dayMs = 86_400_000
const places: FixturePlace[] = [
  { id: 'sapporo', region: 'JP-01', latitude: 43.06, longitude: 141.35, quake: 0.02 },
  { id: 'fukuoka', region: 'JP-40', latitude: 33.61, longitude: 130.42, quake: 0.02 },
  { id: 'singapore', region: 'SG', latitude: 1.35, longitude: 103.82, quake: 0.02 },
]

t.test('S3, S12: what no card came for within the life of its offer is given up, with its reason', async (t) => {
  const fixture = await PlacementFixture.make({ seed: 3, places })
  const member = await fixture.addMember(2, 'JP-13')
  const object = await fixture.offer(member, fixture.random.bytes(1_000), 'JP-13', 'cam', { level: 3 })
  const lifeAfter = async (days: number) => {
    fixture.crash()
    await fixture.medium.sql.run('UPDATE saves SET at = at - ?', days * dayMs)
    await fixture.boot()
    await fixture.run(60_000)
  }
  await lifeAfter(29)
  t.equal(await fixture.stateOf(object), 'buffered', 'until then it waits')
  await lifeAfter(2)
  t.equal(await fixture.stateOf(object), 'refused')
  t.match(await fixture.medium.sql.all('SELECT problem, held FROM saves'), [{ problem: 'level.unproven', held: null }])
  t.match(await fixture.medium.sql.all('SELECT used FROM servers'), [{ used: 0 }, { used: 0 }, { used: 0 }])
  await fixture.stop()
})
