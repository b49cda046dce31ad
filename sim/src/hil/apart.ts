/**
 * Programs of the system that listen on every address, or insist on files of the whole machine: started in a network
 * and mount namespace of their own, as one process group that ends with us, however we end.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { Problem } from '@azukari/protocol/problem'

/** What is kept of what they say. */
const saidMax = 3_000

export interface Apart {
  /** Rejects when one of the programs ends of itself; never resolves. */
  ended: Promise<never>
  stop(): Promise<void>
}

/**
 * Runs a shell script apart. It starts its programs in the background and must not return; when one ends, all do.
 * @param hidden folders of the machine that the programs see empty
 */
export function startApart(what: string, script: string, hidden: readonly string[] = []): Apart {
  const lines = [
    "trap 'trap - TERM; kill 0' TERM",
    'ip link set lo up || exit 70',
    ...hidden.map((folder) => `mkdir -p ${folder} && mount -t tmpfs none ${folder} || exit 70`),
    script,
    'wait -n',
    'exit 1',
  ]
  const namespaces = ['unshare', '--net', '--mount', 'bash', '-c', lines.join('\n')]
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...namespaces], {
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
    child.once('exit', (code) => reject(new Problem('service.unavailable', explain(what, code, said))))
  })
  ended.catch(() => undefined)
  return { ended, stop: () => stop(child) }
}

function explain(what: string, code: number | null, said: string): string {
  const refused = code === 70 || /unshare failed|Operation not permitted$/m.test(said)
  const todo = refused
    ? ' (it needs a network and a mount namespace: run as root, in a container with --cap-add SYS_ADMIN --cap-add NET_ADMIN)'
    : ''
  return `${what} ended with ${code}${todo}: ${said}`
}

async function stop(child: ChildProcess): Promise<void> {
  if (!child.pid || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  process.kill(-child.pid, 'SIGTERM')
  await gone
}
