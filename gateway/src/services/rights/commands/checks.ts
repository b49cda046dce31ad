/** What doctor looks at of the rights service: its settings, and whether anybody can be warned (R6). */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Check } from '../../../operator/doctor.ts'
import { rightsSettings } from '../settings.ts'

/** @param folder the site's */
export function rightsChecks(folder: string): Check[] {
  const file = join(folder, 'rights.json')
  return [
    {
      what: 'rights.json',
      look: async () => {
        if (!existsSync(file)) return 'not there: nobody is written to about copies that were found'
        const { mail, warn = 'both' } = rightsSettings(readFileSync(file))
        return mail ? `sound; warns ${warn} by ${mail.host}` : 'sound; names no mail server, so nobody is written to'
      },
    },
  ]
}
