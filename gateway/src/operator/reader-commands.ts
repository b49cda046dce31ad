/** `azukari-gateway reader …`: who may read telemetry from the embedded broker (D6). */
import { type Command, text } from '@azukari/protocol/adapters/command-line'
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Database } from '../storage/database.ts'
import { Readers } from '../telemetry/readers.ts'
import { folder, site } from './site-options.ts'

export interface ReaderPorts {
  clock: Clock
  random: Random
  /** Whether the site’s settings have telemetry published. */
  isTelemetryOn(folder: string): Promise<boolean>
  /** Opens the gateway's database of a site's folder, brought to this release, while `work` runs. */
  withDatabase<T>(folder: string, work: (database: Database) => Promise<T>): Promise<T>
}

export function readerCommands(ports: ReaderPorts): Record<string, Command> {
  return {
    'reader new': {
      what: 'Makes a user that may read telemetry, for instance for Home Assistant. Prints its password once.',
      positionals: 'NAME',
      options: { folder, site },
      async run(values, [name]) {
        return ports.withDatabase(text(values, 'folder'), async (database) => {
          const password = await new Readers(database).make(required(name), ports)
          const isOff = !(await ports.isTelemetryOn(text(values, 'folder')))
          const note = isOff
            ? '\nTelemetry is off in the settings of this site: nothing can be read until the gateway runs with --home-assistant or --senml.'
            : ''
          return {
            json: { reader: name, password, telemetry: !isOff },
            text: `user ${name}\npassword ${password}${note}`,
          }
        })
      },
    },

    'reader list': {
      what: 'Lists the users that may read telemetry.',
      options: { folder, site },
      async run(values) {
        return ports.withDatabase(text(values, 'folder'), async (database) => {
          const readers = await new Readers(database).list()
          const lines = readers.map(({ name, madeMs }) => `${name}  since ${new Date(madeMs).toISOString()}`)
          return { json: readers, text: lines.join('\n') || 'nobody reads telemetry' }
        })
      },
    },

    'reader remove': {
      what: 'Takes the right to read telemetry away; a running gateway cuts the user off within a second.',
      positionals: 'NAME',
      options: { folder, site },
      async run(values, [name]) {
        return ports.withDatabase(text(values, 'folder'), async (database) => {
          await new Readers(database).remove(required(name))
          return { json: { removed: name }, text: `${name} may not read any more` }
        })
      },
    },
  }
}

function required(name: string | undefined): string {
  if (!name) throw new Problem('config.invalid', 'which reader?')
  return name
}
