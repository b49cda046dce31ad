import { join } from 'node:path'
import t from 'tap'
import { CheckCache, fingerprint, importsOf } from './check-cache.ts'

t.test('D7: what passed is not checked again until its inputs change', (t) => {
  const path = join(t.testdir(), 'cache/checked.json')
  const first = new CheckCache(path)
  const inputs = fingerprint([['a.ts', 'one']])
  t.notOk(first.hasPassed('types', inputs))
  first.pass('types', inputs)
  first.pass('lint gone.ts', inputs)
  first.keep((check) => check !== 'lint gone.ts')
  const second = new CheckCache(path)
  t.ok(second.hasPassed('types', inputs))
  t.notOk(second.hasPassed('types', fingerprint([['a.ts', 'two']])))
  t.notOk(second.hasPassed('lint gone.ts', inputs))
  t.notOk(new CheckCache(path, false).hasPassed('types', inputs), '--all')
  t.not(fingerprint([['a', 'bc']]), fingerprint([['ab', 'c']]), 'names and texts are kept apart')
  t.end()
})

t.test('D7: the dependency rule looks again when an import changes, and only then', (t) => {
  const source = `import { a } from './a.ts'\nimport type { B } from "b"\nconst c = await import('c')\nexport * from './d.ts'\n`
  const changes = ['./a.ts', '"b"', "'c'", './d.ts'].map((name) => source.replace(name, `${name[0]}x${name.slice(1)}`))
  for (const changed of changes) t.not(importsOf(changed), importsOf(source), changed)
  t.not(importsOf(source.replace('import type', 'import')), importsOf(source), 'types are counted apart')
  t.equal(importsOf(`${source}const more = 1\n`), importsOf(source))
  t.end()
})
