/** Commands that run a site's processes until they are told to stop (SIGINT, SIGTERM): the gateway, services apart, data servers. */
import { readFileSync } from 'node:fs'
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { launchedVariable } from '@azukari/protocol/adapters/launched'
import { watchdog } from '@azukari/protocol/adapters/watchdog'
import { Problem } from '@azukari/protocol/problem'
import { systemPorts } from './adapters/system-ports.ts'
import { configOptions } from './config.ts'
import type { ServiceModule } from './host/service-module.ts'
import { consoleLog } from './log.ts'
import { configOf } from './operator/call-settings.ts'
import { folder, site } from './operator/site-options.ts'
import { packageVersion } from './program.ts'
import { services } from './services/index.ts'
import type { TelemetrySettings } from './telemetry/publisher.ts'

const host = { type: 'string', what: 'address to listen on', default: '127.0.0.1' } as const
const port = { type: 'string', what: 'port to listen on; 0 = any free one' } as const

const runCommand: Command = {
  what: 'Runs the gateway, with the services inside it unless told otherwise, until it is told to stop (SIGINT, SIGTERM). Settings may also stand in gateway.json of the site’s folder.',
  options: { folder, ...configOptions() },
  async run(values) {
    const config = configOf(values)
    const { runGateway } = await import('./host/run-gateway.ts')
    const log = consoleLog('gateway', config.log)
    const { tlsKey, tlsCert, broker, brokerUser, brokerCa } = config
    const apart = Object.fromEntries(
      services.flatMap(({ name }) => {
        const given = config[name as keyof typeof config]
        return given ? [[name, addresses(given, `--${name}`)]] : []
      }),
    )
    const path = text(values, 'folder')
    using _gateway = holdFolder(`${path}/gateway.lock`)
    using locks = new DisposableStack()
    for (const { name, lock } of services) if (!apart[name]) locks.use(holdFolder(`${path}/${lock}`))
    const launched = process.env[launchedVariable]
      ? await (await import('./upgrade/main.ts')).launchedGateway(path, packageVersion(), log)
      : undefined
    const running = await runGateway({
      site: config.site,
      folder: path,
      version: packageVersion(),
      ...(launched?.confirm && { confirm: launched.confirm }),
      host: config.host,
      port: config.port,
      ...(tlsKey && tlsCert ? { tls: { key: pem(tlsKey), cert: pem(tlsCert) } } : {}),
      insecure: config.insecure,
      ...(broker && {
        broker: {
          url: address(broker, /^mqtts?:$/, '--broker'),
          username: brokerUser,
          password: process.env['AZUKARI_BROKER_PASSWORD'],
          ca: brokerCa && pem(brokerCa),
        },
      }),
      apart,
      bufferPort: config.bufferPort,
      passphrase: process.env['AZUKARI_PASSPHRASE'],
      limits: {
        bus: {
          connections: config.connections,
          readers: config.readers,
          strangers: config.strangers,
          strangersPerAddress: config.strangersPerAddress,
          claimants: config.claimants,
          claimantsPerAddress: config.claimantsPerAddress,
          subscriptions: config.subscriptions,
          allWaitingBytes: config.waitingMb * 1e6,
          messagesPerSecond: config.messagesPerSecond,
        },
        router: { deviceRequests: config.deviceRequests, requestBytes: config.requestMb * 1e6 },
        buffer: {
          totalBytes: config.bufferMb * 1e6,
          deviceBytes: config.deviceMb * 1e6,
          deviceTransfers: config.deviceTransfers,
          unsentMs: config.unsentMinutes * 60_000,
          idleMs: config.idleHours * 3_600_000,
        },
      },
      ...((config.homeAssistant || config.senml !== 'none') && {
        telemetry: {
          homeAssistant: config.homeAssistant,
          prefix: config.homeAssistantPrefix,
          senml: config.senml as TelemetrySettings['senml'],
          everyMs: config.telemetrySeconds * 1_000,
        },
      }),
      ...(config.healthPort >= 0 && { healthPort: config.healthPort }),
      ...(config.enrolPort >= 0 && {
        enrolment: { host: config.enrolHost, port: config.enrolPort, url: config.enrolUrl },
      }),
      log,
    })
    ready({
      ready: 'gateway',
      port: running.port,
      ...(running.bufferPort !== undefined && { bufferPort: running.bufferPort }),
      ...(running.healthPort > 0 && { healthPort: running.healthPort }),
      ...(running.enrolUrl !== undefined && { enrolUrl: running.enrolUrl }),
    })
    const { gateway } = running
    using _watchdog = watchdog({ environment: process.env, alive: () => gateway.alive(), log })
    const over = new AbortController()
    const replaced = launched?.replaced(over.signal).then(
      () => true,
      () => false,
    )
    const again = await Promise.race([stopAsked().then(() => false), ...(replaced ? [replaced] : [])])
    over.abort()
    await running.stop()
    if (!again) return undefined
    const { restartCode } = await import('@azukari/protocol/upgrade/launcher')
    return { json: { restart: true }, text: 'to be started again', exit: restartCode }
  },
}

export const gatewayCommands: Record<string, Command> = {
  run: runCommand,

  'config check': {
    what: 'Checks the settings and shows them as they would be used.',
    options: { folder, ...configOptions() },
    async run(values) {
      const config = configOf(values)
      const lines = Object.entries(config).map(([name, value]) => `${name.padEnd(20)} ${value}`)
      return { json: config, text: lines.join('\n') }
    },
  },
}

/** A service as a process of its own. @param role `backup`: the second of two, of which one leads */
function serviceCommand(module: ServiceModule, role: 'primary' | 'backup'): Command {
  const { name, peers, readsBuffer, lock } = module
  const asked: Command['options'] = Object.fromEntries(
    peers.map((peer) => [peer, { type: 'string', what: `https://… of ${peer}, which it asks`, required: true }]),
  )
  return {
    what:
      role === 'primary'
        ? `Runs ${name} (${module.what}) as a process of its own, beside a gateway that was started with --${name}.`
        : `Runs the second process of ${name}: it keeps what the other commits and takes over when that one is lost.`,
    options: {
      folder,
      site,
      host,
      port: { ...port, default: String(role === 'primary' ? module.port : module.port + 1) },
      ...(readsBuffer && {
        gateway: {
          type: 'string',
          what: 'https://… of the gateway’s receive buffer (its --buffer-port)',
          required: true,
        },
      }),
      ...asked,
    },
    async run(values) {
      const { runService } = await import('./host/run-service.ts')
      const own = role === 'primary' ? lock : `${name}-backup.lock`
      using _ = holdFolder(`${text(values, 'folder')}/${own}`)
      const running = await runService(module, {
        site: text(values, 'site'),
        folder: text(values, 'folder'),
        host: text(values, 'host'),
        port: integer(values, 'port', 0, 65_535),
        role,
        ...(readsBuffer && { gateway: address(values['gateway'], /^https:$/, '--gateway') }),
        peers: Object.fromEntries(peers.map((peer) => [peer, addresses(values[peer], `--${peer}`)])),
        passphrase: process.env['AZUKARI_PASSPHRASE'],
        log: consoleLog(role === 'primary' ? name : `${name}-backup`),
      })
      ready({ ready: name, url: running.url })
      await stopAsked()
      await running.stop()
      return undefined
    },
  }
}

/** Services apart, and data servers. */
export const processCommands: Record<string, Command> = {
  ...Object.fromEntries(
    services.flatMap((module) => [
      [module.name, serviceCommand(module, 'primary')],
      ...(module.paired ? [[`${module.name} backup`, serviceCommand(module, 'backup')]] : []),
    ]),
  ),

  'data-server': {
    what: 'Runs one data server of the site, until it is told to stop.',
    options: {
      folder,
      site,
      id: { type: 'string', what: 'its id: a–z, digits, hyphens', required: true },
      host,
      port: { ...port, default: '0' },
      disk: { type: 'string', what: 'PATH=BYTES of a disk; may be repeated', multiple: true },
    },
    async run(values) {
      const { runDataServer } = await import('./data-server/main.ts')
      const { SiteFolder } = await import('./site-folder.ts')
      const { loadSiteKey } = await import('./site-key.ts')
      const path = text(values, 'folder')
      const id = text(values, 'id')
      const place = new SiteFolder(path, text(values, 'site'), systemPorts)
      const log = consoleLog('data-server')
      const disks = (values['disk'] as string[] | undefined)?.map(diskOf) ?? [
        { path: `${path}/data-servers/${id}/disk`, capacityBytes: 10 * 1024 ** 3 },
      ]
      using locks = new DisposableStack()
      for (const disk of disks) locks.use(holdFolder(`${disk.path}/data-server.lock`))
      const identity = await loadSiteKey(
        systemPorts.files,
        `${path}/data-servers/${id}/identity.key`,
        systemPorts.random,
      )
      const running = await runDataServer({
        id,
        host: text(values, 'host'),
        port: integer(values, 'port', 0, 65_535),
        disks,
        identity,
        trust: [(await place.placementPublic()).key],
        tls: await place.keyring.identity(id, 'data-server'),
        log,
      })
      ready({ ready: 'data-server', id, url: running.url })
      await stopAsked()
      await running.stop()
      return undefined
    },
  },
}

function pem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Problem('config.invalid', `${path} cannot be read`, { cause })
  }
}

/** A URL of the right kind. @throws {Problem} `config.invalid` */
function address(value: unknown, protocol: RegExp, option: string): string {
  const url = URL.parse(String(value))
  if (!url || !protocol.test(url.protocol)) throw new Problem('config.invalid', `${option} ${value}: not such a URL`)
  return String(value)
}

/** One address, or two with a comma between them. */
function addresses(value: unknown, option: string): string {
  const list = String(value).split(',')
  if (list.length > 2) throw new Problem('config.invalid', `${option} ${value}: at most two`)
  return list.map((one) => address(one, /^https:$/, option)).join(',')
}

function diskOf(spec: string): { path: string; capacityBytes: number } {
  const match = /^(.+)=(\d+)$/.exec(spec)
  if (!match) throw new Problem('config.invalid', `--disk ${spec}: it must be PATH=BYTES`)
  return { path: match[1]!, capacityBytes: Number(match[2]) }
}

/** Tells whoever started this process that it works now: one JSON line on standard output. */
export function ready(fact: Record<string, unknown>): void {
  console.log(JSON.stringify(fact))
}

export function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
