/**
 * Makes a package fit for `npm pack`: emits JavaScript and declarations to dist/ and points package.json at them (Node
 * refuses to strip types below node_modules). `--restore` puts package.json back; npm calls it after packing. Should npm
 * end before that, a guard that outlives it puts package.json back.
 */
import { spawn, spawnSync } from 'node:child_process'
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

if (process.argv.includes('--restore')) restore()
else if (process.argv.includes('--guard')) guard(Number(process.argv.at(-1)))
else build()

function build(): void {
  restore()
  const dist = join(folder, 'dist')
  rmSync(dist, { recursive: true, force: true })
  const config = join(folder, 'tsconfig.pack.json')
  writeFileSync(
    config,
    JSON.stringify({
      extends: '../tsconfig.json',
      compilerOptions: {
        noEmit: false,
        outDir: 'dist',
        rootDir: 'src',
        declaration: true,
        // Node knows `using`; what the compiler makes of it keeps the names of the sources in the imports inside.
        target: 'esnext',
        stripInternal: true,
        // `npm run check` checks types, of all packages together; here it would cost each its dependencies once more.
        noCheck: true,
      },
      include: ['src'],
      exclude: ['src/**/*.test.ts', 'src/**/test-*.ts', 'src/bench', 'src/hil', 'src/deployment'],
    }),
  )
  // npm's own answer on standard output is for programs; the compiler's goes to standard error.
  const built = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], { cwd: folder, stdio: ['ignore', 2, 2] })
  rmSync(config)
  if (built.status !== 0) process.exit(built.status ?? 1)
  copyAssets(join(folder, 'src'), dist)
  refuseSourceNames(dist)

  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'))
  // Fixtures stay at home.
  manifest.exports = Object.fromEntries(
    Object.entries<string>(manifest.exports)
      .filter(([, path]) => !/\/test-[a-z-]+\.ts$/.test(path))
      .map(([door, path]) => [door, path.replace('./src/', './dist/').replace(/\.ts$/, '.js')]),
  )
  delete manifest.scripts
  for (const [command, path] of Object.entries(manifest.bin ?? {})) {
    const built = String(path).replace('./src/', './dist/').replace(/\.ts$/, '.js')
    if (!existsSync(join(folder, built))) {
      console.error(`prepack: ${name} has no ${path} for its command ${command}`)
      process.exit(1)
    }
    manifest.bin[command] = built
    chmodSync(join(folder, built), 0o755)
  }
  copyFileSync(manifestPath, saved)
  const npm = callerOf(process.ppid)
  if (npm)
    spawn(process.execPath, [import.meta.filename, '--guard', String(npm)], {
      cwd: folder,
      detached: true,
      stdio: 'ignore',
    }).unref()
  writeFileSync(manifestPath, `${JSON.stringify(manifest, null, 2)}\n`)
  console.error(`prepack: ${name} built`)
}

function restore(): void {
  if (existsSync(saved)) renameSync(saved, manifestPath)
}

/** Waits for npm to end, and puts right what it left. */
function guard(npm: number): void {
  const timer = setInterval(() => {
    try {
      if (existsSync(saved)) return void process.kill(npm, 0)
    } catch {
      restore()
    }
    clearInterval(timer)
  }, 50)
}

/** The first ancestor that is not a shell; undefined where the system does not tell. */
function callerOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const command = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    return /^(ba|da|z)?sh$/.test(command) ? callerOf(parent) : pid
  } catch {
    return undefined
  }
}

/** An import of what only the sources have would be found when somebody's program needs it. */
function refuseSourceNames(dist: string): void {
  for (const entry of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('.js')) continue
    const wrong = /(?:\bfrom |\bimport\()\s*['"]\.[^'"]*\.ts['"]/.exec(readFileSync(join(dist, entry), 'utf8'))
    if (!wrong) continue
    console.error(`prepack: ${name}/dist/${entry} has ${wrong[0]}`)
    process.exit(1)
  }
}

/** Pages, pictures and data that the code reads beside itself. */
function copyAssets(from: string, to: string): void {
  for (const entry of readdirSync(from)) {
    const path = join(from, entry)
    if (statSync(path).isDirectory()) {
      if (entry !== 'bench') copyAssets(path, join(to, entry))
    } else if (!entry.endsWith('.ts')) cpSync(path, join(to, entry))
  }
}
