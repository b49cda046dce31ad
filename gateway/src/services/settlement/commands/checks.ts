/** What doctor looks at of settlement. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Problem } from '@azukari/protocol/problem'
import type { Check } from '../../../operator/doctor.ts'
import { pageFontPath, readFont } from '../adapters/page-font-file.ts'
import { settlementSettings } from '../settings.ts'

/** The settings, and whether pages carry a Japanese font. */
export function settlementChecks(path: string): Check[] {
  const settings = () => {
    const file = join(path, 'settlement.json')
    return existsSync(file) ? settlementSettings(readFileSync(file)) : undefined
  }
  return [
    {
      what: 'settlement.json',
      look: async () => (settings() ? 'sound' : 'not there: no statements, no bank files'),
    },
    {
      what: 'font of pages',
      look: async () => {
        const given = settings()?.font
        const file = pageFontPath(given === undefined ? undefined : resolve(path, given))
        if (file === undefined) {
          if (!settings()) return 'none, and no settlement.json'
          throw new Problem(
            'config.invalid',
            'letters and statements carry no Japanese font: name a .ttf as "font" in settlement.json, or install the gateway with its packages',
          )
        }
        return `${readFont(file).metrics.name} is carried by every page`
      },
    },
  ]
}
