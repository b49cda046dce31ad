/** The doors of packages: what is found, and that the project's own are in order (`npm run check`). */
import t from 'tap'
import { doorProblems } from './doors.ts'

const root = `${import.meta.dirname}/..`
/** In two parts, lest this file is found itself. */
const inside = ['gateway', 'src'].join('/')
const manifest = (doors: Record<string, string>) => JSON.stringify({ exports: doors })

t.test('a pattern, a door that nobody uses, one that leads nowhere, a path around', async (t) => {
  const sources = (doors: Record<string, string>) =>
    new Map([
      ['protocol/package.json', manifest(doors)],
      ['gateway/src/a.ts', "import { Problem } from '@azukari/protocol/problem'"],
    ])
  const problems = (doors: Record<string, string>) => doorProblems(root, ['protocol'], sources(doors))
  t.same(problems({ './problem': './src/problem.ts' }), [])
  t.match(problems({ './problem': './src/problem.ts', './*': './src/*.ts' }), [/name each entry/])
  t.match(problems({ './problem': './src/problem.ts', './money': './src/money.ts' }), [/\.\/money, which nobody/])
  t.match(problems({ './problem': './src/no-such.ts' }), [/leads nowhere/])
  t.match(doorProblems(root, [], new Map([['scripts/a.ts', `import { b } from '../${inside}/b.ts'`]])), [
    /scripts\/a\.ts goes around the doors of @azukari\/gateway/,
  ])
  t.same(doorProblems(root, [], new Map([['gateway/src/a.ts', `import('../../${inside}/b.ts')`]])), [])
})
