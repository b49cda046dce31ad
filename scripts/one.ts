/**
 * One test file, or one test of it, at once: without the static checks, and with a PostgreSQL only when asked for.
 *
 *   npm run one -- FILE [-t TITLE] [--postgres] [--inspect]
 *
 * TITLE is a part of a test's title. --inspect waits for a debugger.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runWithPostgres } from './postgres.ts'
import { runTestFile } from './test-file.ts'

const root = resolve(import.meta.dirname, '..')
const usage = 'npm run one -- FILE [-t TITLE] [--postgres] [--inspect]'
const words = process.argv.slice(2)
const { values, positionals } = parseArgs({
  args: words,
  allowPositionals: true,
  options: { title: { type: 'string', short: 't' }, postgres: { type: 'boolean' }, inspect: { type: 'boolean' } },
})
const [file] = positionals
if (positionals.length !== 1 || !file || !existsSync(resolve(root, file))) {
  console.error(file ? `${file} is not there\n${usage}` : usage)
  process.exit(2)
}
if (values.postgres) {
  const again = words.filter((word) => word !== '--postgres')
  process.exitCode = await runWithPostgres([process.execPath, import.meta.filename, ...again])
} else {
  const { isPassed, count } = await runTestFile(root, resolve(root, file), {
    tell: (text) => process.stdout.write(text),
    ...(values.title !== undefined && { title: values.title }),
    ...(values.inspect && { isInspected: true }),
  })
  if (count === 0) console.error(values.title ? `no test of ${file} has “${values.title}” in its title` : 'no tests')
  process.exitCode = isPassed && count > 0 ? 0 : 1
}
