/**
 * Packages have doors (ARCHITECTURE §2): each package.json names its public entries, one by one. Node and the compiler refuse
 * whatever is not named; here entries that nobody uses, patterns and paths around the doors are found.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Boards are loaded by name, whatever their number. */
const usedByName = new Set(['boards'])
/** These run before packages are linked. */
const beforeInstall = new Set(['scripts/hil-setup.ts'])
const entryUse = /['"`]@azukari\/([a-z]+)\/([\w./-]+)['"`]/g
const around = /(?:from|import\()\s*['"](?:\.\.\/)+(protocol|device|boards|gateway|sim)\/src\/[^'"]+['"]/g

/**
 * @param sources files of the project by path from its root
 * @returns what is wrong, a line each
 */
export function doorProblems(
  root: string,
  packages: readonly string[],
  sources: ReadonlyMap<string, string>,
): string[] {
  const uses = new Set<string>()
  const found: string[] = []
  for (const [file, text] of sources) {
    if (!/\.([cm]?[jt]s|md)$/.test(file)) continue
    for (const [, name, entry] of text.matchAll(entryUse)) uses.add(`${name}/${entry}`)
    if (file.endsWith('.ts') && !beforeInstall.has(file))
      for (const [, name] of text.matchAll(around))
        if (!file.startsWith(`${name}/`)) found.push(`${file} goes around the doors of @azukari/${name}`)
  }
  for (const name of packages) {
    const { exports } = JSON.parse(sources.get(`${name}/package.json`) ?? '{}') as { exports?: Record<string, string> }
    for (const [door, target] of Object.entries(exports ?? {})) {
      if (door.includes('*')) found.push(`${name}/package.json opens ${door}: name each entry`)
      else if (!existsSync(join(root, name, target))) found.push(`${name}/package.json: ${door} leads nowhere`)
      else if (door !== '.' && !usedByName.has(name) && !uses.has(`${name}/${door.slice(2)}`))
        found.push(`${name}/package.json opens ${door}, which nobody uses`)
    }
  }
  return found
}
