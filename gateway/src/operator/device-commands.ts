/** `azukari-gateway claim …` and `device …`: which devices belong to the site. */
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { systemPorts } from '../adapters/system-ports.ts'
import { partsForPeople, partsOfDevices } from '../fleet/parts.ts'
import { newClaim } from '../registry/claims.ts'
import { Devices } from '../registry/devices.ts'
import { withRegistry } from '../registry/open.ts'
import { regions } from '../services/placement/geography.ts'
import { folder, site } from './site-options.ts'

export const deviceCommands: Record<string, Command> = {
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
        const claim = await newClaim(database, systemPorts, {
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
        await new Devices(database).revoke(id, systemPorts.clock.now())
        return { json: { revoked: id }, text: `${id} is shut out` }
      })
    },
  },
}
