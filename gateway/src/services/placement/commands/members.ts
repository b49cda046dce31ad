/** `azukari-gateway member add`: members come from an issuing office's file (S15). */
import { namedText } from '@azukari/protocol/adapters/named-file'
import { hex } from '@azukari/protocol/bytes'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { folder, site } from '../../../operator/site-options.ts'
import type { CallFile } from '../../../operator-api/roles.ts'
import type { PlacementCommands } from './context.ts'

export const memberCommands: PlacementCommands = {
  'member add': {
    what: 'Registers a member from the file that `azukari-sim card issue` or an issuing office made.',
    role: 'placement',
    positionals: 'FILE',
    filesIn: ['FILE'],
    options: { folder, site },
    async carryOut({ service: { registry } }, act) {
      const registration = registrationOf(act.file('FILE'))
      const bytes = (name: string) => new Uint8Array(Buffer.from(String(registration[name]), 'hex'))
      for (const name of ['authKey', 'actsKey', 'agreementKey']) parseCoseKey(bytes(name))
      // D8: anything but their word is none.
      const location = registration['location'] === true
      await registry.addMember({
        memberId: bytes('memberId'),
        number: String(registration['number']),
        name: String(registration['name']),
        level: Number(registration['level']),
        homeRegion: String(registration['homeRegion']),
        authKey: bytes('authKey'),
        actsKey: bytes('actsKey'),
        agreementKey: bytes('agreementKey'),
        location,
      })
      const places = location ? 'places of pictures are kept, as they have said' : 'no place is kept until they say so'
      const card = hex(thumbprint(parseCoseKey(bytes('authKey'))))
      return {
        json: { member: registration['memberId'], card, location },
        text: `${registration['name']} is a member; ${places}; card ${card}`,
      }
    },
  },
}

/** What an issuing office wrote of a member. @throws {Problem} `config.invalid` */
function registrationOf({ path: file, bytes }: CallFile): Record<string, unknown> {
  const written = namedText(file, bytes)
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
