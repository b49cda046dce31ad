/**
 * Makes a package fit for `npm pack`: emits JavaScript and declarations to dist/ and points package.json at them (Node
 * refuses to strip types below node_modules). `--restore` puts package.json back; npm calls it after packing.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const folder = process.cwd()
const name = basename(folder)
const manifestPath = join(folder, 'package.json')
const saved = join(folder, 'package.json.orig')

if (process.argv.includes('--restore')) {
  if (existsSync(saved)) renameSync(saved, manifestPath)
  process.exit(0)
}

const dist = join(folder, 'dist')
rmSync(dist, { recursive: true, force: true })
const config = join(folder, 'tsconfig.pack.json')
writeFileSync(
  config,
  JSON.stringify({
    extends: '../tsconfig.json',
    compilerOptions: { noEmit: false, outDir: 'dist', rootDir: 'src', declaration: true, stripInternal: true },
    include: ['src'],
    exclude: ['src/**/*.test.ts', 'src/bench'],
  }),
)
const built = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], { cwd: folder, stdio: 'inherit' })
rmSync(config)
if (built.status !== 0) process.exit(built.status ?? 1)
copyAssets(join(folder, 'src'), dist)

if (!existsSync(saved)) copyFileSync(manifestPath, saved)
const manifest = JSON.parse(readFileSync(saved, 'utf8'))
manifest.exports = { '.': './dist/index.js', './*': './dist/*.js' }
delete manifest.scripts
for (const [command, path] of Object.entries(manifest.bin ?? {})) {
  manifest.bin[command] = String(path).replace('./src/', './dist/').replace(/\.ts$/, '.js')
  chmodSync(join(folder, manifest.bin[command]), 0o755)
}
writeFileSync(manifestPath, `${JSON.stringify(manifest, null, 2)}\n`)
console.error(`prepack: ${name} built`)

/** Pages, pictures and data that the code reads beside itself. */
function copyAssets(from: string, to: string): void {
  for (const entry of readdirSync(from)) {
    const path = join(from, entry)
    if (statSync(path).isDirectory()) copyAssets(path, join(to, entry))
    else if (!entry.endsWith('.ts')) cpSync(path, join(to, entry))
  }
}
