import t from 'tap'
import { bell, ringer } from './test-toys.ts'
import { runWhole } from './whole.ts'

t.test(
  'D4 D5: services that the list alone names run by themselves, inside and apart, die, and lose no act',
  async (t) => {
    const layouts = new Set<boolean>()
    let deaths = 0
    for (let seed = 1; seed <= 6; seed++)
      await runWhole({
        seed,
        hours: 0.7,
        services: import.meta.resolve('./test-toys.ts'),
        atEnd: async ({ services }) => {
          const rings = await services.database(ringer).sql.all<{ n: number }>('SELECT n FROM rings ORDER BY n')
          const strikes = await services.database(bell).sql.all<{ n: number }>('SELECT n FROM strikes ORDER BY at')
          t.ok(rings.length > 30, `it rang ${rings.length} times`)
          t.same(strikes, rings, 'each ring struck once, in order')
          layouts.add(services.isApart('ringer'))
          deaths += services.machines.filter(({ name }) => name === 'ringer' || name === 'bell').length
        },
      })
    t.equal(layouts.size, 2, 'both inside the gateway and apart')
    t.ok(deaths > 0, 'on machines of their own')
  },
)
