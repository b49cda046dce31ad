/** `azukari-gateway claim …` and `device …`: which devices belong to the site. */
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { partsForPeople, partsOfDevices } from '../fleet/parts.ts'
import { regions } from '../geography.ts'
import type { OperatorCommand } from '../operator-api/roles.ts'
import { newClaim } from '../registry/claims.ts'
import { Devices } from '../registry/devices.ts'
import { folder, site } from './site-options.ts'

export const deviceCommands: Record<string, OperatorCommand> = {
  'claim new': {
    what: 'Makes a one-time claim with which a device enrols.',
    role: 'fleet',
    options: {
      folder,
      site,
      region: { type: 'string', what: 'where the device will stand: ISO 3166-2, such as JP-13', required: true },
      name: { type: 'string', what: 'part of the claim that names it' },
      hours: { type: 'string', what: 'how long it can be used', default: '24' },
    },
    async carryOut({ site: { registry: database, ports } }, values) {
      const [name, region] = [values['name'], text(values, 'region')]
      if (!regions.has(region))
        throw new Problem('config.invalid', `--region ${region} is not known: ISO 3166-2, such as JP-13`)
      const claim = await newClaim(database, ports, {
        region,
        lifeMs: integer(values, 'hours', 1, 24 * 365) * 3_600_000,
        ...(name ? { name: String(name) } : {}),
      })
      return { json: { claim }, text: claim }
    },
  },

  'device list': {
    what: 'Lists the devices of the site, with what is wrong with their parts and since when.',
    role: 'fleet',
    options: { folder, site },
    async carryOut({ site: { registry: database } }) {
      const devices = await new Devices(database).list()
      const parts = await partsOfDevices(database)
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
    },
  },

  'device revoke': {
    what: 'Shuts a device out for good; a running gateway notices within a second.',
    role: 'fleet',
    positionals: 'ID',
    options: { folder, site },
    async carryOut({ site: { registry: database, ports } }, _values, [id]) {
      if (!id) throw new Problem('config.invalid', 'which device?')
      await new Devices(database).revoke(id, ports.clock.now())
      return { json: { revoked: id }, text: `${id} is shut out` }
    },
  },
}
