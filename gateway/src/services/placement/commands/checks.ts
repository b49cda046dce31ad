/** What `doctor` looks at of placement: its settings, and every feed of hazards. */
import { Problem } from '@azukari/protocol/problem'
import { Stores } from '../../../adapters/stores.ts'
import { systemPorts } from '../../../adapters/system-ports.ts'
import type { Check } from '../../../operator/doctor.ts'
import { SiteFolder } from '../../../site-folder.ts'
import { hazardSettings } from '../hazards/settings.ts'
import { feedRows } from '../hazards/tables.ts'
import { placementSettings } from '../settings.ts'

const file = 'placement/placement.db'
/** Number of the migration that brought these tables. */
const riskMigration = 5

export function placementChecks(path: string): Check[] {
  const folder = new SiteFolder(path, 'site', systemPorts)
  const settings = async () => hazardSettings(await folder.hazards())
  return [
    {
      what: 'placement.json',
      look: async () => {
        const bytes = await folder.read('placement.json')
        placementSettings(bytes)
        return bytes ? 'sound' : 'not there: the defaults hold'
      },
    },
    {
      what: 'hazards.json',
      look: async () => {
        const { feeds } = await settings()
        return feeds.length === 0 ? 'no feeds: only what is pushed counts' : `${feeds.length} feeds`
      },
    },
    {
      what: 'hazard feeds',
      look: async () => {
        const stores = Stores.of(path)
        if (!(await stores.has(file))) return 'not there yet: made at the first start'
        const { feeds: named } = await settings()
        const feeds = await keptFeeds(stores)
        const current = feeds.filter(({ name }) => name === 'operator' || named.some((feed) => feed.name === name))
        const sick = current.find(({ problem }) => problem !== null)
        if (sick) throw new Problem(sick.problem as 'feed.stale', `${sick.name}: ${sick.detail ?? ''}`)
        return `${current.length} are well`
      },
    },
  ]
}

/** Reads what placement wrote down last, and changes nothing. */
async function keptFeeds(stores: Stores) {
  const database = await stores.openAlone(file)
  try {
    const found = await database.get<{ number: number }>(
      "SELECT max(number) AS number FROM migrations WHERE set_name = 'placement'",
    )
    if ((found?.number ?? 0) < riskMigration)
      throw new Problem('config.invalid', 'this placement is of an older release: start the gateway once')
    return await feedRows.all(database)
  } finally {
    await database.close()
  }
}
