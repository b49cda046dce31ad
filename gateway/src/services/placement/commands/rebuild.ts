/** `azukari-gateway placement rebuild`: for a site whose placement is lost; nothing of it may run. */

import type { Command } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { readNamedText } from '@azukari/protocol/adapters/named-file'
import { Stores } from '../../../adapters/stores.ts'
import { systemPorts } from '../../../adapters/system-ports.ts'
import { RemoteDataServers } from '../../../data-server/remote.ts'
import { consoleLog } from '../../../log.ts'
import { folder, site } from '../../../operator/site-options.ts'
import { SiteFolder } from '../../../site-folder.ts'
import { rebuildPlacement } from '../journal/rebuild.ts'
import { parseRecoverySecret } from '../keys/keystore.ts'
import { storeKeys } from '../main.ts'

export const rebuildCommands: Record<string, Command> = {
  'placement rebuild': {
    what: 'Begins placement again from the journal on the data servers, with the recovery key.',
    options: {
      folder,
      site,
      'recovery-key': { type: 'string', what: 'file that holds the printed recovery key', required: true },
    },
    async run(values) {
      const path = text(values, 'folder')
      using _ = holdFolder(`${path}/placement.lock`)
      const place = new SiteFolder(path, text(values, 'site'), systemPorts)
      const servers = (await place.servers()).map((server) => ({
        id: server.id,
        url: server.url,
        key: Buffer.from(server.key, 'hex'),
      }))
      const dataServers = new RemoteDataServers(await place.keyring.identity('placement', 'service'), systemPorts)
      await systemPorts.files.makeDirectory(`${path}/placement`)
      const stores = Stores.of(path)
      const database = await stores.open('placement/placement.db')
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
        await stores.close()
      }
    },
  },
}
