/** Completion: what shells offer is what the program knows, and its scripts are ones that shells can read. */
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import type { Command, Program } from './command.ts'
import { candidates, completion } from './completion.ts'

const command = (options: Command['options'] = {}): Command => ({
  what: 'Does it.',
  options,
  run: async () => undefined,
})
const program: Program = {
  name: 'shelf-keeper',
  what: 'a shelf',
  manifest: new URL('../../package.json', import.meta.url),
  commands: {
    books: command({ count: { type: 'string', what: 'how many' }, dry: { type: 'boolean', what: 'only say it' } }),
    'books add': command({ title: { type: 'string', what: 'a title', multiple: true } }),
    'card new': command(),
  },
}

t.test('D6: the next word of a command, its options, and nothing where a value is due', (t) => {
  const offered = (...words: string[]) => candidates(program, words)
  t.same(offered(''), ['books', 'card', 'completion'])
  t.same(offered('b'), ['books'])
  t.same(offered('card', ''), ['new'])
  t.same(offered('books', ''), ['add'])
  t.same(offered('books', '--'), ['--count', '--dry', '--help', '--json'])
  t.same(offered('books', '--dry', '--'), ['--count', '--help', '--json'], 'not what was given already')
  t.same(offered('books', 'add', '--title', 'a', '--t'), ['--title'], 'but what may be repeated')
  t.same(offered('books', '--count', ''), [], 'a value')
  t.same(offered('books', '--dry', ''), [], 'no further word of a command after an option')
  t.same(offered('zebra', ''), [])
  t.throws(() => completion(program, ['tcsh']), { code: 'command.invalid' })
  t.throws(() => completion(program, ['bash', 'zsh']), { code: 'command.invalid' })
  for (const shell of ['zsh', 'fish']) t.match(completion(program, [shell]), 'shelf-keeper completion words -- ')
  t.end()
})

t.test('D6: bash reads the script and offers what the program answers', (t) => {
  const folder = t.testdir({ 'completion.bash': completion(program, ['bash']) })
  const fake = join(folder, program.name)
  writeFileSync(fake, '#!/bin/sh\nprintf "%s\\n" "asked $*"\n')
  chmodSync(fake, 0o755)
  const script = `source "$1"; COMP_WORDS=(shelf-keeper books --co); COMP_CWORD=2; _shelf_keeper; echo "$COMPREPLY"; complete -p shelf-keeper`
  const { stdout, stderr, status } = spawnSync('bash', ['-c', script, 'bash', join(folder, 'completion.bash')], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env['PATH']}` },
  })
  t.same({ status, stderr }, { status: 0, stderr: '' })
  t.match(stdout, /^asked completion words -- books --co\ncomplete -o default -F _shelf_keeper shelf-keeper\n$/)
  t.end()
})
