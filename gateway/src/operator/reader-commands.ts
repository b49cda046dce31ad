/** `azukari-gateway reader …`: who may read telemetry from the embedded broker (D6). */
import { Problem } from '@azukari/protocol/problem'
import type { OperatorCommand } from '../operator-api/roles.ts'
import { Readers } from '../telemetry/readers.ts'
import { folder, site } from './site-options.ts'

export const readerCommands: Record<string, OperatorCommand> = {
  'reader new': {
    what: 'Makes a user that may read telemetry, for instance for Home Assistant. Prints its password once.',
    role: 'fleet',
    positionals: 'NAME',
    options: { folder, site },
    async carryOut({ site: { registry: database, ports, isTelemetryOn } }, _values, [name]) {
      const password = await new Readers(database).make(required(name), ports)
      const isOff = !isTelemetryOn
      const note = isOff
        ? '\nTelemetry is off in the settings of this site: nothing can be read until the gateway runs with --home-assistant or --senml.'
        : ''
      return {
        json: { reader: name, password, telemetry: !isOff },
        text: `user ${name}\npassword ${password}${note}`,
      }
    },
  },

  'reader list': {
    what: 'Lists the users that may read telemetry.',
    role: 'fleet',
    options: { folder, site },
    async carryOut({ site: { registry: database } }) {
      const readers = await new Readers(database).list()
      const lines = readers.map(({ name, madeMs }) => `${name}  since ${new Date(madeMs).toISOString()}`)
      return { json: readers, text: lines.join('\n') || 'nobody reads telemetry' }
    },
  },

  'reader remove': {
    what: 'Takes the right to read telemetry away; a running gateway cuts the user off within a second.',
    role: 'fleet',
    positionals: 'NAME',
    options: { folder, site },
    async carryOut({ site: { registry: database } }, _values, [name]) {
      await new Readers(database).remove(required(name))
      return { json: { removed: name }, text: `${name} may not read any more` }
    },
  },
}

function required(name: string | undefined): string {
  if (!name) throw new Problem('config.invalid', 'which reader?')
  return name
}
