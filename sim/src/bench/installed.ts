/** What packages weigh with all that they depend on, as they lie in node_modules; our own as their sources. */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Megabytes (10⁶) of packages and their dependencies. */
export function installedMegabytes(names: readonly string[]): number {
  const seen = new Set<string>()
  const visit = (name: string, from: string) => {
    const folder = find(name, from)
    if (!folder || seen.has(folder)) return
    seen.add(folder)
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    for (const needed of Object.keys(dependencies)) visit(needed, folder)
  }
  for (const name of names) visit(name, import.meta.dirname)
  return [...seen].reduce((sum, folder) => sum + sizeOf(folder), 0) / 1e6
}

function find(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate)
    if (folder === dirname(folder)) return undefined
  }
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    if (entry.name === 'node_modules' || (entry.name === 'dist' && folder.includes('@azukari'))) return sum
    const path = join(folder, entry.name)
    return sum + (entry.isDirectory() ? sizeOf(path) : entry.isFile() ? statSync(path).size : 0)
  }, 0)
}
