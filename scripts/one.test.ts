/** One test by its name, and which tests a change asks for. */
import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { testsOf } from './watch-tests.ts'

const root = resolve(import.meta.dirname, '..')
const { TAP: _, TAP_CHILD_ID: __, NODE_OPTIONS: ___, ...env } = process.env
const one = (...words: string[]) =>
  spawnSync(process.execPath, ['scripts/one.ts', ...words], { cwd: root, encoding: 'utf8', env })

t.test('D7: one test by a part of its title, and no other', (t) => {
  const { stdout, status } = one('protocol/src/topics.test.ts')
  const titles = [...stdout.matchAll(/^ok \d+ - (.*?) #/gm)].map(([, title]) => title!)
  t.equal(status, 0)
  t.ok(titles.length > 1)
  const wanted = titles.at(-1)!
  const alone = one('protocol/src/topics.test.ts', '-t', wanted.slice(-20))
  t.equal(alone.status, 0, alone.stderr)
  t.same(
    [...alone.stdout.matchAll(/^ok \d+ - (.*?) #/gm)].map(([, title]) => title),
    [wanted],
  )
  t.match(one('protocol/src/topics.test.ts', '-t', 'no such title (at all)'), { status: 1, stderr: /no test of/ })
  t.match(one('protocol/src/nothing.test.ts'), { status: 2, stderr: /is not there/ })
  t.end()
})

t.test('D7: a test fails through it, too', (t) => {
  const file = join(t.testdir(), 'fails.test.ts')
  writeFileSync(file, `import t from 'tap'\nt.test('wrong', (t) => { t.equal(1, 2); t.end() })\n`)
  t.equal(one(file).status, 1)
  t.end()
})

t.test('D7: a test that spins ends with whoever ran it', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'spins.test.ts')
  writeFileSync(file, `import t from 'tap'\nt.test('spins', () => { console.log('pid', process.pid); for (;;); })\n`)
  const child = spawn(process.execPath, ['scripts/one.ts', file], { cwd: root, env })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  const pid = await new Promise<number>((resolve) =>
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const [, found] = /pid (\d+)\n/.exec(said) ?? []
      if (found) resolve(Number(found))
    }),
  )
  child.kill('SIGTERM')
  const code = await new Promise((resolve) => child.once('exit', resolve))
  t.equal(code, 1)
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})

t.test('D7: a change asks for the test beside it and those that import it', (t) => {
  const tests = new Map([
    ['gateway/src/a.test.ts', "import { a } from './a.ts'"],
    ['gateway/src/b/b.test.ts', "import { a } from '../a.ts'"],
    ['sim/src/c.test.ts', "import { a } from '@azukari/gateway/a'"],
    ['sim/src/d.test.ts', "import { d } from '@azukari/protocol'"],
  ])
  t.same(testsOf(['gateway/src/a.ts'], tests), [
    'gateway/src/a.test.ts',
    'gateway/src/b/b.test.ts',
    'sim/src/c.test.ts',
  ])
  t.same(testsOf(['protocol/src/index.ts'], tests), ['sim/src/d.test.ts'])
  t.same(testsOf(['sim/src/c.test.ts', 'device/src/x.ts'], tests), ['sim/src/c.test.ts'])
  t.end()
})

t.test('D7: watch runs the test of what changes, again and again', async (t) => {
  const clone = t.testdir()
  for (const folder of ['protocol/src', 'device/src', 'boards/src', 'gateway/src', 'sim/src', '.tap'])
    mkdirSync(join(clone, folder), { recursive: true })
  cpSync(join(root, 'scripts'), join(clone, 'scripts'), { recursive: true })
  for (const name of ['node_modules', 'package.json']) symlinkSync(join(root, name), join(clone, name))
  const module = join(clone, 'protocol/src/sum.ts')
  writeFileSync(module, 'export const sum = (a: number, b: number) => a + b\n')
  writeFileSync(
    join(clone, 'protocol/src/sum.test.ts'),
    `import t from 'tap'\nimport { sum } from './sum.ts'\nt.test('sum', (t) => { t.equal(sum(1, 2), 3); t.end() })\n`,
  )
  const child = spawn(process.execPath, ['scripts/watch.ts'], { cwd: clone, env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  const waiting = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    for (const look of waiting) look()
  })
  const says = (words: RegExp) =>
    new Promise<void>((done) => {
      const look = () => {
        if (!words.test(said)) return
        waiting.delete(look)
        done()
      }
      waiting.add(look)
      look()
    })
  await says(/Watching/)
  appendFileSync(module, '// changed\n')
  await says(/passed {2}protocol\/src\/sum\.test\.ts: 1 tests/)
  writeFileSync(module, 'export const sum = (a: number, b: number) => a - b\n')
  await says(/FAILED {2}protocol\/src\/sum\.test\.ts/)
  t.pass('both were told')
})
