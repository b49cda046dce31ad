/** `azukari-gateway doctor`: what is wrong with a site and what to do (D6). Looks, and changes nothing. */
import type { Clock, Files } from '@azukari/protocol/ports'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import { expiries, judgeExpiries } from '../pki/expiry.ts'

export interface Finding {
  what: string
  ok: boolean
  detail: string
  /** What to do, when it is not well. */
  todo?: string
}

/** One thing to look at: its figure when it is well, a problem when it is not. */
export interface Check {
  what: string
  look: () => Promise<string>
}

/** Looks at everything, also after a failure. */
export async function examine(checks: readonly Check[], lang: 'ja' | 'en' = 'en'): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { what, look } of checks) {
    try {
      findings.push({ what, ok: true, detail: await look() })
    } catch (error) {
      const problem = isProblem(error)
        ? error
        : new Problem('internal', error instanceof Error ? error.message : String(error))
      const { title, todo } = describe(problem.code, lang)
      findings.push({ what, ok: false, detail: problem.detail ? `${title} (${problem.detail})` : title, todo })
    }
  }
  return findings
}

/** Free space below which a site is in danger. */
const spareBytes = 1024 ** 3

/** What a site is made of, by paths in its folder. */
export interface SiteParts {
  /** Made by `init`, and needed. */
  files: readonly string[]
  databases: readonly string[]
}

/** What every site has: a folder, room, a clock that is not absurd, its files, healthy databases. */
export function siteChecks(
  folder: string,
  parts: SiteParts,
  { files, clock }: { files: Files; clock: Clock },
  openDatabase: (path: string) => { integrity: () => Promise<string>; close: () => Promise<void> },
): Check[] {
  return [
    {
      what: 'folder',
      look: async () => {
        if (!(await files.stat(folder))?.directory)
          throw new Problem('config.invalid', `${folder} is no site: run azukari-gateway init`)
        return folder
      },
    },
    {
      what: 'free space',
      look: async () => {
        const free = await files.freeBytes(folder)
        if (free < spareBytes) throw new Problem('storage.full', `${Math.round(free / 2 ** 20)} MiB are free`)
        return `${Math.round(free / 2 ** 30)} GiB`
      },
    },
    {
      what: 'clock',
      look: async () => {
        const year = new Date(clock.now()).getUTCFullYear()
        if (year < 2024 || year > 2100)
          throw new Problem('config.invalid', `the clock says ${year}: set it, or devices will not be let in`)
        return new Date(clock.now()).toISOString()
      },
    },
    {
      what: 'certificates',
      look: async () => judgeExpiries(await expiries(files, `${folder}/tls`), clock.now()),
    },
    ...parts.files.map((name) => ({
      what: name,
      look: async () => {
        if (!(await files.stat(`${folder}/${name}`)))
          throw new Problem('config.invalid', `${folder}/${name} is missing: run azukari-gateway init`)
        return 'there'
      },
    })),
    ...parts.databases.map((name) => ({
      what: name,
      look: async () => {
        if (!(await files.stat(`${folder}/${name}`))) return 'not there yet: made at the first start'
        const database = openDatabase(`${folder}/${name}`)
        try {
          const said = await database.integrity()
          if (said !== 'ok') throw new Problem('storage.failed', `${name}: ${said.slice(0, 200)}`)
          return 'sound'
        } finally {
          await database.close()
        }
      },
    })),
  ]
}
