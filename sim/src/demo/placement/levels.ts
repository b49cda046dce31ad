/** S9, S16: a member's level and home region change on the running site; data follows, and the card is told. */
import { gatewayCommand } from '../../site/processes.ts'
import { until } from '../../site/wait.ts'
import type { DemoPart, PlacementDemo } from './stage.ts'

export const levelsPart: DemoPart = {
  ids: ['S9', 'S16'],
  async run(demo) {
    const [member] = await demo.site.rows<{ number: string; level: number; home: string }>(
      'SELECT number, level, home FROM members',
    )
    // Where a second copy lies, and must not when it is home; in Japan, which has servers enough for all that follows.
    const [home = { region: 'JP-20', n: 0 }] = await demo.site.rows<{ region: string; n: number }>(
      `SELECT s.region, count(*) AS n FROM replicas AS r JOIN servers AS s ON s.id = r.server
       WHERE r.slot = 2 AND s.region LIKE 'JP-%' GROUP BY s.region ORDER BY n DESC LIMIT 1`,
    )
    demo.tell(`Hanako buys the highest level and moves to ${home.region}, where ${home.n} second copies lie`)
    await gatewayCommand([
      'member',
      'change',
      member!.number,
      '--folder',
      demo.site.folder,
      '--level',
      '3',
      '--home',
      home.region,
    ])
    const wrong = () => secondCopiesIn(demo, home.region)
    await until(
      'second copies to leave the new home',
      async () => ((await wrong()) === 0 ? true : undefined),
      90_000,
    ).catch(() => undefined)
    demo.checks.add(
      'S9',
      'when the home region changed, no second copy stayed within it',
      (await wrong()) === 0,
      `${member!.home} to ${home.region}: ${home.n} there before, ${await wrong()} after`,
    )
    await demo.insert(demo.camera)
    const told = await until(
      'the card to show the new level',
      () => {
        const facts = demo.camera.runtime.presence?.card?.facts.level
        return facts?.level === 3 && facts.home === home.region ? facts : undefined
      },
      30_000,
    ).catch(() => undefined)
    const kept = await demo.keep('level-3.bin', new Uint8Array(5_000).fill(3))
    const classes = await demo.site.rows<{ level: number }>(
      'SELECT DISTINCT c.level FROM saves AS s JOIN classes AS c ON c.id = s.class WHERE s.object = ?',
      kept.save.object,
    )
    demo.checks.add(
      'S16',
      'a higher level reaches the card at its next session, and what is kept from then on has that level’s places',
      told !== undefined && classes.length === 1 && classes[0]!.level === 3,
      `card ${told ? `${told.level}, ${told.home}` : 'not told'}; placed as level ${classes.map(({ level }) => level).join(', ')}`,
    )
  },
}

async function secondCopiesIn(demo: PlacementDemo, region: string): Promise<number> {
  return (
    await demo.site.rows<{ n: number }>(
      `SELECT count(*) AS n FROM replicas AS r JOIN servers AS s ON s.id = r.server JOIN saves AS o
     ON o.object = r.object AND o.version = r.version WHERE r.slot = 2 AND s.region = ? AND o.state = 'kept'`,
      region,
    )
  )[0]!.n
}
