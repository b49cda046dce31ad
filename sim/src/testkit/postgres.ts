/**
 * A PostgreSQL of its own for tests: Debian's server in a temporary folder, on a free port of loopback and a Unix socket.
 * It ends with the process that started it, even when that is killed.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from '@azukari/protocol/adapters/free-port'
import { InternalError, Problem } from '@azukari/protocol/problem'
import pg from 'pg'

const role = 'azukari'
const oldestMajor = 15
const portTriesMax = 10
const heldTriesMax = 100
const stopMs = 60_000

export interface PostgresOptions {
  /** Write through to the disk at each commit. Off by default: tests end processes, not power. */
  isDurable?: boolean
  /** Further lines of postgresql.conf. */
  settings?: readonly string[]
}

export interface PostgresCluster extends AsyncDisposable {
  /** For clients: `postgresql://role:password@127.0.0.1:port/postgres`; the role is a superuser. */
  readonly url: string
  readonly port: number
  /** Folder of the Unix socket. */
  readonly socketFolder: string
  /** What the server wrote. */
  readonly logFile: string
  readonly pid: number
  /** Ends the server by its id. SIGINT rolls open transactions back; SIGKILL is a crash: `start` recovers from it. */
  kill(signal?: 'SIGINT' | 'SIGTERM' | 'SIGQUIT' | 'SIGKILL'): Promise<void>
  /** Starts it again after `kill`, on the same port and data. */
  start(): Promise<void>
  /** Another server that follows this one; from now on a commit is acknowledged when it is there, too. */
  standby(): Promise<PostgresCluster>
  /** Makes a standby the server that is written to. */
  promote(): Promise<void>
}

/** Folder of the server's programs, the newest that is here. Debian keeps them out of the path. */
export function postgresPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const majors = existsSync(debian) ? readdirSync(debian).map(Number) : []
  const folders = majors
    .filter((major) => major >= oldestMajor)
    .sort((a, b) => b - a)
    .map((major) => join(debian, String(major), 'bin'))
  return [...folders, ...(process.env['PATH'] ?? '').split(delimiter)].find((folder) =>
    ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))),
  )
}

/**
 * Makes and starts a cluster. As root it runs under Debian's user `postgres`, since PostgreSQL refuses root.
 * @throws {Problem} `service.unavailable` when PostgreSQL is not installed or does not start
 */
export async function startPostgres({
  isDurable = false,
  settings = [],
}: PostgresOptions = {}): Promise<PostgresCluster> {
  const programs = postgresPrograms()
  if (!programs)
    throw new Problem('service.unavailable', `PostgreSQL ${oldestMajor} is not installed: apt-get install postgresql`)
  const owner = process.getuid?.() === 0 ? systemUser('postgres') : undefined
  const folder = mkdtempSync(join(tmpdir(), 'azukari-postgres-'))
  const socketFolder = join(folder, 'socket')
  mkdirSync(socketFolder)
  const password = randomBytes(18).toString('base64url')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (owner) for (const path of [folder, socketFolder, passwordFile]) chownSync(path, owner.uid, owner.gid)

  const dataFolder = join(folder, 'data')
  const logFile = join(folder, 'log')
  try {
    execFileSync(
      join(programs, 'initdb'),
      [
        `--pgdata=${dataFolder}`,
        `--username=${role}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C.UTF-8',
        '--no-sync',
        '--no-instructions',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...owner },
    )
  } catch (cause) {
    rmSync(folder, { recursive: true, force: true })
    throw new Problem('service.unavailable', `initdb failed: ${String((cause as { stderr?: Buffer }).stderr)}`)
  }
  writeFileSync(
    join(dataFolder, 'postgresql.auto.conf'),
    [
      "listen_addresses = '127.0.0.1'",
      `unix_socket_directories = '${socketFolder}'`,
      'max_connections = 200',
      'max_prepared_transactions = 20',
      'shared_buffers = 64MB',
      "timezone = 'UTC'",
      "lc_messages = 'C'",
      'jit = off',
      ...(isDurable ? [] : ['fsync = off', 'full_page_writes = off']),
      ...settings,
      '',
    ].join('\n'),
  )
  return await Cluster.started({ programs, folder, dataFolder, socketFolder, logFile, password, owner })
}

interface Owner {
  uid: number
  gid: number
}

interface Place {
  programs: string
  folder: string
  dataFolder: string
  socketFolder: string
  logFile: string
  password: string
  owner: Owner | undefined
}

class Cluster implements PostgresCluster {
  readonly #place: Place
  readonly port: number
  #server: ChildProcess

  private constructor(place: Place, port: number, server: ChildProcess) {
    this.#place = place
    this.port = port
    this.#server = server
  }

  static async started(place: Place): Promise<Cluster> {
    for (let tries = 1; ; tries += 1) {
      const port = await freePort()
      try {
        return new Cluster(place, port, await startServer(place, port))
      } catch (error) {
        const isTaken = error instanceof Problem && error.message.includes('Address already in use')
        if (isTaken && tries < portTriesMax) continue
        rmSync(place.folder, { recursive: true, force: true })
        throw error
      }
    }
  }

  get url(): string {
    return `postgresql://${role}:${this.#place.password}@127.0.0.1:${this.port}/postgres`
  }

  get socketFolder(): string {
    return this.#place.socketFolder
  }

  get logFile(): string {
    return this.#place.logFile
  }

  get pid(): number {
    return this.#server.pid!
  }

  async kill(signal: 'SIGINT' | 'SIGTERM' | 'SIGQUIT' | 'SIGKILL' = 'SIGINT'): Promise<void> {
    const server = this.#server
    if (hasEnded(server)) return
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill(signal)
    const timer = setTimeout(() => server.kill('SIGKILL'), stopMs)
    await ended
    clearTimeout(timer)
  }

  async start(): Promise<void> {
    if (!hasEnded(this.#server)) throw new InternalError('PostgreSQL runs already')
    // After a crash the server's own processes still hold its memory for a moment.
    for (let tries = 1; ; tries += 1) {
      try {
        this.#server = await startServer(this.#place, this.port)
        return
      } catch (error) {
        const isHeld = error instanceof Problem && error.message.includes('shared memory block')
        if (!isHeld || tries === heldTriesMax) throw error
        await pause(100)
      }
    }
  }

  async standby(): Promise<PostgresCluster> {
    const { programs, owner } = this.#place
    const folder = mkdtempSync(join(tmpdir(), 'azukari-standby-'))
    const socketFolder = join(folder, 'socket')
    mkdirSync(socketFolder)
    if (owner) for (const path of [folder, socketFolder]) chownSync(path, owner.uid, owner.gid)
    const dataFolder = join(folder, 'data')
    const from = ['--dbname', `${this.url}?application_name=standby`, '--pgdata', dataFolder]
    await run(join(programs, 'pg_basebackup'), [...from, '--write-recovery-conf', '--checkpoint=fast'], folder, owner)
    const settings = [`unix_socket_directories = '${socketFolder}'`, 'hot_standby = on', '']
    writeFileSync(join(dataFolder, 'postgresql.auto.conf'), settings.join('\n'), { flag: 'a' })
    const place = { ...this.#place, folder, dataFolder, socketFolder, logFile: join(folder, 'log') }
    const standby = await Cluster.started(place)
    await this.#set(`ALTER SYSTEM SET synchronous_standby_names = '*'`)
    return standby
  }

  async promote(): Promise<void> {
    await this.#set('SELECT pg_promote()')
  }

  async #set(...statements: string[]): Promise<void> {
    const client = new pg.Client({ connectionString: this.url })
    await client.connect()
    for (const statement of [...statements, 'SELECT pg_reload_conf()']) await client.query(statement)
    await client.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    // A killed server's own processes end a moment later and write until then.
    rmSync(this.#place.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}

async function run(program: string, args: string[], cwd: string, owner: Owner | undefined): Promise<void> {
  await promisify(execFile)(program, args, { cwd, ...owner })
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function startServer(place: Place, port: number): Promise<ChildProcess> {
  const server = join(place.programs, 'postgres')
  const args = ['-D', place.dataFolder, '-p', String(port)]
  // The kernel ends the server with us, also when we are killed; elsewhere than on Linux it stays then.
  const setpriv = process.platform === 'linux' ? '/usr/bin/setpriv' : undefined
  const [command, ...words] = setpriv ? [setpriv, '--pdeathsig', 'INT', server, ...args] : [server, ...args]
  const child = spawn(command!, words, { stdio: ['ignore', 'ignore', 'pipe'], cwd: place.folder, ...place.owner })
  let said = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000)
    writeFileSync(place.logFile, text, { flag: 'a' })
  })
  const ended = new Promise<never>((_, reject) => {
    child.once('error', (cause) =>
      reject(new Problem('service.unavailable', `PostgreSQL does not start: ${cause.message}`)),
    )
    child.once('close', () => reject(new Problem('service.unavailable', `PostgreSQL ended: ${said}`)))
  })
  ended.catch(() => undefined)
  // It writes a line into its lock file when it takes connections; a recovery after a crash may take as long as it does.
  const lockFile = join(place.dataFolder, 'postmaster.pid')
  const isReady = () => {
    const lock = existsSync(lockFile) ? readFileSync(lockFile, 'utf8') : ''
    return lock.startsWith(`${child.pid}\n`) && /^ready\s*$/m.test(lock)
  }
  while (!isReady()) await Promise.race([ended, pause(20)])
  await Promise.race([ended, accepts(port)])
  return child
}

/** Waits until a connection is taken. */
async function accepts(port: number): Promise<void> {
  for (;;) {
    const isTaken = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isTaken) return
    await pause(20)
  }
}

function systemUser(name: string): Owner {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  if (!uid || !gid) throw new Problem('service.unavailable', `no user ${name} here: apt-get install postgresql`)
  return { uid: Number(uid), gid: Number(gid) }
}
