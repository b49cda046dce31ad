/** A mail server in a service's settings, the same for each that writes letters. */
import { type Static, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'
import type { SiteFolder } from '../site-folder.ts'

export const MailAddress = Type.String({ pattern: '^[^\\s@<>]+@[^\\s@<>]+$', maxLength: 200 })

export const MailSettings = Type.Object(
  {
    host: Type.String({ minLength: 1, maxLength: 200 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** TLS from the first byte (port 465); without it TLS is begun by STARTTLS, and required except on this machine. */
    secure: Type.Optional(Type.Boolean()),
    user: Type.Optional(Type.String({ maxLength: 200 })),
    /** A file that holds the password; its path is from the site's folder. */
    passwordFile: Type.Optional(Type.String({ maxLength: 500 })),
    from: MailAddress,
  },
  { additionalProperties: false },
)
export type MailSettings = Static<typeof MailSettings>

/** @throws {Problem} `config.invalid` when the file that it names is not there */
export async function mailPassword(folder: SiteFolder, { passwordFile }: MailSettings): Promise<string | undefined> {
  if (passwordFile === undefined) return undefined
  const bytes = await folder.read(passwordFile)
  if (!bytes) throw new Problem('config.invalid', `mail: there is no ${passwordFile} in the site’s folder`)
  return new TextDecoder().decode(bytes).trim()
}
