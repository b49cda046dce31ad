import t from 'tap'
import { describe, InternalError, isProblem, Problem } from './problem.ts'
import { catalogue } from './problem-catalogue.ts'
import type { CatalogueEntry } from './problems/entry.ts'

t.test('every entry says what is the matter and what to do, in both languages', (t) => {
  for (const [code, entry] of Object.entries<CatalogueEntry>(catalogue)) {
    t.match(code, /^[a-z]+(\.[a-z0-9]+(-[a-z0-9]+)*)?$/, code)
    t.ok(['no', 'later', 'after-fix'].includes(entry.retry), code)
    for (const text of [entry.en.title, entry.en.todo, entry.ja.title, entry.ja.todo]) t.ok(text.trim(), code)
    t.match(entry.ja.title + entry.ja.todo, /[぀-ヿ一-鿿]/, `${code} in Japanese`)
    t.notMatch(entry.en.title + entry.en.todo, /[぀-ヿ一-鿿]/, `${code} in English`)
    t.match(entry.en.todo, /\.$/, code)
    t.match(entry.ja.todo, /。$/, code)
  }
  t.end()
})

t.test('a problem crosses the wire and keeps its code, detail, retry and data, not its cause or stack', (t) => {
  const problem = new Problem('act.gap', 'want 7', { cause: new Error('inner'), data: { want: 7 } })
  const wire = problem.toWire()
  t.strictSame(wire, { code: 'act.gap', detail: 'want 7', retry: 'later', data: { want: 7 } })
  const back = Problem.fromWire(wire)
  t.ok(isProblem(back, 'act.gap'))
  t.strictSame(back.toWire(), wire)
  t.strictSame(new Problem('internal').toWire(), { code: 'internal', retry: 'later' })
  t.equal((problem.cause as Error).message, 'inner')
  t.equal(problem.message, 'act.gap: want 7')
  t.end()
})

t.test("a newer sender's code and retry are kept, and described generically", (t) => {
  const problem = Problem.fromWire({ code: 'future.thing', retry: 'after-fix' })
  t.strictSame(problem.toWire(), { code: 'future.thing', retry: 'after-fix' })
  t.strictSame(describe(problem.code, 'en'), catalogue.internal.en)
  t.equal(Problem.fromWire({ code: 'act.gap', retry: 'whatever' }).retry, 'later')
  for (const code of ['constructor', '__proto__', 'toString'])
    t.strictSame(describe(code, 'ja'), catalogue.internal.ja, 'names of Object.prototype are no codes')
  t.equal(Problem.fromWire({ code: 'x'.repeat(999), retry: 'no', detail: 'y'.repeat(9999) }).code.length, 64)
  t.end()
})

t.test('isProblem tells problems from other errors and by code', (t) => {
  t.notOk(isProblem(new Error('x')))
  t.notOk(isProblem(new InternalError('x')))
  t.notOk(isProblem({ code: 'internal' }))
  t.ok(isProblem(new Problem('internal')))
  t.notOk(isProblem(new Problem('internal'), 'act.gap'))
  t.equal(describe('card.two', 'en').title, 'There are two cards at the reader')
  t.end()
})
