/** What `azukari-gateway` can do. Each command is one row: what it is for, its options, what it does. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type Command, integer, text, type Values } from '@azukari/protocol/adapters/command-line'
import { launchedVariable } from '@azukari/protocol/adapters/launched'
import { answerFiles } from '@azukari/protocol/adapters/service-files'
import { watchdog } from '@azukari/protocol/adapters/watchdog'
import { parseCoseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { restartCode } from '@azukari/protocol/upgrade/launcher'
import { openDatabase } from './adapters/database.ts'
import { mosquittoAcl } from './broker/acl.ts'
import { configOptions, type GatewayConfig, loadConfig } from './config.ts'
import { runDataServer } from './data-server/main.ts'
import { partsForPeople, partsOfDevices } from './fleet/parts.ts'
import { consoleLog } from './log.ts'
import { runGateway, runPlacement, runSettlement, systemPorts } from './main.ts'
import { careCommands } from './operator/care-commands.ts'
import { examine, siteChecks } from './operator/doctor.ts'
import { fleetCommands } from './operator/fleet-commands.ts'
import { moveCommands } from './operator/move-commands.ts'
import { readerCommands } from './operator/reader-commands.ts'
import { hazardChecks, riskCommands } from './operator/risk-commands.ts'
import { settlementChecks, settlementCommands } from './operator/settlement-commands.ts'
import { siteUnits } from './operator/units.ts'
import { upgradeCommands } from './operator/upgrade-commands.ts'
import { newClaim } from './registry/claims.ts'
import { Devices } from './registry/devices.ts'
import { withRegistry } from './registry/open.ts'
import { regions } from './services/placement/geography.ts'
import { parseRecoverySecret } from './services/placement/keystore.ts'
import { initPlacement, openPlacement, RemoteDataServers, storeKeys } from './services/placement/main.ts'
import { rebuildPlacement } from './services/placement/rebuild.ts'
import { runWitness } from './services/settlement/centre/main.ts'
import { SiteFolder } from './site-folder.ts'
import { loadSiteKey } from './site-key.ts'
import type { TelemetrySettings } from './telemetry/publisher.ts'
import { discoveryPrefix, telemetryTopics } from './telemetry/topics.ts'
import { launchedGateway } from './upgrade/main.ts'

const folder = { type: 'string', what: 'the site’s folder', default: './azukari-data' } as const
const site = { type: 'string', what: 'the site’s name: a–z, digits, hyphens', default: 'site' } as const
const host = { type: 'string', what: 'address to listen on', default: '127.0.0.1' } as const
const port = { type: 'string', what: 'port to listen on; 0 = any free one' } as const

const settlementOptions: Command['options'] = {
  folder,
  site,
  host,
  port: { ...port, default: '8472' },
  placement: { type: 'string', what: 'https://… of placement, which is asked on closing days', required: true },
}

async function settlementProcess(values: Values, role: 'primary' | 'backup'): Promise<undefined> {
  const running = await runSettlement({
    site: text(values, 'site'),
    folder: text(values, 'folder'),
    host: text(values, 'host'),
    port: integer(values, 'port', 0, 65_535),
    placementUrl: address(values['placement'], /^https:$/, '--placement'),
    role,
    passphrase: process.env['AZUKARI_PASSPHRASE'],
    log: consoleLog(role === 'primary' ? 'settlement' : 'settlement-backup'),
  })
  ready({ ready: 'settlement', url: running.url })
  await stopAsked()
  await running.stop()
  return undefined
}

export const commands: Record<string, Command> = {
  init: {
    what: 'Makes a site: keys, certificates and placement’s keystore. Prints the recovery key once: keep it away from the site.',
    options: { folder, site },
    async run(values) {
      const path = text(values, 'folder')
      const place = new SiteFolder(path, text(values, 'site'), systemPorts)
      await loadSiteKey(systemPorts.files, `${path}/gateway.key`, systemPorts.random)
      await place.keyring.authority()
      const made = await initPlacement(place, systemPorts, process.env['AZUKARI_PASSPHRASE'])
      if (!made) return { json: { folder: path, made: false }, text: `${path} is a site already; nothing was changed` }
      return {
        json: { folder: path, made: true, recoveryKey: made.recoverySecret },
        text: `A site is in ${path}.\nRecovery key (print it, keep it away from here):\n\n  ${grouped(made.recoverySecret)}\n`,
      }
    },
  },

  run: {
    what: 'Runs the gateway, with the services inside it unless told otherwise, until it is told to stop (SIGINT, SIGTERM). Settings may also stand in gateway.json of the site’s folder.',
    options: { folder, ...configOptions() },
    async run(values) {
      const config = configOf(values)
      const log = consoleLog('gateway', config.log)
      const { tlsKey, tlsCert, broker, brokerUser, brokerCa, placement, settlement } = config
      const path = text(values, 'folder')
      const launched = process.env[launchedVariable] ? await launchedGateway(path, packageVersion(), log) : undefined
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
        ...(settlement && { settlementApart: addresses(settlement, '--settlement') }),
        ...(placement && {
          placementApart: { url: address(placement, /^https:$/, '--placement'), bufferPort: config.bufferPort },
        }),
        passphrase: process.env['AZUKARI_PASSPHRASE'],
        limits: {
          bus: { connections: config.connections, messagesPerSecond: config.messagesPerSecond },
          buffer: { totalBytes: config.bufferMb * 1e6, deviceBytes: config.deviceMb * 1e6 },
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
      using _ = watchdog({ environment: process.env, alive: () => gateway.alive(), log })
      const over = new AbortController()
      const replaced = launched?.replaced(over.signal).then(
        () => true,
        () => false,
      )
      const again = await Promise.race([stopAsked().then(() => false), ...(replaced ? [replaced] : [])])
      over.abort()
      await running.stop()
      if (!again) return undefined
      return { json: { restart: true }, text: 'to be started again', exit: restartCode }
    },
  },

  'config check': {
    what: 'Checks the settings and shows them as they would be used.',
    options: { folder, ...configOptions() },
    async run(values) {
      const config = configOf(values)
      const lines = Object.entries(config).map(([name, value]) => `${name.padEnd(20)} ${value}`)
      return { json: config, text: lines.join('\n') }
    },
  },

  doctor: {
    what: 'Looks at a site and says what is wrong and what to do. Exit 1 when something is.',
    options: { folder },
    async run(values) {
      const checks = siteChecks(text(values, 'folder'), systemPorts, (path) => {
        const database = openDatabase(path)
        const integrity = () => String(Object.values(database.get('PRAGMA quick_check') ?? {})[0])
        return { integrity, close: () => database.close() }
      })
      const settings = {
        what: 'settings',
        look: async () => `${Object.keys(configOf(values)).length} settings are sound`,
      }
      const findings = await examine(
        [settings, ...checks, ...hazardChecks(text(values, 'folder')), ...settlementChecks(text(values, 'folder'))],
        process.env['LANG']?.startsWith('ja') ? 'ja' : 'en',
      )
      const lines = findings.map(
        ({ what, ok, detail, todo }) =>
          `${ok ? ' ok ' : 'BAD '} ${what.padEnd(24)} ${detail}${todo ? `\n     → ${todo}` : ''}`,
      )
      const ok = findings.every((finding) => finding.ok)
      return { json: { ok, findings }, text: lines.join('\n'), exit: ok ? 0 : 1 }
    },
  },

  placement: {
    what: 'Runs placement as a process of its own, beside a gateway that was started with --placement.',
    options: {
      folder,
      site,
      host,
      port: { ...port, default: '8471' },
      gateway: {
        type: 'string',
        what: 'https://… of the gateway’s receive buffer (its --buffer-port)',
        required: true,
      },
    },
    async run(values) {
      const running = await runPlacement({
        site: text(values, 'site'),
        folder: text(values, 'folder'),
        host: text(values, 'host'),
        port: integer(values, 'port', 0, 65_535),
        gatewayUrl: address(values['gateway'], /^https:$/, '--gateway'),
        passphrase: process.env['AZUKARI_PASSPHRASE'],
        log: consoleLog('placement'),
      })
      ready({ ready: 'placement', url: running.url })
      await stopAsked()
      await running.stop()
      return undefined
    },
  },

  settlement: {
    what: 'Runs settlement as a process of its own, beside a gateway that was started with --settlement and --placement; the first of two centres when settlement.json names them.',
    options: settlementOptions,
    run: (values) => settlementProcess(values, 'primary'),
  },

  'settlement backup': {
    what: 'Runs the backup centre: it keeps what the other centre commits and takes over when that one is lost.',
    options: { ...settlementOptions, port: { ...port, default: '8473' } },
    run: (values) => settlementProcess(values, 'backup'),
  },

  'settlement witness': {
    what: 'Runs one of the three witnesses that say which settlement centre leads.',
    options: {
      folder,
      site,
      host,
      port: { ...port, default: '0' },
      number: { type: 'string', what: '1, 2 or 3', required: true },
    },
    async run(values) {
      const running = await runWitness({
        folder: new SiteFolder(text(values, 'folder'), text(values, 'site'), systemPorts),
        ports: systemPorts,
        number: integer(values, 'number', 1, 3),
        host: text(values, 'host'),
        port: integer(values, 'port', 0, 65_535),
        log: consoleLog('settlement-witness'),
      })
      ready({ ready: 'settlement-witness', url: running.url })
      await stopAsked()
      await running.stop()
      return undefined
    },
  },

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
      const path = text(values, 'folder')
      const id = text(values, 'id')
      const place = new SiteFolder(path, text(values, 'site'), systemPorts)
      const log = consoleLog('data-server')
      const disks = (values['disk'] as string[] | undefined)?.map(diskOf) ?? [
        { path: `${path}/data-servers/${id}/disk`, capacityBytes: 10 * 1024 ** 3 },
      ]
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

  'claim new': {
    what: 'Makes a one-time claim with which a device enrols.',
    options: {
      folder,
      site,
      region: { type: 'string', what: 'where the device will stand: ISO 3166-2, such as JP-13', required: true },
      name: { type: 'string', what: 'part of the claim that names it' },
      hours: { type: 'string', what: 'how long it can be used', default: '24' },
    },
    async run(values) {
      return withRegistry(text(values, 'folder'), async (database) => {
        const [name, region] = [values['name'], text(values, 'region')]
        if (!regions.has(region))
          throw new Problem('config.invalid', `--region ${region} is not known: ISO 3166-2, such as JP-13`)
        const claim = newClaim(database, systemPorts, {
          region,
          lifeMs: integer(values, 'hours', 1, 24 * 365) * 3_600_000,
          ...(name ? { name: String(name) } : {}),
        })
        return { json: { claim }, text: claim }
      })
    },
  },

  'device list': {
    what: 'Lists the devices of the site, with what is wrong with their parts and since when.',
    options: { folder, site },
    async run(values) {
      return withRegistry(text(values, 'folder'), async (database) => {
        const devices = new Devices(database).list()
        const parts = partsOfDevices(database)
        return {
          json: devices.map(({ key: _, ...device }) => ({ ...device, ...parts.get(device.id) })),
          text:
            devices
              .map(
                ({ id, region, model, version }) =>
                  `${id}  ${region}  ${model}  ${version}  ${partsForPeople(parts.get(id)?.parts)}`,
              )
              .join('\n') || 'no devices yet',
        }
      })
    },
  },

  'device revoke': {
    what: 'Shuts a device out for good; a running gateway notices within a second.',
    positionals: 'ID',
    options: { folder, site },
    async run(values, [id]) {
      if (!id) throw new Problem('config.invalid', 'which device?')
      return withRegistry(text(values, 'folder'), async (database) => {
        new Devices(database).revoke(id, systemPorts.clock.now())
        return { json: { revoked: id }, text: `${id} is shut out` }
      })
    },
  },

  ...readerCommands({ ...systemPorts, withDatabase: (path, work) => withRegistry(path, work) }),
  ...fleetCommands,

  ...upgradeCommands({
    own: packageVersion(),
    program: import.meta.filename.replace(/commands(\.[jt]s)$/, 'cli$1'),
    configOf,
  }),

  ...riskCommands,

  ...settlementCommands,

  'member add': {
    what: 'Registers a member from the file that `azukari-sim card issue` or an issuing office made.',
    positionals: 'FILE',
    options: { folder, site },
    async run(values, [file]) {
      if (!file) throw new Problem('config.invalid', 'which registration file?')
      const place = new SiteFolder(text(values, 'folder'), text(values, 'site'), systemPorts)
      const opened = await openPlacement(place, systemPorts, {
        buffer: noBuffer,
        log: consoleLog('placement'),
        passphrase: process.env['AZUKARI_PASSPHRASE'],
      })
      try {
        const registration = registrationOf(file)
        const bytes = (name: string) => new Uint8Array(Buffer.from(String(registration[name]), 'hex'))
        for (const name of ['authKey', 'actsKey', 'agreementKey']) parseCoseKey(bytes(name))
        opened.placement.registry.addMember({
          memberId: bytes('memberId'),
          number: String(registration['number']),
          name: String(registration['name']),
          level: Number(registration['level']),
          homeRegion: String(registration['homeRegion']),
          authKey: bytes('authKey'),
          actsKey: bytes('actsKey'),
          agreementKey: bytes('agreementKey'),
        })
        return { json: { member: registration['memberId'] }, text: `${registration['name']} is a member` }
      } finally {
        opened.close()
      }
    },
  },

  ...moveCommands,

  ...careCommands,

  'placement rebuild': {
    what: 'Begins placement again from the journal on the data servers, with the recovery key.',
    options: {
      folder,
      site,
      'recovery-key': { type: 'string', what: 'file that holds the printed recovery key', required: true },
    },
    async run(values) {
      const path = text(values, 'folder')
      const place = new SiteFolder(path, text(values, 'site'), systemPorts)
      const servers = (await place.servers()).map((server) => ({
        id: server.id,
        url: server.url,
        key: Buffer.from(server.key, 'hex'),
      }))
      const dataServers = new RemoteDataServers(await place.keyring.identity('placement', 'service'), systemPorts)
      await systemPorts.files.makeDirectory(`${path}/placement`)
      const database = openDatabase(`${path}/placement/placement.db`)
      try {
        const { keys, ...report } = await rebuildPlacement({
          database,
          recoverySecret: parseRecoverySecret(readFileSync(text(values, 'recovery-key'), 'utf8')),
          servers,
          dataServers,
          ...systemPorts,
          log: consoleLog('rebuild'),
        })
        await storeKeys(place, systemPorts, keys, process.env['AZUKARI_PASSPHRASE'])
        return {
          json: report,
          text: `Placement stands again: ${report.members} members, ${report.objects} objects, ${report.servers} servers, from ${report.entries} journal entries.`,
        }
      } finally {
        dataServers.close()
        database.close()
      }
    },
  },

  service: {
    what: 'Shows the systemd units of a site and its journal limits; --out / installs them.',
    options: {
      folder: { ...folder, default: '/var/lib/azukari' },
      site,
      apart: { type: 'boolean', what: 'placement and settlement as processes of their own' },
      node: { type: 'string', what: 'absolute path of Node; else the one that runs this' },
      out: { type: 'string', what: 'folder below which the files are written' },
    },
    async run(values) {
      const files = siteUnits({
        node: values['node'] === undefined ? process.execPath : text(values, 'node'),
        program: import.meta.filename.replace(/commands(\.[jt]s)$/, 'cli$1'),
        site: text(values, 'site'),
        folder: text(values, 'folder'),
        apart: values['apart'] === true,
      })
      return answerFiles(files, values['out'] === undefined ? undefined : text(values, 'out'))
    },
  },

  acl: {
    what: 'Prints access rules for a broker that is not ours.',
    options: {
      site,
      broker: { type: 'string', what: 'which broker', default: 'mosquitto' },
      user: { type: 'string', what: 'the gateway’s user there', default: 'azukari-gateway' },
      reader: { type: 'string', what: 'a user there that may read telemetry; may be repeated', multiple: true },
      prefix: { type: 'string', what: 'discovery prefix of Home Assistant', default: discoveryPrefix },
      devices: { type: 'boolean', what: 'only the devices’ rules, for a listener of their own' },
      out: { type: 'string', what: 'file to write' },
    },
    async run(values) {
      if (values['broker'] !== 'mosquitto')
        throw new Problem('config.invalid', `broker ${values['broker']} is not known; mosquitto is`)
      const readers = (values['reader'] as string[] | undefined) ?? []
      for (const name of [text(values, 'user'), ...readers])
        if (!/^[\w.@-]{1,64}$/.test(name)) throw new Problem('config.invalid', `${name} cannot be a user name there`)
      const telemetry = { prefix: text(values, 'prefix'), readers }
      telemetryTopics(text(values, 'site'), telemetry.prefix)
      const user = values['devices'] === true ? undefined : text(values, 'user')
      const rules = mosquittoAcl(text(values, 'site'), user, readers.length > 0 ? telemetry : undefined)
      if (values['out']) writeFileSync(String(values['out']), rules)
      return { json: { rules }, text: rules }
    },
  },
}

const noBuffer = {
  describe: async () => undefined,
  read: async () => [],
  release: async () => undefined,
}

/** What an issuing office wrote of a member. @throws {Problem} `config.invalid` */
function registrationOf(file: string): Record<string, unknown> {
  const written = readFileSync(file, 'utf8')
  try {
    const registration: unknown = JSON.parse(written)
    if (typeof registration === 'object' && registration !== null) return registration as Record<string, unknown>
  } catch (cause) {
    throw new Problem('config.invalid', `${file} is no registration file: not JSON`, { cause })
  }
  throw new Problem('config.invalid', `${file} is no registration file`)
}

/** The settings of a call: flags, environment, then the folder's gateway.json. @throws {Problem} `config.invalid` */
function configOf(values: Values): GatewayConfig {
  const path = `${text(values, 'folder')}/gateway.json`
  let file: unknown
  try {
    file = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
  } catch (cause) {
    throw new Problem('config.invalid', `${path}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  return loadConfig(file, values)
}

function pem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Problem('config.invalid', `${path} cannot be read`, { cause })
  }
}

function packageVersion(): string {
  return String(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version)
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

function grouped(secret: string): string {
  return (secret.match(/.{1,8}/g) ?? []).join(' ')
}

/** Tells whoever started this process that it works now: one JSON line on standard output. */
function ready(fact: Record<string, unknown>): void {
  console.log(JSON.stringify(fact))
}

function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
