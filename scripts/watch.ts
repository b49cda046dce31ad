/**
 * Runs tests as files change: a test file itself, the one beside a module, and those that import it.
 *
 *   npm run watch [-- FILE…]    with files: these, at every change
 */
import { globSync, readFileSync, watch } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { runTestFile } from './test-file.ts'
import { testsOf } from './watch-tests.ts'

const root = resolve(import.meta.dirname, '..')
const folders = ['protocol/src', 'device/src', 'boards/src', 'gateway/src', 'sim/src', 'scripts']
/** Editors write a file in several steps. */
const settleMs = 100
const always = process.argv.slice(2).map((file) => relative(root, resolve(file)))
const changed = new Set<string>()
let isRunning = false

for (const folder of folders)
  watch(join(root, folder), { recursive: true }, (_event, name) => {
    if (!name?.endsWith('.ts')) return
    changed.add(join(folder, name))
    setTimeout(() => void runChanged(), settleMs)
  })
console.log(always.length > 0 ? `Watching; runs ${always.join(', ')} at every change` : 'Watching; Ctrl-C ends it')
for (const file of always) await run(file)

async function runChanged(): Promise<void> {
  if (isRunning || changed.size === 0) return
  isRunning = true
  while (changed.size > 0) {
    const files = [...changed]
    changed.clear()
    const tests = always.length > 0 ? always : testsOf(files, testFiles())
    if (tests.length === 0) console.log(`${files.join(', ')}: no test beside it, and none imports it`)
    for (const test of tests) await run(test)
  }
  isRunning = false
}

/** Every test file with its text. */
function testFiles(): Map<string, string> {
  const names = globSync('{protocol,device,boards,gateway,sim,scripts}/**/*.test.ts', {
    cwd: root,
    exclude: ['**/node_modules/**', '**/dist/**'],
  })
  return new Map(names.map((name) => [name, readFileSync(join(root, name), 'utf8')]))
}

async function run(test: string): Promise<void> {
  const startedMs = performance.now()
  const { isPassed, count, said } = await runTestFile(root, join(root, test))
  if (!isPassed) console.log(said)
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
  console.log(`${isPassed ? 'passed' : 'FAILED'}  ${test}: ${count} tests, ${seconds} s`)
}
