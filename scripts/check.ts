/**
 * Tidiness is a test: types, format and lint, the dependency rule (with a proof that modules were really seen), generated
 * documents fresh, links in documents valid, nothing of this or that machine in the tree.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { staleDocuments } from './generate-docs.ts'

const root = resolve(import.meta.dirname, '..')
const packages = ['protocol', 'device', 'boards', 'gateway', 'sim']
const bin = (name: string) => join(root, 'node_modules/.bin', name)
const problems: string[] = []

function run(what: string, command: string, args: string[]): string {
  const result = spawnSync(bin(command), args, { cwd: root, encoding: 'utf8', maxBuffer: 256 << 20 })
  if (result.status !== 0) problems.push(`${what}:\n${result.stdout}${result.stderr}`.trimEnd())
  return result.stdout
}

run('types', 'tsc', ['--noEmit', '-p', 'tsconfig.json'])
run('format and lint', 'biome', ['check', '--error-on-warnings', '.'])

// A cruiser that resolves nothing would pass: so what it saw is counted, and the edges between packages with it.
const tracked = execFileSync('git', ['ls-files', ...packages.map((name) => `${name}/src`)], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file.endsWith('.ts'))
const cruised = JSON.parse(
  run('dependency rule', 'depcruise', [
    '--config',
    '.dependency-cruiser.json',
    '--output-type',
    'json',
    ...packages.map((name) => `${name}/src`),
  ]),
) as {
  modules: { source: string; dependencies: { resolved: string }[] }[]
  summary: { violations: { from: string; to: string; rule: { name: string; severity: string } }[] }
}
const seen = new Set(cruised.modules.map((module) => module.source))
const unseen = tracked.filter((file) => !seen.has(file) && existsSync(join(root, file)))
if (unseen.length > 0) problems.push(`dependency rule: ${unseen.length} modules were not seen, such as ${unseen[0]}`)
for (const name of ['device', 'gateway', 'sim']) {
  const reaches = cruised.modules.some(
    (module) =>
      module.source.startsWith(`${name}/src`) &&
      module.dependencies.some((to) => to.resolved.startsWith('protocol/src')),
  )
  if (!reaches) problems.push(`dependency rule: no import from ${name} to protocol was resolved`)
}
for (const { from, to, rule } of cruised.summary.violations)
  if (rule.severity === 'error') problems.push(`dependency rule ${rule.name}: ${from} → ${to}`)

for (const file of await staleDocuments()) problems.push(`${file} is stale: run npm run docs`)

const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean)
for (const file of documents) {
  const text = readFileSync(join(root, file), 'utf8')
  for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue
    if (!existsSync(resolve(root, dirname(file), target!)))
      problems.push(`${file}: the link to ${target} leads nowhere`)
  }
}

if (problems.length > 0) {
  console.error(problems.join('\n\n'))
  console.error(`\n${problems.length} problems`)
  process.exit(1)
}
console.log(`check: ${tracked.length} modules, ${documents.length} documents, no problems`)
