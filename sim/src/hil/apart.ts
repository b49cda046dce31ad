/**
 * Programs of the system that listen on every address, or insist on files of the whole machine: started in a network
 * and mount namespace of their own, as one process group that ends with us, however we end.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { Problem } from '@azukari/protocol/problem'

/** What is kept of what they say. */
const saidMax = 3_000

export interface Apart {
  /** Rejects when one of the programs ends of itself; never resolves. */
  ended: Promise<never>
  stop(): Promise<void>
}

/** In a machine of its own that is thrown away, such as a build's container, programs may run beside everything else. */
const isAlone = process.env['AZUKARI_HIL_ALONE'] === '1'
const namespaces = ['unshare', '--net', '--mount']

/** Whether this machine lets us make namespaces; what it says if not. */
export function namespacesRefused(): string | undefined {
  const [command, ...args] = namespaces
  const tried = spawnSync(command!, [...args, 'sh', '-c', 'ip link set lo up && mount -t tmpfs none /mnt'], {
    encoding: 'utf8',
    timeout: 10_000,
  })
  return tried.status === 0 ? undefined : tried.stderr.trim() || String(tried.error ?? `exit code ${tried.status}`)
}

export const namespaceAdvice =
  'run as root, in a container with --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined; or, where nothing else runs, with AZUKARI_HIL_ALONE=1'

let refused: string | undefined | null = null

/** Whether programs that are started now have namespaces of their own. */
export function isApart(): boolean {
  refused = refused === null ? namespacesRefused() : refused
  return refused === undefined
}

/**
 * Runs a shell script apart. It starts its programs in the background; when one of them ends, all do.
 * @param folders of the machine, and what the programs see there instead
 * @throws {Problem} `service.unavailable` when namespaces are refused
 */
export function startApart(what: string, script: string, folders: Readonly<Record<string, string>> = {}): Apart {
  refused = refused === null ? namespacesRefused() : refused
  if (refused !== undefined && !isAlone)
    throw new Problem('service.unavailable', `${what} needs namespaces of its own (${refused}): ${namespaceAdvice}`)
  const prepare = refused
    ? Object.keys(folders).map((folder) => `rm -rf ${folder}; mkdir -p ${folder}`)
    : [
        'ip link set lo up',
        ...Object.entries(folders).map(([folder, own]) => `mkdir -p ${folder} && mount --bind ${own} ${folder}`),
      ]
  const lines = ["trap 'trap - TERM EXIT; kill 0' TERM EXIT", ...prepare, script, 'wait -n', 'exit 1']
  const shell = [...(refused ? [] : namespaces), 'bash', '-c', lines.join('\n')]
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...shell], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      said = `${said}${text}`.slice(-saidMax)
    })
  const ended = new Promise<never>((_, reject) => {
    child.once('error', (cause) => reject(new Problem('service.unavailable', `${what}: ${cause.message}`, { cause })))
    child.once('exit', (code) => reject(new Problem('service.unavailable', `${what} ended with ${code}: ${said}`)))
  })
  ended.catch(() => undefined)
  return { ended, stop: () => stop(child) }
}

async function stop(child: ChildProcess): Promise<void> {
  if (!child.pid || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  process.kill(-child.pid, 'SIGTERM')
  await gone
}
