/**
 * Breaks rules one at a time and runs the test named for each: a rule whose test stays green is not tested.
 *
 *   npm run mutants -- settlement [RULE-PART]
 *
 * The list lies beside the code (`mutants.json`). A file is changed as it is loaded, never on disk.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runTestFile } from './test-file.ts'

const root = resolve(import.meta.dirname, '..')

export interface Mutant {
  /** The rule that is broken, in words. */
  rule: string
  /** In the service's folder. */
  file: string
  /** Stands there once. */
  from: string
  to: string
  /** From the root, and a part of the title of the test that must turn red. */
  test: string
  title: string
}

export function mutantsOf(service: string): { folder: string; mutants: Mutant[] } {
  const folder = join(root, 'gateway/src/services', service)
  return { folder, mutants: JSON.parse(readFileSync(join(folder, 'mutants.json'), 'utf8')) as Mutant[] }
}

/** Whether the test notices: `red`, `survived`, or why it cannot tell. */
export async function tryMutant(folder: string, { file, from, to, test, title }: Mutant): Promise<string> {
  const path = join(folder, file)
  const places = readFileSync(path, 'utf8').split(from).length - 1
  if (places !== 1) return `the rule stands ${places} times in ${file}`
  const mutant = { url: pathToFileURL(path).href, from, to }
  const env = {
    AZUKARI_MUTANT: JSON.stringify(mutant),
    NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'mutant-hook.ts')).href}`,
  }
  const { isPassed, said } = await runTestFile(root, join(root, test), { title, env })
  if (isPassed) return 'survived'
  // A file that does not load fails too, and proves nothing.
  return /^not ok \d+/m.test(said) && said.includes(title) ? 'red' : `the test did not run:\n${said}`
}

if (import.meta.main) {
  const [service = '', part = ''] = process.argv.slice(2)
  const { folder, mutants } = mutantsOf(service)
  const chosen = mutants.filter(({ rule }) => rule.includes(part))
  for (const mutant of chosen) {
    const outcome = await tryMutant(folder, mutant)
    console.log(`${outcome.padEnd(8)} ${mutant.rule}`)
    if (outcome !== 'red') process.exitCode = 1
  }
  if (chosen.length === 0) process.exitCode = 2
}
