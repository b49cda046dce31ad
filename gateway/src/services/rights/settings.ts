/** A site's `rights.json`: who is warned of a breach, by which mail server, and where hosts are written to (R6). */
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'
import { MailAddress, MailSettings } from '../../mail/settings.ts'

const RightsSettings = Type.Object(
  {
    /** Who is warned by itself; both without it. */
    warn: Type.Optional(
      Type.Union([Type.Literal('both'), Type.Literal('host'), Type.Literal('buyer'), Type.Literal('none')]),
    ),
    mail: Type.Optional(MailSettings),
    /** To whom a host is written, by its name and port as in addresses; else to abuse@ its name (RFC 2142 §4). */
    hosts: Type.Optional(Type.Record(Type.String({ maxLength: 260 }), MailAddress)),
    /** `host:port` that copies may be fetched from although the address is not public. */
    fetch: Type.Optional(Type.Array(Type.String({ maxLength: 260 }), { maxItems: 100 })),
    /** Sightings of one board in a day that are taken; further ones are dropped. */
    sightingsPerBoardDay: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    /** Cases of one host in a day about which something is sent by itself; further ones are held for people. */
    casesPerHostDay: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  },
  { additionalProperties: false },
)
export type RightsSettings = Static<typeof RightsSettings>

const check = checker(RightsSettings, 'rights.json')

/** @param bytes of the file; undefined when there is none. @throws {Problem} `config.invalid` */
export function rightsSettings(bytes: Uint8Array | undefined): RightsSettings {
  if (!bytes) return {}
  try {
    return check(JSON.parse(new TextDecoder().decode(bytes)))
  } catch (cause) {
    throw new Problem('config.invalid', `rights.json: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
