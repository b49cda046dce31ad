/** `azukari-gateway member add` and `placement rebuild`. */
import { type Command, text } from '@azukari/protocol/adapters/command-line'
import { readNamedText } from '@azukari/protocol/adapters/named-file'
import { parseCoseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../adapters/database.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { RemoteDataServers } from '../data-server/remote.ts'
import { consoleLog } from '../log.ts'
import { parseRecoverySecret } from '../services/placement/keystore.ts'
import { storeKeys } from '../services/placement/main.ts'
import { rebuildPlacement } from '../services/placement/rebuild.ts'
import { SiteFolder } from '../site-folder.ts'
import { withService } from './placement-access.ts'
import { folder, site } from './site-options.ts'

export const placementCommands: Record<string, Command> = {
  'member add': {
    what: 'Registers a member from the file that `azukari-sim card issue` or an issuing office made.',
    positionals: 'FILE',
    options: { folder, site },
    async run(values, [file]) {
      if (!file) throw new Problem('config.invalid', 'which registration file?')
      return withService(values, async ({ registry }) => {
        const registration = registrationOf(file)
        const bytes = (name: string) => new Uint8Array(Buffer.from(String(registration[name]), 'hex'))
        for (const name of ['authKey', 'actsKey', 'agreementKey']) parseCoseKey(bytes(name))
        await registry.addMember({
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
          recoverySecret: parseRecoverySecret(readNamedText(text(values, 'recovery-key'))),
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
        await database.close()
      }
    },
  },
}

/** What an issuing office wrote of a member. @throws {Problem} `config.invalid` */
function registrationOf(file: string): Record<string, unknown> {
  const written = readNamedText(file)
  try {
    const registration: unknown = JSON.parse(written)
    if (typeof registration === 'object' && registration !== null)
      return checkedRegistration(file, registration as Record<string, unknown>)
  } catch (cause) {
    if (cause instanceof Problem) throw cause
    throw new Problem('config.invalid', `${file} is no registration file: not JSON`, { cause })
  }
  throw new Problem('config.invalid', `${file} is no registration file`)
}

const registrationFields = ['memberId', 'number', 'name', 'level', 'homeRegion', 'authKey', 'actsKey', 'agreementKey']

/** @throws {Problem} `config.invalid` naming the fields that are missing */
function checkedRegistration(file: string, registration: Record<string, unknown>): Record<string, unknown> {
  const missing = registrationFields.filter((name) => registration[name] === undefined)
  if (missing.length > 0)
    throw new Problem('config.invalid', `${file} is no registration file: it has no ${missing.join(', ')}`)
  return registration
}
