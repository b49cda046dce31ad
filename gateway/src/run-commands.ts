/** Commands that run a site's processes until they are told to stop (SIGINT, SIGTERM): the gateway, services apart, data servers. */
import { readFileSync } from 'node:fs'
import type { Command, Values } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { launchedVariable } from '@azukari/protocol/adapters/launched'
import { watchdog } from '@azukari/protocol/adapters/watchdog'
import { Problem } from '@azukari/protocol/problem'
import { systemPorts } from './adapters/system-ports.ts'
import { address, apartOf, configOptions } from './config.ts'
import type { OwnHost } from './data-server/own-host.ts'
import { ready, stopAsked } from './host/process.ts'
import { host, port, serviceCommands } from './host/service-command.ts'
import { consoleLog } from './log.ts'
import { configOf } from './operator/call-settings.ts'
import { folder, site } from './operator/site-options.ts'
import { packageVersion } from './program.ts'
import { services } from './services/index.ts'
import type { TelemetrySettings } from './telemetry/publisher.ts'

const runCommand: Command = {
  what: 'Runs the gateway, with the services inside it unless told otherwise, until it is told to stop (SIGINT, SIGTERM). Settings may also stand in gateway.json of the site’s folder.',
  options: { folder, ...configOptions() },
  async run(values) {
    const config = configOf(values)
    const { runGateway } = await import('./host/run-gateway.ts')
    const log = consoleLog('gateway', config.log)
    const { tlsKey, tlsCert, broker, brokerUser, brokerCa } = config
    const apart = apartOf(config)
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
      ...(config.peerPort >= 0 && { peerPort: config.peerPort }),
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
      ...(config.httpsPort >= 0 && { https: { host: config.httpsHost, port: config.httpsPort } }),
      ...(config.enrolPort >= 0 && {
        enrolment: { host: config.enrolHost, port: config.enrolPort, url: config.enrolUrl },
      }),
      log,
    })
    ready({
      ready: 'gateway',
      port: running.port,
      ...(running.peerPort !== undefined && { peerPort: running.peerPort }),
      ...(running.httpsPort !== undefined && { httpsPort: running.httpsPort }),
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

const disk = { type: 'string', what: 'PATH=BYTES of a disk; may be repeated', multiple: true } as const

/** Services apart, and data servers. */
export const processCommands: Record<string, Command> = {
  ...serviceCommands,

  'data-server enrol': {
    what: 'Joins a site from a host of its own, with the claim that `servers add` printed at the site. Keys are made here and stay here.',
    options: {
      folder,
      gateway: { type: 'string', what: 'https://host:port of the gateway (its --peer-port)', required: true },
      claim: { type: 'string', what: 'the claim, NAME.SECRET; or AZUKARI_CLAIM', required: true },
      url: { type: 'string', what: 'https://host:port under which the others reach this server', required: true },
      host: { ...host, default: '0.0.0.0' },
      port: { ...port, what: 'port to listen on; else that of --url' },
      disk,
    },
    async run(values) {
      const { joinSite } = await import('./data-server/own-host.ts')
      const path = text(values, 'folder')
      const claim = text(values, 'claim')
      const url = address(values['url'], /^https:$/, '--url')
      using _ = holdFolder(`${path}/data-server.lock`)
      const own = await joinSite(
        {
          folder: path,
          claim,
          gateway: address(values['gateway'], /^https:$/, '--gateway'),
          url,
          host: text(values, 'host'),
          port: values['port'] === undefined ? Number(new URL(url).port || 443) : integer(values, 'port', 1, 65_535),
          disks: disksOf(values, path, claim.split('.')[0]!),
        },
        systemPorts,
      )
      return {
        json: own,
        text: `${own.id} belongs to the site ${own.site}. Start it: azukari-gateway data-server --folder ${path}`,
      }
    },
  },

  'data-server': {
    what: 'Runs one data server of the site, until it is told to stop.',
    options: {
      folder,
      site,
      id: { type: 'string', what: 'its id; on a host of its own `data-server enrol` has written it down' },
      host,
      port: { ...port, default: '0' },
      disk,
    },
    async run(values) {
      const own = await (await import('./data-server/own-host.ts')).ownHost(text(values, 'folder'), systemPorts)
      if (own) return runOnOwnHost(text(values, 'folder'), own)
      if (values['id'] === undefined) throw new Problem('config.invalid', 'which data server? Give --id')
      const { runDataServer } = await import('./data-server/main.ts')
      const { openTrust } = await import('./data-server/trust.ts')
      const { SiteFolder } = await import('./site-folder.ts')
      const { loadSiteKey } = await import('./site-key.ts')
      const path = text(values, 'folder')
      const id = text(values, 'id')
      const place = new SiteFolder(path, text(values, 'site'), systemPorts)
      const log = consoleLog('data-server')
      const disks = disksOf(values, path, id)
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
        trust: await openTrust(place, id, text(values, 'site'), systemPorts, log),
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

/** One that joined with `data-server enrol`. */
async function runOnOwnHost(path: string, own: OwnHost): Promise<undefined> {
  const { identityPath, keepCertificate, ownIdentity } = await import('./data-server/own-host.ts')
  const { openTrust } = await import('./data-server/trust.ts')
  const { runDataServer } = await import('./data-server/main.ts')
  const { SiteFolder } = await import('./site-folder.ts')
  const { loadSiteKey } = await import('./site-key.ts')
  const { id, host, port, disks } = own
  const log = consoleLog('data-server')
  using locks = new DisposableStack()
  for (const disk of disks) locks.use(holdFolder(`${disk.path}/data-server.lock`))
  const tls = await ownIdentity(path, id, systemPorts)
  const running = await runDataServer({
    id,
    host,
    port,
    disks,
    tls,
    log,
    identity: await loadSiteKey(systemPorts.files, identityPath(path, id), systemPorts.random),
    trust: await openTrust(new SiteFolder(path, own.site, systemPorts), id, own.site, systemPorts, log),
  })
  const certificate = keepCertificate(
    { own, folder: path, tls },
    { ports: systemPorts, log, take: (renewed) => running.renew(renewed) },
  )
  certificate.start()
  ready({ ready: 'data-server', id, url: running.url })
  await stopAsked()
  await certificate.stop()
  await running.stop()
  return undefined
}

function disksOf(values: Values, folder: string, id: string): { path: string; capacityBytes: number }[] {
  const given = (values['disk'] as string[] | undefined)?.map(diskOf)
  return given ?? [{ path: `${folder}/data-servers/${id}/disk`, capacityBytes: 10 * 1024 ** 3 }]
}

function pem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Problem('config.invalid', `${path} cannot be read`, { cause })
  }
}

function diskOf(spec: string): { path: string; capacityBytes: number } {
  const match = /^(.+)=(\d+)$/.exec(spec)
  if (!match) throw new Problem('config.invalid', `--disk ${spec}: it must be PATH=BYTES`)
  return { path: match[1]!, capacityBytes: Number(match[2]) }
}
