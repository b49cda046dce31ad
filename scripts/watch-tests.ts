/** Which tests a change asks for. */
import { dirname, join } from 'node:path'
import { importsOf } from './check-cache.ts'

/**
 * Changed test files, tests beside changed modules, and tests that import them.
 * @param files paths in the project; @param tests text of every test file, by path
 */
export function testsOf(files: readonly string[], tests: ReadonlyMap<string, string>): string[] {
  const modules = new Set(files)
  return [...tests]
    .filter(
      ([test, text]) =>
        modules.has(test) ||
        modules.has(test.replace(/\.test\.ts$/, '.ts')) ||
        importedBy(test, text).some((path) => modules.has(path)),
    )
    .map(([test]) => test)
    .sort()
}

/** Modules of ours that a file imports, as paths in the project. */
function importedBy(file: string, text: string): string[] {
  return [...importsOf(text).matchAll(/['"]([^'"]+)['"]/g)].flatMap(([, name]) => {
    if (name!.startsWith('.')) return join(dirname(file), name!)
    const own = /^@azukari\/(\w+)(?:\/(.+))?$/.exec(name!)
    return own ? `${own[1]}/src/${own[2] ?? 'index'}.ts` : []
  })
}
