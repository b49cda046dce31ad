/**
 * What people install: all five packages are packed, installed in an empty folder elsewhere, and every command is run
 * from there. It works on a copy of the tree, since packing changes each package.json for a moment.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { ownNpmEnvironment, packageNames, stagePackages } from './packed.ts'

const root = resolve(import.meta.dirname, '..')
const names = packageNames
const temp = mkdtempSync(join(tmpdir(), 'azukari-pack-'))
t.teardown(() => rmSync(temp, { recursive: true, force: true }))

/** What a camera board may install: packages, and MB on disk. Most is MQTT.js and what it needs; pictures take 2 MB, marks and the compute child 0.3. */
const maxBoardPackages = 64
const maxBoardMegabytes = 20

const environment = ownNpmEnvironment()
const offline = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts']

function run(command: string, args: string[], cwd: string) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: environment,
    encoding: 'utf8',
    timeout: 600_000,
  })
  if (error) throw error
  return { status, stdout, stderr }
}

const tree = join(temp, 'tree')
stagePackages(tree)
const tarballs = join(temp, 'tarballs')
mkdirSync(tarballs)
const tarball = (name: string) => join(tarballs, `azukari-${name}-0.1.0.tgz`)

t.test('npm pack makes all five packages and leaves package.json as it was', async (t) => {
  for (const name of names) {
    const before = readFileSync(join(tree, name, 'package.json'), 'utf8')
    const { status, stderr } = run('npm', ['pack', '--silent', '--pack-destination', tarballs], join(tree, name))
    t.equal(status, 0, stderr)
    t.ok(existsSync(tarball(name)), name)
    t.equal(readFileSync(join(tree, name, 'package.json'), 'utf8'), before, `${name}/package.json is as it was`)
  }
})

t.test('package.json is as it was when npm fails between its steps', async (t) => {
  const folder = join(tree, 'boards')
  const before = readFileSync(join(folder, 'package.json'), 'utf8')
  const { status } = run('npm', ['pack', '--silent', '--pack-destination', join(temp, 'not/there')], folder)
  t.not(status, 0, 'npm had nowhere to write')
  await gone(join(folder, 'package.json.orig'))
  t.equal(readFileSync(join(folder, 'package.json'), 'utf8'), before)
})

t.test('a camera board installs device and boards, and that is small', async (t) => {
  const folder = join(temp, 'board')
  install(t, folder, ['protocol', 'device', 'boards'])
  const packages = installed(folder)
  const megabytes = sizeOf(join(folder, 'node_modules')) / 1e6
  t.comment(`${packages.length} packages, ${megabytes.toFixed(1)} MB`)
  t.ok(packages.length <= maxBoardPackages, `${packages.length} packages, at most ${maxBoardPackages}`)
  t.ok(megabytes <= maxBoardMegabytes, `${megabytes.toFixed(1)} MB, at most ${maxBoardMegabytes}`)
  for (const unwanted of ['fastify', 'aedes', 'kysely', 'pino', '@azukari/gateway', '@azukari/sim'])
    t.notOk(packages.includes(unwanted), `${unwanted} is not on a board`)

  const doctor = run(bin(folder, 'azukari-device'), ['doctor', '--board', 'pc-kiosk', '--json'], folder)
  t.equal(doctor.status, 1, doctor.stderr)
  const { findings } = JSON.parse(doctor.stdout) as { findings: { what: string; state: string; todo?: string }[] }
  t.match(
    findings.find(({ what }) => what === 'reader'),
    { state: 'problem', todo: /azukari-device card issue/ },
    'says that the card built in was not issued yet',
  )
  t.match(
    findings.find(({ what }) => what === 'attached: serial lines'),
    { state: 'absent', todo: /npm install serialport/ },
    'and which library a look at serial lines needs',
  )
  t.match(
    findings.find(({ what }) => what === 'camera'),
    { state: 'ok' },
    'and that the camera is there',
  )
})

t.test(
  'S17 D2 J24: a driver’s package, made in an empty folder as docs/drivers.md shows it, is built and used',
  async (t) => {
    const folder = join(tarballs, 'driver')
    const document = readFileSync(join(root, 'docs/drivers.md'), 'utf8')
    const shown = document.slice(document.indexOf('## A driver of your own'), document.indexOf('## What exists'))
    const written = [...shown.matchAll(/^`([\w./-]+)`\n\n```\w+\n([\s\S]*?)^```$/gm)]
    t.ok(written.length >= 5, 'the document shows the files')
    mkdirSync(join(folder, 'src'), { recursive: true })
    for (const [, name, text] of written) writeFileSync(join(folder, name!), text!)
    const lines = /^```sh\n([\s\S]*?)^```$/m.exec(shown)?.[1]?.split('\n').filter(Boolean) ?? []
    t.equal(lines.length, 4, 'and four commands')
    const [installing, testing, trying, packing] = lines.map((line) => line.replace(/ +#.*$/, ''))
    const sh = (line: string) => run('sh', ['-c', line], folder)
    const installed = sh(`${installing} ${offline.join(' ')}`)
    t.equal(installed.status, 0, installed.stderr)
    const tested = sh(testing!)
    t.equal(tested.status, 0, tested.stdout)
    t.match(tested.stdout, /a camera that never answers is given up after a time/, 'the suite was run')
    const tried = sh(`${trying} --json`)
    t.match(
      cameraIn(tried.stdout),
      { state: 'problem', fact: /snapshot camera: The camera/ },
      'nothing is at the address it shows',
    )
    const packed = sh(packing!)
    t.equal(packed.status, 0, packed.stdout + packed.stderr)

    // The package that came of it, installed on a board that is somewhere else.
    const board = join(temp, 'board')
    const added = run('npm', ['install', ...offline, join(folder, 'azukari-snapshot-1.0.0.tgz')], board)
    t.equal(added.status, 0, added.stderr)
    const parts = (options: object) => ({ camera: { driver: 'azukari-snapshot', ...options } })
    const doctor = (options: object) => {
      writeFileSync(join(board, 'board.json'), JSON.stringify({ model: 'b', what: 'b', parts: parts(options) }))
      return run(bin(board, 'azukari-device'), ['doctor', '--board', 'board.json', '--json'], board)
    }
    t.match(cameraIn(doctor({ url: 'http://127.0.0.1:9/' }).stdout), { fact: /snapshot camera/ }, 'by package')
    const wrong = doctor({ uri: 'http://127.0.0.1:9/' }).stdout
    t.match(wrong, /no option uri; there are url, limitMs/, 'its options are checked')
  },
)

function cameraIn(answer: string): unknown {
  const { findings } = JSON.parse(answer) as { findings: { what: string }[] }
  return findings.find(({ what }) => what === 'camera')
}

t.test('D1 D6: every command of the installed packages runs', async (t) => {
  const folder = join(temp, 'everything')
  install(t, folder, names)
  for (const name of names) {
    const manifest = JSON.parse(readFileSync(join(root, name, 'package.json'), 'utf8'))
    for (const command of Object.keys(manifest.bin ?? {})) {
      const help = run(bin(folder, command), ['--help'], folder)
      t.equal(help.status, 0, `${command} --help${help.stderr}`)
      const subcommands = [...help.stdout.matchAll(new RegExp(`^  ${command} ([a-z -]+[a-z])`, 'gm'))].map(
        (match) => match[1]!,
      )
      t.ok(subcommands.length >= 3, `${command} shows its commands`)
      for (const sub of subcommands) {
        const { status, stdout } = run(bin(folder, command), [...sub.split(' '), '--help'], folder)
        t.equal(status, 0, `${command} ${sub} --help`)
        t.match(stdout, `${command} ${sub}`)
      }
      t.equal(run(bin(folder, command), ['--version'], folder).stdout.trim(), manifest.version, `${command} --version`)
    }
  }
  const made = run(bin(folder, 'azukari-gateway'), ['init', '--folder', './site', '--json'], folder)
  t.equal(made.status, 0, made.stderr)
  t.match(JSON.parse(made.stdout), { made: true, recoveryKey: String })
  t.equal(run(bin(folder, 'azukari-device'), ['status', '--json'], folder).status, 0, 'azukari-device status')
  t.equal(run(bin(folder, 'azukari-device'), ['run'], folder).status, 2, 'azukari-device run says what it needs')

  for (const [command, ...words] of [
    ['azukari-gateway', '--apart'],
    ['azukari-device', '--broker', 'mqtts://site.example:8883'],
  ] as const) {
    const { status, stdout, stderr } = run(bin(folder, command), ['service', ...words, '--json'], folder)
    t.equal(status, 0, stderr)
    const files = JSON.parse(stdout) as Record<string, string>
    const lines = Object.values(files).flatMap((text) => text.match(/^ExecStart=\/.+ (?:run|launch) .+$/gm) ?? [])
    t.equal(lines.length, 1, `${command} service has one unit that runs it`)
    for (const path of lines[0]!.matchAll(/(?<=[= ])\/\S+(?=.* (?:run|launch) )/g))
      t.ok(existsSync(path[0]), `${path[0]} is there`)
    t.match(lines[0], join(folder, 'node_modules/@azukari'), 'the unit runs what was installed')
  }

  // Every module of every package loads as JavaScript: nothing was left out that only the sources had.
  const modules = names.flatMap((name) => modulesOf(join(folder, 'node_modules/@azukari', name, 'dist')))
  t.ok(modules.length > 150, `${modules.length} modules`)
  const paths = modules
    .filter((path) => !/\/(cli|conformance\/.*|bench|azukari-[a-z]+)\.js$/.test(path))
    .map((path) => pathToFileURL(path).href)
  // Drivers of real parts ask for the part's library, which a board installs only with the part.
  const peers = Object.keys(JSON.parse(readFileSync(join(root, 'boards/package.json'), 'utf8')).peerDependencies)
  writeFileSync(
    join(folder, 'load.mjs'),
    `for (const path of ${JSON.stringify(paths)})
       await import(path).catch((error) => {
         const missing = /^Cannot find package '([^']+)'/.exec(error.message)?.[1]
         if (!path.includes('/boards/dist/') || !${JSON.stringify(peers)}.includes(missing)) throw error
       })
     process.exit(0)
`,
  )
  const loaded = run(process.execPath, ['load.mjs'], folder)
  t.equal(loaded.status, 0, loaded.stderr)

  writeFileSync(join(folder, 'consumer.ts'), consumer)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2024',
        lib: ['es2024', 'esnext.disposable'],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        types: ['node'],
        typeRoots: [join(root, 'node_modules/@types')],
      },
      files: ['consumer.ts'],
    }),
  )
  const compiled = run(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], folder)
  t.equal(compiled.status, 0, compiled.stdout)
  writeFileSync(join(folder, 'consumer.ts'), `${consumer}\nconst wrong: string = code(1)\nconsole.log(wrong)\n`)
  t.not(
    run(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], folder).status,
    0,
    'the declarations say what the types are',
  )
})

t.test('nothing of this machine is in the packages', async (t) => {
  const folder = join(temp, 'everything/node_modules/@azukari')
  const traces = [root, temp, process.env['HOME'] ?? '/nonexistent', registryHost()].filter((trace) => trace.length > 5)
  for (const path of names.flatMap((name) => filesOf(join(folder, name))))
    for (const trace of traces) if (readFileSync(path, 'latin1').includes(trace)) t.fail(`${path} holds ${trace}`)
  t.pass('looked through')
})

const consumer = `
import { decode, encode } from '@azukari/protocol/codec'
import { contracts } from '@azukari/protocol/contracts/all'
import type { Board, BoardModule } from '@azukari/device/drivers'
import { Runtime, type DeviceConfig } from '@azukari/device/runtime'
import { buildBoard } from '@azukari/boards/definitions'
import type { GatewaySettings } from '@azukari/gateway/host/run-gateway'
import { simulatedBoard } from '@azukari/sim/testkit/boards/index'

export const code = (value: number): Uint8Array => encode({ value })
export const ids: string[] = contracts.map((contract) => contract.id)
export const board: BoardModule['board'] = (ports): Promise<Board> =>
  buildBoard({ model: 'mine', what: 'mine', parts: {} }, ports)
export type Config = [DeviceConfig, GatewaySettings]
export { decode, Runtime, simulatedBoard }
`

function install(t: Tap, folder: string, wanted: readonly string[]): void {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'somebody', private: true, type: 'module' }))
  const { status, stderr } = run('npm', ['install', ...offline, ...wanted.map(tarball)], folder)
  t.equal(status, 0, stderr)
}

type Tap = Pick<typeof t, 'equal'>

function bin(folder: string, command: string): string {
  return join(folder, 'node_modules/.bin', command)
}

/** Names of all packages that were installed, at any depth. */
function installed(folder: string): string[] {
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, unknown>
  }
  return Object.keys(lock.packages)
    .filter(Boolean)
    .map((path) => path.slice(path.lastIndexOf('node_modules/') + 13))
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

function modulesOf(folder: string): string[] {
  return filesOf(folder).filter((path) => path.endsWith('.js') && existsSync(path.replace(/\.js$/, '.d.ts')))
}

function sizeOf(folder: string): number {
  return filesOf(folder).reduce((sum, path) => sum + statSync(path).size, 0)
}

function registryHost(): string {
  const { stdout } = run('npm', ['config', 'get', 'registry'], temp)
  const url = stdout.trim()
  return URL.canParse(url) && !url.includes('registry.npmjs.org') ? new URL(url).host : ''
}

/** Resolves when the file is not there any more. */
async function gone(path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const watcher = watch(dirname(path), () => !existsSync(path) && resolve())
  if (!existsSync(path)) resolve()
  await promise
  watcher.close()
}
