/** `tap build` links its plugins by absolute path: a clone that is moved or copied would load two copies of the runner. */
import { existsSync, lstatSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, isAbsolute, join, relative } from 'node:path'

/** Points each link of `.tap/plugins` that is absolute at the same package of this clone. */
export function makeLinksRelative(root: string): void {
  const scope = join(root, '.tap/plugins/node_modules/@tapjs')
  if (!existsSync(scope)) return
  for (const name of readdirSync(scope)) {
    const link = join(scope, name)
    if (!lstatSync(link).isSymbolicLink() || !isAbsolute(readlinkSync(link))) continue
    rmSync(link)
    symlinkSync(relative(dirname(link), join(root, 'node_modules/@tapjs', name)), link)
  }
}
