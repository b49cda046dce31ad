/** What the documents name as the proof of a requirement is there. */
import { globSync, readFileSync } from 'node:fs'
import { matchesGlob, resolve } from 'node:path'
import t from 'tap'

const root = resolve(import.meta.dirname, '..')
const documents = ['docs/traceability.md', 'docs/journeys.md', 'docs/threat-model.md', 'CONTRIBUTING.md']
const tests = globSync('{protocol,device,boards,gateway,sim,scripts}/**/*.test.ts', {
  cwd: root,
  exclude: ['**/node_modules/**', '**/dist/**'],
})

/** The names of tests in a document: `a/b.test.ts`, `b.test.ts`, `a/{b,c}.test.ts`. */
function namedTests(text: string): string[] {
  return [...text.matchAll(/`([^`\s]*\.test\.ts)`/g)].flatMap(([, name]) => {
    const [, before, choices, after] = /^(.*)\{(.*)\}(.*)$/.exec(name!) ?? []
    return choices ? choices.split(',').map((choice) => `${before}${choice}${after}`) : [name!]
  })
}

t.test('every test that the documents name is there', async (t) => {
  t.same(namedTests('`a/{b,c.system}.test.ts`, `d.test.ts`'), ['a/b.test.ts', 'a/c.system.test.ts', 'd.test.ts'])
  for (const document of documents) {
    const named = namedTests(readFileSync(resolve(root, document), 'utf8'))
    t.ok(named.length > 0, `${document} names tests`)
    const absent = named.filter((name) => !tests.some((test) => test === name || matchesGlob(test, `**/${name}`)))
    t.same(absent, [], document)
  }
})
