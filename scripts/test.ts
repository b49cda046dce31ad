/**
 * `npm test`: what is checked before a change is taken. Installs what the tests drive where it may (root on Debian;
 * AZUKARI_TEST_INSTALL=no keeps it from doing so), starts a PostgreSQL for them, runs the static checks and the tests, and
 * names what was left out. With AZUKARI_TEST_ALL=1 or CI=true something left out is a failure.
 *
 *   npm test [-- FILE… | tap's options]
 *   npm run test:system    what is slow and of the whole system (*.system.test.ts), without the static checks
 *   npm run test:deployment    a site of several hosts, set up by the documents (*.deployment.test.ts)
 */
import { globSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { postgresPrograms } from '@azukari/sim/testkit/postgres'
import {
  type DebianPackage,
  deploymentPackages,
  installPackages,
  missingPackages,
  testPackages,
} from './debian-packages.ts'
import { failuresOf } from './failures.ts'
import { omissionsOf } from './omissions.ts'
import { runCommand, runWithPostgres } from './postgres.ts'
import { makeLinksRelative } from './tap-links.ts'

const slowestCount = 15
const root = resolve(import.meta.dirname, '..')
const isComplete = process.env['AZUKARI_TEST_ALL'] === '1' || process.env['CI'] === 'true'
/** A machine that is thrown away and grants no namespaces, such as a build's container. */
const isAlone = process.env['AZUKARI_HIL_ALONE'] === '1'
const refusedAdvice =
  'To run them: as root, in a container with --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined. ' +
  'With AZUKARI_HIL_ALONE=1, on a machine that truly cannot, their lack is no failure.'
const mayInstall = process.env['AZUKARI_TEST_INSTALL'] !== 'no'

process.chdir(root)
process.exitCode = await test(process.argv.slice(2))

async function test(words: string[]): Promise<number> {
  const stage = words[0] === '--system' || words[0] === '--deployment' ? words[0].slice(2) : undefined
  const lacking = providePrograms(stage === 'deployment' ? deploymentPackages : testPackages)
  if (lacking.length > 0 && isComplete) {
    console.error(`${lacking.length} programs are missing and nothing may be left out: ${lacking.join(', ')}`)
    return 1
  }
  const wanted = stage ? ['--exclude=no-file', ...filesOf(stage), ...words.slice(1)] : words
  const checked = stage ? 0 : await runCommand([process.execPath, 'scripts/check.ts', '--all'], {})
  if (checked !== 0) return checked

  makeLinksRelative(root)
  const results = join(root, '.tap/test-results')
  rmSync(results, { recursive: true, force: true })
  const program = [process.execPath, 'node_modules/tap/dist/esm/run.mjs', ...wanted]
  // Hosts end with whoever runs them, and that is this process, however it ends.
  const tap = stage === 'deployment' ? ['setpriv', '--pdeathsig', 'TERM', ...program] : program
  const tested = postgresPrograms() && stage !== 'deployment' ? await runWithPostgres(tap) : await runCommand(tap, {})
  const files = readdirSync(results, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.tap'))
  const texts = files.map((name) => ({ name, text: readFileSync(join(results, name), 'utf8') }))
  tellSlowest(texts)
  tellFailures(texts)
  return tellOmissions(lacking, texts.map(({ text }) => text).join('\n'), tested)
}

/** Test files of a later stage. */
function filesOf(stage: string): string[] {
  return globSync(`{protocol,device,boards,gateway,sim,scripts}/**/*.${stage}.test.ts`, {
    cwd: root,
    exclude: ['**/node_modules/**', '**/dist/**'],
  }).sort()
}

/** Installs what is missing; gives the names of what is missing still. */
function providePrograms(packages: readonly DebianPackage[]): string[] {
  const missing = missingPackages(packages)
  if (missing.length === 0) return []
  console.log(`The tests drive programs that are not installed: ${missing.map(({ name }) => name).join(' ')}`)
  const refusal = mayInstall ? installPackages(missing) : 'AZUKARI_TEST_INSTALL=no'
  if (!refusal) return []
  const still = missingPackages(packages)
  console.log(`They were not installed (${refusal}). Tests of these are left out:`)
  for (const { name, what } of still) console.log(`  ${name}: ${what}`)
  if (still.length > 0) console.log(`To have them: apt-get install ${still.map(({ name }) => name).join(' ')}`)
  return still.map(({ name }) => name)
}

/** Names the files that took longest, when there were many. */
function tellSlowest(files: readonly { name: string; text: string }[]): void {
  if (files.length <= slowestCount) return
  const timed = files
    .map(({ name, text }) => ({ name, ms: Number(/^# time=([\d.]+)ms/m.exec(text)?.[1] ?? 0) }))
    .sort((a, b) => b.ms - a.ms)
  console.log('\nThe slowest files:')
  for (const { name, ms } of timed.slice(0, slowestCount))
    console.log(`  ${(ms / 1_000).toFixed(1).padStart(6)} s  ${name.replace(/\.tap$/, '')}`)
}

/** Repeats what failed, last, where it is found. */
function tellFailures(files: readonly { name: string; text: string }[]): void {
  for (const { name, text } of files)
    for (const { path, details } of failuresOf(text)) {
      console.log(`\nFailed in ${name.replace(/\.tap$/, '')}:`)
      console.log(`  ${path.join(' > ')}`)
      for (const line of details) console.log(`  ${line}`)
    }
}

/** Names the tests that were skipped and gives the exit code. */
function tellOmissions(lacking: readonly string[], tap: string, tested: number): number {
  const { skipped, refused, withoutInputs } = omissionsOf(tap)
  if (lacking.length > 0) console.log(`\nLeft out for lack of ${lacking.join(', ')}:`)
  else if (skipped.length > 0) console.log('\nLeft out:')
  for (const { title, why } of skipped) console.log(`  ${title} (${why})`)
  if (withoutInputs.length > 0)
    console.log(`${withoutInputs.length} tests had no inputs here: they read sample files that are not in the project`)
  if (refused.length > 0) console.log('\nLeft out, since this machine does not grant what they need:')
  for (const { title, why } of refused) console.log(`  ${title} (${why})`)
  if (refused.length > 0) console.log(refusedAdvice)
  const counted = skipped.length + (isAlone ? 0 : refused.length)
  if (tested !== 0 || counted === 0 || !isComplete) return tested
  console.error(`${counted} tests were left out, and nothing may be`)
  return 1
}
