/** Debian's Mosquitto as a site's broker, set up as docs/operators.md says: a listener for the gateway, one for devices. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@azukari/protocol/adapters/free-port'
import { InternalError } from '@azukari/protocol/problem'
import { quietLog } from '../testkit/log.ts'
import { watchProgress } from '../testkit/progress.ts'
import { gatewayCommand } from './processes.ts'
import { SimulatedSite, type SiteOptions } from './site.ts'

export const mosquitto = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto'].find((path) => existsSync(path))

const startMs = 10_000

export interface RunningMosquitto {
  gatewayUrl: string
  devicesUrl: string
  /** The gateway's password there. */
  password: string
  stop(): Promise<void>
}

/** @throws {InternalError} when it does not start */
export async function startMosquitto(folder: string, site: string): Promise<RunningMosquitto> {
  await mkdir(folder, { recursive: true })
  const password = 'for-the-gateway'
  const [gatewayPort, devicesPort] = [await freePort(), await freePort()]
  await gatewayCommand(['acl', '--site', site, '--out', `${folder}/gateway.acl`])
  await gatewayCommand(['acl', '--site', site, '--devices', '--out', `${folder}/devices.acl`])
  const made = spawnSync('mosquitto_passwd', ['-b', '-c', `${folder}/passwords`, 'azukari-gateway', password])
  if (made.status !== 0) throw new InternalError(`mosquitto_passwd: ${made.stderr}`)
  const lines = [
    'per_listener_settings true',
    'max_queued_messages 0',
    'message_size_limit 262144',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    `listener ${gatewayPort} 127.0.0.1`,
    `password_file ${folder}/passwords`,
    `acl_file ${folder}/gateway.acl`,
    `listener ${devicesPort} 127.0.0.1`,
    'allow_anonymous true',
    `acl_file ${folder}/devices.acl`,
  ]
  await writeFile(`${folder}/mosquitto.conf`, `${lines.join('\n')}\n`)
  const child = spawn(mosquitto!, ['-c', `${folder}/mosquitto.conf`], { stdio: ['ignore', 'ignore', 'pipe'] })
  await running(child)
  return {
    gatewayUrl: `mqtt://127.0.0.1:${gatewayPort}`,
    devicesUrl: `mqtt://127.0.0.1:${devicesPort}`,
    password,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill()
      await gone
    },
  }
}

function running(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    const limit = watchProgress(child.pid!, startMs, () => child.kill('SIGKILL'))
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (!/running/.test(text)) return
      limit[Symbol.dispose]()
      resolve()
    })
    child.once('exit', () => reject(new InternalError(`mosquitto: ${text}`)))
  })
}

/** A site in a folder of its own that speaks over Mosquitto; it ends, and goes, with the test. */
export async function siteOverMosquitto(
  t: { teardown(work: () => unknown): unknown },
  options: Pick<SiteOptions, 'servers' | 'boards'>,
): Promise<{ site: SimulatedSite; broker: RunningMosquitto }> {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-mosquitto-'))
  const broker = await startMosquitto(`${folder}/mosquitto`, 'site')
  const site = new SimulatedSite({
    ...options,
    folder,
    broker: broker.devicesUrl,
    gatewayArgs: ['--broker', broker.gatewayUrl],
    gatewayEnvironment: { AZUKARI_BROKER_PASSWORD: broker.password },
    log: quietLog,
  })
  t.teardown(async () => {
    await site.stop()
    await broker.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await site.start()
  return { site, broker }
}
