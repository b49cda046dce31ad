/** What `azukari-gateway` can do. Each command is one row: what it is for, its options, what it does. */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { answerFiles } from '@azukari/protocol/adapters/service-files'
import { parseCoseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from './adapters/database.ts'
import { mosquittoAcl } from './broker/acl.ts'
import { configOptions } from './config.ts'
import { partsForPeople, partsOfDevices } from './fleet/parts.ts'
import { consoleLog } from './log.ts'
import { systemPorts } from './main.ts'
import { careCommands } from './operator/care-commands.ts'
import { examine, siteChecks } from './operator/doctor.ts'
import { fleetCommands } from './operator/fleet-commands.ts'
import { moveCommands } from './operator/move-commands.ts'
import { withService } from './operator/placement-access.ts'
import { readerCommands } from './operator/reader-commands.ts'
import { hazardChecks, riskCommands } from './operator/risk-commands.ts'
import { settlementBookCommands } from './operator/settlement/book-commands.ts'
import { settlementChecks } from './operator/settlement/checks.ts'
import { settlementMemberCommands } from './operator/settlement/member-commands.ts'
import { settlementMoneyCommands } from './operator/settlement/money-commands.ts'
import { folder, site } from './operator/site-options.ts'
import { siteUnits } from './operator/units.ts'
import { upgradeCommands } from './operator/upgrade-commands.ts'
import { newClaim } from './registry/claims.ts'
import { Devices } from './registry/devices.ts'
import { withRegistry } from './registry/open.ts'
import { configOf, packageVersion, processCommands, runCommand } from './run-commands.ts'
import { regions } from './services/placement/geography.ts'
import { parseRecoverySecret } from './services/placement/keystore.ts'
import { initPlacement, RemoteDataServers, storeKeys } from './services/placement/main.ts'
import { rebuildPlacement } from './services/placement/rebuild.ts'
import { SiteFolder } from './site-folder.ts'
import { loadSiteKey } from './site-key.ts'
import { discoveryPrefix, telemetryTopics } from './telemetry/topics.ts'

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

  ...processCommands,

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

  ...settlementMemberCommands,
  ...settlementMoneyCommands,
  ...settlementBookCommands,

  'member add': {
    what: 'Registers a member from the file that `azukari-sim card issue` or an issuing office made.',
    positionals: 'FILE',
    options: { folder, site },
    async run(values, [file]) {
      if (!file) throw new Problem('config.invalid', 'which registration file?')
      return withService(values, ({ registry }) => {
        const registration = registrationOf(file)
        const bytes = (name: string) => new Uint8Array(Buffer.from(String(registration[name]), 'hex'))
        for (const name of ['authKey', 'actsKey', 'agreementKey']) parseCoseKey(bytes(name))
        registry.addMember({
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
      })
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

function grouped(secret: string): string {
  return (secret.match(/.{1,8}/g) ?? []).join(' ')
}
