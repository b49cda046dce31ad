/** How an operator's commands reach placement: its database beside a running gateway, or its own rules with its keys. */
import { existsSync } from 'node:fs'
import { text, type Values } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../adapters/database.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { consoleLog } from '../log.ts'
import { openPlacement } from '../services/placement/main.ts'
import { placementMigrations } from '../services/placement/migrations.ts'
import type { Placement } from '../services/placement/service.ts'
import { SiteFolder } from '../site-folder.ts'
import type { Database } from '../storage/database.ts'
import { migrate } from '../storage/migrate.ts'

/** Placement's database beside a running gateway: what is written here, the mover sees at its next look. */
export async function withPlacement<T>(values: Values, work: (database: Database) => T): Promise<T> {
  const path = `${text(values, 'folder')}/placement/placement.db`
  if (!existsSync(path)) throw new Problem('config.invalid', `${path} is not there`)
  const database = openDatabase(path)
  try {
    await migrate(database, [{ set: 'placement', migrations: placementMigrations }], systemPorts.clock.now())
    return await work(database)
  } finally {
    await database.close()
  }
}

/** Placement's own rules, with its keys, for what goes into the journal. */
export async function withService<T>(values: Values, work: (placement: Placement) => T | Promise<T>): Promise<T> {
  const place = new SiteFolder(text(values, 'folder'), text(values, 'site'), systemPorts)
  const opened = await openPlacement(place, systemPorts, {
    buffer: {
      describe: async () => undefined,
      read: async () => {
        throw new Problem('transfer.unknown')
      },
      release: async () => undefined,
    },
    log: consoleLog('placement'),
    passphrase: process.env['AZUKARI_PASSPHRASE'],
  })
  try {
    return await work(opened.placement)
  } finally {
    await opened.close()
  }
}
