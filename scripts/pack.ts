/** `npm run pack -- FOLDER`: makes the files of all packages, for hosts that install them (`docs/operators.md`). */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ownNpmEnvironment, packageNames, stagePackages } from './packed.ts'

const folder = process.argv[2]
if (!folder || process.argv.length > 3) {
  console.error('npm run pack -- FOLDER')
  process.exit(2)
}
// npm starts scripts in the project's folder; who typed the command stands elsewhere.
const out = resolve(process.env['INIT_CWD'] ?? '.', folder)
const temp = mkdtempSync(join(tmpdir(), 'azukari-pack-'))
try {
  mkdirSync(out, { recursive: true })
  const tree = join(temp, 'tree')
  stagePackages(tree)
  for (const name of packageNames) {
    const { status, stdout, stderr } = spawnSync('npm', ['pack', '--silent', '--pack-destination', out], {
      cwd: join(tree, name),
      env: ownNpmEnvironment(),
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`npm pack of ${name} failed: ${stdout}${stderr}`)
    console.log(join(out, stdout.trim()))
  }
} finally {
  rmSync(temp, { recursive: true, force: true })
}
