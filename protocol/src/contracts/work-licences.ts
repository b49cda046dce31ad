/** The app server of work (W8–W10): operators offer apps, devices enrol for them and keep their licences alive. */
import { Bytes, Count, contract, Hash, Nothing, Slug, type Static, Text, TimeMs, Type } from '../contract.ts'
import { OwnerCode } from './work.ts'

const frame = { kind: 'command', service: 'work', authority: 'operator', operator: { role: 'work' } } as const

const AppName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,31}$', description: 'the app’s name, such as film-look' })
const Person = Type.String({ minLength: 1, maxLength: 200 })

/** As it is typed and registered: base32. */
export const LicenceKey = OwnerCode

export const enrolForApp = contract({
  name: 'work.licence.enrol',
  kind: 'call',
  service: 'work',
  authority: 'device',
  title: 'A device registers as user of an app, and gets its licence key; again, it gets a new one in place of the old',
  serves: ['W8'],
  request: Type.Object({ app: AppName, name: Person, contact: Person }),
  reply: Type.Object({ title: Text(80), key: LicenceKey }),
  problems: ['work.unregistered', 'licence.app-unknown', 'licence.revoked'],
})

export const renewLicence = contract({
  name: 'work.licence.renew',
  kind: 'call',
  service: 'work',
  authority: 'device',
  title: 'The licence app, which runs, gets the lease with which the user app runs',
  serves: ['W9'],
  /** `kid`: thumbprint of the device’s key, to which the lease is bound. */
  request: Type.Object({ key: LicenceKey, kid: Hash }),
  /** COSE_Sign1 of a lease. */
  reply: Type.Object({ lease: Bytes(64, 4096) }),
  problems: ['work.unregistered', 'licence.unknown', 'licence.other-device', 'licence.revoked'],
})

export const addApp = contract({
  ...frame,
  name: 'work.licence.offer',
  title: 'Offers an app whose licence boards earn by taking part in work',
  serves: ['W8', 'W10'],
  request: Type.Object({
    app: AppName,
    title: Type.String({ minLength: 1, maxLength: 80, description: 'what people call it' }),
    vendor: Type.Optional(Type.String({ pattern: '^\\d{14}$', description: 'the vendor’s number at settlement' })),
    fee: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 999_999_999,
        description: 'what the vendor is paid for each licence that is supplied, minor units',
      }),
    ),
  }),
  reply: Type.Object({ app: AppName }),
  problems: ['licence.app-known'],
})

export const AppShown = Type.Object({
  app: AppName,
  title: Text(80),
  vendor: Type.Optional(Text(14)),
  feeMinor: Count,
  currency: Text(3),
  enrolled: Count,
  supplied: Count,
})
export type AppShown = Static<typeof AppShown>

export const listApps = contract({
  ...frame,
  name: 'work.licence.apps',
  title: 'Apps that boards can get, and how many licences were supplied',
  serves: ['W8', 'W10'],
  request: Nothing,
  reply: Type.Array(AppShown),
})

export const LicenceShown = Type.Object({
  app: AppName,
  device: Slug,
  name: Text(200),
  contact: Text(200),
  isRevoked: Type.Boolean(),
  enrolledMs: TimeMs,
  suppliedMs: Type.Optional(TimeMs),
  untilMs: Type.Optional(TimeMs),
})
export type LicenceShown = Static<typeof LicenceShown>

export const listLicences = contract({
  ...frame,
  name: 'work.licence.list',
  title: 'Licences of boards, and until when each runs without a line',
  serves: ['W8', 'W9', 'W10'],
  request: Nothing,
  reply: Type.Array(LicenceShown),
})

export const revokeLicence = contract({
  ...frame,
  name: 'work.licence.revoke',
  title: 'Takes a board’s licence back: it is not renewed any more',
  serves: ['W9'],
  request: Type.Object({ app: AppName, device: Slug }),
  reply: LicenceShown,
  problems: ['licence.unknown'],
})
