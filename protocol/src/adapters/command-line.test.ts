/** The command line of every program: help that can be read, words that are off, exit codes, JSON. */
import t from 'tap'
import type { Command } from './command.ts'
import { integer, runCommandLine } from './command-line.ts'

const command = (what: string, more: Partial<Command> = {}): Command => ({
  what,
  options: {},
  run: async () => ({ json: {}, text: '' }),
  ...more,
})
const program = {
  name: 'shelf',
  what: 'a shelf',
  manifest: new URL('../../package.json', import.meta.url),
  commands: {
    books: command('Lists the books.', {
      options: { count: { type: 'string', what: 'how many', default: '5' } },
      run: async (values) => ({ json: { count: integer(values, 'count', 1, 9) }, text: 'books' }),
    }),
    'books add': command('Adds one.', { options: { title: { type: 'string', what: 'its title', required: true } } }),
    'card new': command('Makes a card.'),
    broken: command('Has a bug.', { run: async () => Promise.reject(new Error('of ours')) }),
  },
}

t.test('a call is answered in words or JSON, and its exit code says how it went', async (t) => {
  async function call(...words: string[]) {
    const out = t.capture(console, 'log')
    const err = t.capture(console, 'error')
    const exit = await runCommandLine(program, words, {})
    const said = (results: { args: unknown[] }[]) => results.map(({ args }) => args.join(' ')).join('\n')
    const answer = { exit, out: said(out()), err: said(err()) }
    out.restore()
    err.restore()
    return answer
  }
  const all = await call('--help')
  t.equal(all.exit, 0)
  for (const name of Object.keys(program.commands)) t.match(all.out, `  shelf ${name}`)
  t.notMatch(all.out, '--count', 'the options of one command are in its own help')
  t.same(await call(), { ...all, exit: 2 }, 'without words: the same, and it did nothing')

  const one = await call('books', '--help')
  t.match(one, { exit: 0, out: /--count … {2}how many \(5\)/ })
  t.match(one.out, 'Also: books add')
  t.notMatch(one.out, 'shelf card new')
  t.match((await call('card', '--help')).out, 'shelf card new')
  t.notMatch((await call('card', '--help')).out, 'shelf books', 'only those that begin so')

  t.match(await call('boks'), { exit: 2, out: '', err: /no command “boks”; there is books/ })
  t.match(await call('card'), { exit: 2, err: /there is card new/ })
  t.match(await call('card', 'nwe', '--x', 'y'), { exit: 2, err: /“card nwe”; there is card new/ })
  t.match(await call('zebra'), { exit: 2, err: /shelf --help lists them/ })
  const problem = (answer: { exit: number; out: string }) => [answer.exit, JSON.parse(answer.out).problem?.code]
  t.same(problem(await call('zebra', '--json')), [2, 'command.invalid'])
  t.same(problem(await call('books', 'add', '--json')), [2, 'command.invalid'], 'what is needed is missing')
  t.same(problem(await call('books', '--count', 'ten', '--json')), [2, 'command.invalid'])
  t.same(problem(await call('books', '--colour', 'red', '--json')), [2, 'command.invalid'])
  t.same(problem(await call('broken', '--json')), [1, 'internal'])
  t.same(await call('books', '--count', '3', '--json'), { exit: 0, out: '{\n  "count": 3\n}', err: '' })
})
