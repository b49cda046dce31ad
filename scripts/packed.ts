/** The packages as files, packed from a copy of the tree, since packing changes each package.json for a moment. */
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
export const packageNames = ['protocol', 'device', 'boards', 'gateway', 'sim'] as const

/** Copies what packing needs into `tree`, with the same third-party packages. */
export function stagePackages(tree: string): void {
  mkdirSync(join(tree, 'node_modules/@azukari'), { recursive: true })
  for (const entry of readdirSync(join(root, 'node_modules')))
    if (entry !== '@azukari') symlinkSync(join(root, 'node_modules', entry), join(tree, 'node_modules', entry))
  for (const name of packageNames) {
    cpSync(join(root, name), join(tree, name), {
      recursive: true,
      filter: (path) => !/\/(dist|node_modules)$/.test(path),
    })
    symlinkSync(join(tree, name), join(tree, 'node_modules/@azukari', name))
  }
  for (const entry of ['scripts', 'tsconfig.json', 'package.json'])
    cpSync(join(root, entry), join(tree, entry), { recursive: true })
}

/** npm without the settings that an npm around this process handed down, but with the person's own. */
export function ownNpmEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|TAP|NODE_OPTIONS)/.test(name)))
}
