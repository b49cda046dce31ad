/** Upgrades of the gateway itself, on a real site's folder (D6, docs/decisions/0007): its slots, copies, trial and schema. */
import { existsSync } from 'node:fs'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { confirmHealth } from '@azukari/protocol/upgrade/launcher'
import { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import type { Slots } from '@azukari/protocol/upgrade/slots'
import { openDatabase } from '../adapters/database.ts'
import { services } from '../services/index.ts'
import { DatabaseCopies } from './copies.ts'

/** Databases of a gateway with its services inside, by their paths in the site's folder. */
export const siteDatabases: readonly string[] = [
  'gateway.db',
  'operators.db',
  ...services.flatMap(({ databases }) => databases),
]

/** How often a gateway looks whether another version is to run, ms. */
const lookMs = 1_000

export function gatewaySlots(folder: string): SlotStore {
  return new SlotStore(systemFiles(), `${folder}/slots`, 'gateway')
}

export function gatewayCopies(folder: string, log: Log): DatabaseCopies {
  return new DatabaseCopies({
    files: systemFiles(),
    folder,
    directory: `${folder}/slots/before`,
    databases: siteDatabases,
    copyDatabase: async (from, to) => {
      const database = openDatabase(from)
      try {
        await database.copyTo(to)
      } finally {
        await database.close()
      }
    },
    log,
  })
}

/** Whether copies from before a trial may still be put back. */
export function isUnsettled(folder: string): boolean {
  return existsSync(`${folder}/slots/before/open`)
}

/** Every database that is there can be read from end to end. @throws {Problem} `storage.failed` */
export async function checkDatabases(folder: string): Promise<void> {
  for (const path of siteDatabases) {
    if (!existsSync(`${folder}/${path}`)) continue
    const database = openDatabase(`${folder}/${path}`)
    try {
      const said = String(Object.values((await database.get('PRAGMA quick_check')) ?? {})[0])
      if (said !== 'ok') throw new Problem('storage.failed', `${path}: ${said.slice(0, 200)}`)
    } finally {
      await database.close()
    }
  }
}

/**
 * Whether the databases are still as the version before knows them.
 * @throws {Problem} `database.newer` when they were brought up to date since, `upgrade.damaged` when nobody can tell any more
 */
export async function checkSchemaOfBefore(folder: string, log: Log): Promise<void> {
  const closed = await gatewayCopies(folder, log).closed()
  if (!closed) throw new Problem('upgrade.damaged', 'the copies from before this version are not there any more')
  for (const path of siteDatabases) {
    if (!existsSync(`${folder}/${path}`)) continue
    const copied = closed.copies.some((copy) => copy.path === path)
    const before = copied ? await schemaOf(`${folder}/slots/before/${path}`) : undefined
    if (before !== (await schemaOf(`${folder}/${path}`)))
      throw new Problem('database.newer', `${path} was brought up to date by ${closed.version}`)
  }
}

/** Which migrations a database has, as text that can be compared. */
async function schemaOf(path: string): Promise<string> {
  const database = openDatabase(path)
  try {
    const rows = await database.all(
      'SELECT set_name, max(number) AS number FROM migrations GROUP BY set_name ORDER BY set_name',
    )
    return JSON.stringify(rows)
  } finally {
    await database.close()
  }
}

/** What a gateway that a launcher started does about upgrades of itself. */
export interface Launched {
  /** Set when it is on trial. */
  confirm: (() => Promise<void>) | undefined
  /** Resolves when another version is to run; never, once `signal` is aborted. */
  replaced(signal: AbortSignal): Promise<void>
}

/** @param version the one that runs */
export async function launchedGateway(folder: string, version: string, log: Log): Promise<Launched> {
  const store = gatewaySlots(folder)
  const began = await store.read()
  let { active } = began
  const confirm = async () => {
    await confirmHealth(store, version)
    active = (await store.read()).active
    // From here on the gateway acknowledges things: whatever happens now, the copies are not put back.
    await gatewayCopies(folder, log).close()
    log.info('this version has shown that it works', { version })
  }
  return {
    confirm: began.attempt?.phase === 'trying' ? confirm : undefined,
    replaced: async (signal) => {
      const isOther = (slots: Slots) => slots.attempt?.phase === 'pending' || slots.active !== active
      while (!isOther(await store.read())) await systemClock.sleep(lookMs, signal)
    },
  }
}
