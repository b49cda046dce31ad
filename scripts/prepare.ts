/** After `npm ci`: builds the test runner's plugins, and makes its links relative, so that a clone can be moved or copied. */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { makeLinksRelative } from './tap-links.ts'

const root = resolve(import.meta.dirname, '..')
const { status } = spawnSync(process.execPath, ['node_modules/tap/dist/esm/run.mjs', 'build'], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
})
if (status !== 0) process.exit(status ?? 1)
makeLinksRelative(root)
