/**
 * Hosts of a site on one machine: each has a network, processes, a name and a file system of its own (namespaces and an
 * overlay over this machine's), and they reach each other through a switch that nothing else is plugged into. They end with
 * this process, however it ends, and what was on them is gone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Problem } from '@azukari/protocol/problem'
import { until } from '../site/wait.ts'

/** TEST-NET-1 (RFC 5737): no route leads there from anywhere. */
const network = '192.0.2'
const domain = 'example'
/** Only what hangs: installing on a busy machine takes minutes. */
const commandMs = 1_200_000

/** Where the packages' files are found on every host, as docs/operators.md has them. */
const packagesFolder = '/root/packages'

/** What a program of a host sees: nothing of the process that starts it. */
const environment = {
  HOME: '/root',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
}

export interface Said {
  code: number | null
  out: string
  err: string
}

export interface HostProcess {
  /** The first line that it said. */
  readonly said: string
  /** Everything that it said on standard error. */
  log(): string
  /** Asks it to end, and waits. */
  stop(): Promise<void>
}

export interface HostNetworkOptions {
  /** An empty folder; also where logs go. */
  folder: string
  /** Folder of the packages' files. */
  packages: string
}

/** What namespaces a host is made of. */
const namespaces = ['--net', '--mount', '--pid', '--uts', '--fork', '--kill-child']

/** What a test is skipped with where hosts cannot be made; `scripts/omissions.ts` knows it. */
export const refusedWords = 'namespaces and overlays are refused'

/** Whether this machine lets us make hosts; what it says if not. */
export function hostsRefused(): string | undefined {
  const script = `
mount -t tmpfs none /mnt
cd /mnt
mkdir changes work root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/changes,workdir=/mnt/work root
ip link add lan type bridge
ip link add port type veth peer name eth0
`
  const tried = spawnSync('unshare', [...namespaces, 'bash', '-ec', script], { encoding: 'utf8', timeout: 30_000 })
  if (tried.status === 0) return undefined
  return tried.stderr?.trim().replaceAll('\n', ' ') || String(tried.error ?? `exit code ${tried.status}`)
}

/** Removes a folder when this process has ended, also when it was killed. */
export function removeAfterUs(folder: string): void {
  const script = `trap "" HUP INT TERM; cat >/dev/null; rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }`
  // The kernel closes our end of the pipe, however we end.
  const remover = spawn('bash', ['-c', script, '-', folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  remover.unref()
}

/** Prepares the file system; its last words keep the host alive and collect what ends. */
const hostScript = `
read -r pid _ </proc/self/stat
mount -t tmpfs none "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
for folder in run tmp work media; do mount -t tmpfs none $folder; done
mkdir -p ".$5" ".${packagesFolder}" run/lock
mount --bind "$5" ".$5"
mount --bind "$4" ".${packagesFolder}"
touch usr/local/bin/node
mount --bind "$3" usr/local/bin/node
rm -rf var/lib/azukari* etc/azukari opt/azukari
hostname "$2"
echo "127.0.0.1 localhost" >etc/hosts
ip link set lo up
# vpcd sends each message in two pieces, the second only when the first is acknowledged: at once, not after 40 ms.
for to in 127.0.0.0/8 127.0.0.1; do ip route change local $to dev lo table local proto kernel scope host src 127.0.0.1 quickack 1; done
echo "$pid"
exec chroot . bash -c 'trap "" HUP; while :; do sleep 3600 & wait $!; done'
`

export class Host {
  readonly name: string
  readonly address: string
  readonly #folder: string
  readonly #keeper: ChildProcess
  readonly #pid: number
  /** What lines before have exported. A test runner adds to the environment of whatever it starts. */
  #exports = `unset NODE_OPTIONS \${!TAP*} \${!_TAP*}\n`
  #started = 0

  constructor(name: string, address: string, folder: string, keeper: ChildProcess, pid: number) {
    this.name = name
    this.address = address
    this.#folder = folder
    this.#keeper = keeper
    this.#pid = pid
  }

  /** The words that run a program on this host. `outside`: with this machine's network, for package registries. */
  words(outside = false): string[] {
    const entered = ['--target', String(this.#pid), '--mount', '--pid', '--uts', '--root', '--wdns=/root']
    return ['nsenter', ...entered, ...(outside ? [] : ['--net']), '--']
  }

  /** A line of a shell, to its end. What it exports counts for the lines after it. */
  async run(line: string, { input = '', more = {} as Record<string, string>, outside = false } = {}): Promise<Said> {
    if (/^export /.test(line)) {
      this.#exports += `${line}\n`
      return { code: 0, out: '', err: '' }
    }
    const [command, ...args] = [...this.words(outside), 'bash', '-c', `${this.#exports}${line}`]
    const child = spawn(command!, args, { env: { ...environment, ...more }, timeout: commandMs })
    const said: Said = { code: null, out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      said.out += part
    })
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      said.err += part
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    said.code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return said
  }

  /** A line that stays running, until it has said its first line. @throws {Problem} `service.unavailable` when it ends before */
  async start(line: string): Promise<HostProcess> {
    const name = `${this.name}-${++this.#started}`
    const marked = `${this.#exports}echo $$ >/run/${name}.pid; exec ${line}`
    const [command, ...args] = [...this.words(), 'bash', '-c', marked]
    const child = spawn(command!, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    const file = createWriteStream(join(this.#folder, `${name}.log`))
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      out += part
    })
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      err += part
      file.write(part)
    })
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    let isOver = false
    void ended.then(() => {
      isOver = true
    })
    await until(`${line} on ${this.name}`, () => out.includes('\n') || isOver, 60_000)
    if (isOver) throw new Problem('service.unavailable', `${line} ended on ${this.name}: ${out}${err}`)
    return {
      said: out.split('\n')[0]!,
      log: () => err,
      stop: async () => {
        await this.run(`kill $(cat /run/${name}.pid)`)
        await ended
      },
    }
  }

  /** Where this machine sees a file of the host. */
  path(path: string): string {
    return join(`/proc/${this.#pid}/root`, path)
  }

  /** Plugs the host's network cable in, or pulls it out. */
  plug(isIn: boolean): void {
    here(['nsenter', '--target', String(this.#pid), '--net', 'ip', 'link', 'set', 'eth0', isIn ? 'up' : 'down'])
  }

  get pid(): number {
    return this.#pid
  }

  /** All of its processes die at once, and its disks are gone. */
  async destroy(): Promise<void> {
    if (this.#keeper.exitCode !== null || this.#keeper.signalCode !== null) return
    const gone = new Promise<void>((resolve) => this.#keeper.once('exit', () => resolve()))
    this.#keeper.kill('SIGKILL')
    await gone
  }
}

export class HostNetwork {
  readonly #options: HostNetworkOptions
  readonly #hosts = new Map<string, Host>()
  #switch: { keeper: ChildProcess; pid: number } | undefined
  #made = 0

  constructor(options: HostNetworkOptions) {
    this.#options = options
  }

  /** Makes a new host with nothing on it; all hosts know each other's names. @throws {Problem} `service.unavailable` where namespaces are refused */
  async add(name: string): Promise<Host> {
    this.#switch ??= await this.#startSwitch()
    const number = ++this.#made
    const root = join(this.#options.folder, `host-${number}`)
    const shared = this.shared
    await mkdir(root)
    await mkdir(shared, { recursive: true })
    const fqdn = `${name}.${domain}`
    const words = ['bash', '-ec', hostScript, '-', root, fqdn, process.execPath, this.#options.packages, shared]
    const { keeper, pid } = await keep(`host ${name}`, ['unshare', ...namespaces, ...words])
    const address = `${network}.${number}`
    const line = `port${number}`
    inSwitch(this.#switch.pid, `ip link add ${line} type veth peer name eth0 netns ${pid}`)
    inSwitch(this.#switch.pid, `ip link set ${line} master lan up`)
    inSwitch(pid, `ip addr add ${address}/24 dev eth0`)
    inSwitch(pid, 'ip link set eth0 up')
    const host = new Host(name, address, this.#options.folder, keeper, pid)
    this.#hosts.set(name, host)
    const names = [...this.#hosts.values()].map((one) => `${one.address} ${one.name}.${domain} ${one.name}`)
    const file = ['127.0.0.1 localhost', ...names, ''].join('\n')
    for (const one of this.#hosts.values()) await one.run('cat >/etc/hosts', { input: file })
    return host
  }

  /** A folder that all hosts and this machine see at the same path. */
  get shared(): string {
    return join(this.#options.folder, 'shared')
  }

  /** Somebody carries a file from one host to another. */
  async carry(from: Host, to: Host, path: string): Promise<void> {
    const file = join(this.shared, 'carried')
    await copyFile(from.path(path), file)
    const said = await to.run(`mkdir -p "$(dirname ${path})" && cp ${file} ${path}`)
    if (said.code !== 0) throw new Problem('storage.failed', `${path} could not be copied: ${said.err}`)
    await rm(file)
  }

  async close(): Promise<void> {
    for (const host of this.#hosts.values()) await host.destroy()
    const keeper = this.#switch?.keeper
    if (keeper && keeper.exitCode === null) keeper.kill('SIGKILL')
  }

  async #startSwitch(): Promise<{ keeper: ChildProcess; pid: number }> {
    const script = `read -r pid _ </proc/self/stat; ip link add lan type bridge; ip link set lan up; echo $pid; exec sleep infinity`
    return keep('the switch', ['unshare', '--net', 'bash', '-ec', script])
  }
}

/** Starts what keeps a namespace alive, and gives the pid that it tells. It ends when this process does. */
async function keep(what: string, words: readonly string[]): Promise<{ keeper: ChildProcess; pid: number }> {
  const keeper = spawn('setpriv', ['--pdeathsig', 'KILL', ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  keeper.stdout.setEncoding('utf8').on('data', (part: string) => {
    out += part
  })
  keeper.stderr.setEncoding('utf8').on('data', (part: string) => {
    err += part
  })
  await until(what, () => out.includes('\n') || keeper.exitCode !== null)
  if (keeper.exitCode !== null) throw new Problem('service.unavailable', `${what} could not be made: ${err}`)
  return { keeper, pid: Number(out) }
}

function inSwitch(pid: number, line: string): void {
  here(['nsenter', '--target', String(pid), '--net', ...line.split(' ')])
}

function here([command, ...args]: string[]): void {
  const { status, stderr } = spawnSync(command!, args, { encoding: 'utf8', timeout: 10_000 })
  if (status !== 0) throw new Problem('service.unavailable', `${command} ${args.join(' ')}: ${stderr}`)
}
