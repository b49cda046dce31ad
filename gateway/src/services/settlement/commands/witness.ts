/** The witnesses of the two settlement centres (P9). */

import type { Command } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { systemPorts } from '../../../adapters/system-ports.ts'
import { ready, stopAsked } from '../../../host/process.ts'
import { consoleLog } from '../../../log.ts'
import { folder, site } from '../../../operator/site-options.ts'

export const witnessCommands: Record<string, Command> = {
  'settlement witness': {
    what: 'Runs one of the three witnesses that say which settlement centre leads.',
    options: {
      folder,
      site,
      host: { type: 'string', what: 'address to listen on', default: '127.0.0.1' },
      port: { type: 'string', what: 'port to listen on; 0 = any free one', default: '0' },
      number: { type: 'string', what: '1, 2 or 3', required: true },
    },
    async run(values) {
      const { runWitness } = await import('../centre/main.ts')
      const { SiteFolder } = await import('../../../site-folder.ts')
      using _ = holdFolder(`${text(values, 'folder')}/witness-${integer(values, 'number', 1, 3)}.lock`)
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
}
