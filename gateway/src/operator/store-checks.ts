/** What `doctor` looks at of a site's databases on PostgreSQL (D4): settings, password, the server, every schema. */
import { statSync } from 'node:fs'
import { Problem } from '@azukari/protocol/problem'
import { connectionFrom, passwordVariable, Stores, schemaOf, storeFile } from '../adapters/stores.ts'
import type { Check } from './doctor.ts'

/** @param databases of the services, by their paths in the folder */
export function storeChecks(folder: string, databases: readonly string[]): Check[] {
  return [
    {
      what: storeFile,
      look: async () => {
        const { settings } = Stores.of(folder)
        if (!settings) return 'none: every service keeps a file'
        const { passwordFile } = settings
        if (passwordFile === undefined && process.env[passwordVariable] === undefined)
          return `PostgreSQL, without a password: neither passwordFile nor ${passwordVariable}`
        const { tls, password } = connectionFrom(settings)
        password()
        if (passwordFile !== undefined && (statSync(passwordFile).mode & 0o077) !== 0)
          throw new Problem('config.invalid', `others can read ${passwordFile}: chmod 600`)
        return tls ? 'PostgreSQL, over TLS' : 'PostgreSQL on this machine'
      },
    },
    ...databases.map((path) => ({
      what: `store of ${schemaOf(path)}`,
      look: async () => {
        const stores = Stores.of(folder)
        if (stores.engine === 'sqlite') return path
        if (!(await stores.has(path))) return 'not there yet: made at the first start'
        const database = await stores.openAlone(path)
        try {
          const rows = await database.all<{ name: string; number: number }>(
            'SELECT set_name AS name, max(number) AS number FROM migrations GROUP BY set_name ORDER BY set_name',
          )
          return `answers, with ${rows.map(({ name, number }) => `${name} ${number}`).join(', ')}`
        } finally {
          await database.close()
        }
      },
    })),
  ]
}
