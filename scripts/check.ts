/**
 * Tidiness is a test: types, format and lint, the dependency rule (with a proof that modules were really seen), generated
 * documents fresh, links in documents valid. What has not changed since it passed is not looked at again.
 *
 *   npm run check [-- --all]    --all: everything, whatever passed before; npm test does so
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { CheckCache, fingerprint, importsOf } from './check-cache.ts'
import { doorProblems } from './doors.ts'

const root = resolve(import.meta.dirname, '..')
const packages = ['protocol', 'device', 'boards', 'gateway', 'sim']
const isWhole = process.argv.includes('--all')
const cache = new CheckCache(join(root, '.cache/checked.json'), !isWhole)
const problems: string[] = []
const startedMs = performance.now()

/** Every file of the project that is there, committed or not. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 << 20,
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)))
const textOf = new Map(
  files
    .filter((file) => /\.([cm]?[jt]s|json|css|md)$/.test(file))
    .map((file) => [file, readFileSync(join(root, file), 'utf8')]),
)
const settings = [...textOf].filter(([file]) =>
  /(^|\/)(package(-lock)?|biome|tsconfig|\.dependency-cruiser)\.json$/.test(file),
)
const modules = files.filter((file) => file.endsWith('.ts') && packages.some((name) => file.startsWith(`${name}/src/`)))

await Promise.all([types(), formatAndLint().then(dependencyRule), generatedDocuments()])
const documents = files.filter((file) => file.endsWith('.md'))
for (const file of documents) links(file)
problems.push(...doorProblems(root, packages, textOf))
cache.keep((check) => !check.startsWith('lint ') || textOf.has(check.slice('lint '.length)))

if (problems.length > 0) {
  console.error(problems.join('\n\n'))
  console.error(`\n${problems.length} problems`)
  process.exit(1)
}
const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
console.log(`check: ${modules.length} modules, ${documents.length} documents, no problems (${seconds} s)`)

/** Runs a tool and gives what it said; what it finds is a problem. */
async function run(what: string, tool: string, args: readonly string[]): Promise<{ out: string; isClean: boolean }> {
  const child = spawn(process.execPath, [join(root, tool), ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const status = await new Promise((done) => child.once('close', done))
  if (status !== 0) problems.push(`${what}:\n${out}${said}`.trimEnd())
  return { out, isClean: status === 0 }
}

async function types(): Promise<void> {
  const sources = [...textOf].filter(([file]) => /\.(ts|json)$/.test(file))
  const inputs = fingerprint(sources)
  if (cache.hasPassed('types', inputs)) return
  const incremental = isWhole ? [] : ['--incremental', '--tsBuildInfoFile', '.cache/tsbuildinfo']
  const { isClean } = await run('types', 'node_modules/typescript/bin/tsc', [
    '--noEmit',
    ...incremental,
    '-p',
    'tsconfig.json',
  ])
  if (isClean) cache.pass('types', inputs)
}

async function formatAndLint(): Promise<void> {
  const rules = fingerprint(settings)
  const inputsOf = (file: string) =>
    fingerprint([
      ['', rules],
      [file, textOf.get(file)!],
    ])
  const looked = [...textOf.keys()].filter((file) => !file.endsWith('.md'))
  const changed = looked.filter((file) => !cache.hasPassed(`lint ${file}`, inputsOf(file)))
  if (changed.length === 0) return
  const paths = isWhole || changed.length > 200 ? ['.'] : changed
  const { isClean } = await run('format and lint', 'node_modules/@biomejs/biome/bin/biome', [
    'check',
    '--error-on-warnings',
    '--no-errors-on-unmatched',
    ...paths,
  ])
  if (isClean) for (const file of changed) cache.pass(`lint ${file}`, inputsOf(file))
}

/** A cruiser that resolves nothing would pass: so what it saw is counted, and the edges between packages with it. */
async function dependencyRule(): Promise<void> {
  const inputs = fingerprint([...settings, ...modules.map((file) => [file, importsOf(textOf.get(file)!)] as const)])
  if (cache.hasPassed('dependency rule', inputs)) return
  const { out, isClean } = await run('dependency rule', 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs', [
    '--config',
    '.dependency-cruiser.json',
    '--output-type',
    'json',
    ...packages.map((name) => `${name}/src`),
  ])
  if (!isClean) return
  const cruised = JSON.parse(out) as {
    modules: { source: string; dependencies: { resolved: string }[] }[]
    summary: { violations: { from: string; to: string; rule: { name: string; severity: string } }[] }
  }
  const found: string[] = []
  const seen = new Set(cruised.modules.map((module) => module.source))
  const unseen = modules.filter((file) => !seen.has(file))
  if (unseen.length > 0) found.push(`dependency rule: ${unseen.length} modules were not seen, such as ${unseen[0]}`)
  for (const name of ['device', 'gateway', 'sim']) {
    const reaches = cruised.modules.some(
      (module) =>
        module.source.startsWith(`${name}/src`) &&
        module.dependencies.some((to) => to.resolved.startsWith('protocol/src')),
    )
    if (!reaches) found.push(`dependency rule: no import from ${name} to protocol was resolved`)
  }
  for (const { from, to, rule } of cruised.summary.violations)
    if (rule.severity === 'error') found.push(`dependency rule ${rule.name}: ${from} → ${to}`)
  problems.push(...found)
  if (found.length === 0) cache.pass('dependency rule', inputs)
}

async function generatedDocuments(): Promise<void> {
  const inputs = fingerprint(
    [...textOf].filter(([file]) => !/\.(test|hil|system)\.ts$/.test(file) && !/\.(md|css)$/.test(file)),
  )
  const committed = fingerprint([...textOf].filter(([file]) => file.startsWith('docs/reference/')))
  if (cache.hasPassed('documents', inputs + committed)) return
  const { isClean } = await run('generated documents', 'scripts/generate-docs.ts', ['--check'])
  if (isClean) cache.pass('documents', inputs + committed)
}

function links(file: string): void {
  for (const [, target] of textOf.get(file)!.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue
    if (!existsSync(resolve(root, dirname(file), target!)))
      problems.push(`${file}: the link to ${target} leads nowhere`)
  }
}
