/** `azukari-gateway store move`: a site’s services leave their files for PostgreSQL (D4, docs/decisions/0025). Nothing of it may run. */
import { existsSync, renameSync } from 'node:fs'
import type { Command, Values } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { Problem } from '@azukari/protocol/problem'
import { checkStoreSettings, movedSuffix, type StoreSettings, Stores, storeFile } from '../adapters/stores.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import type { ServiceModule } from '../host/service-module.ts'
import { services } from '../services/index.ts'
import { folder } from './site-options.ts'

export const storeCommands: Record<string, Command> = {
  'store move': {
    what: 'Moves the databases of the site’s services from SQLite to PostgreSQL and compares every row. Broken off, it goes on when it is called again. The site must be stopped; its files are kept under another name.',
    options: {
      folder,
      url: { type: 'string', what: 'postgres://user@host:port/database, without the password', required: true },
      'password-file': { type: 'string', what: 'file with the password; else AZUKARI_POSTGRES_PASSWORD' },
      ca: { type: 'string', what: 'PEM file of the server’s authority; else the system’s' },
      connections: { type: 'string', what: 'connections at most, of each service; 8 without it' },
    },
    async run(values) {
      const path = text(values, 'folder')
      const settings = settingsOf(values)
      // Whoever runs holds one of these, inside the gateway or apart.
      using locks = new DisposableStack()
      for (const name of ['gateway.lock', ...services.flatMap(locksOf)]) locks.use(holdFolder(`${path}/${name}`))
      const before = Stores.of(path)
      if (before.settings && before.settings.url !== settings.url)
        throw new Problem('config.invalid', `${storeFile} names another server already`)
      const stores = Stores.with(path, settings)
      const moved: Record<string, { tables: number; rows: number; again: boolean }> = {}
      for (const module of services)
        for (const database of module.databases)
          if (existsSync(`${path}/${database}`)) moved[database] = await moveOne(stores, module, database)
      // The order matters: as long as a file has its old name nothing starts on the other side.
      const { SiteFolder } = await import('../site-folder.ts')
      await new SiteFolder(path, 'site', systemPorts).write(
        storeFile,
        new TextEncoder().encode(`${JSON.stringify(settings, null, 2)}\n`),
      )
      for (const database of Object.keys(moved))
        for (const beside of ['-wal', '-shm', ''])
          if (existsSync(`${path}/${database}${beside}`))
            renameSync(`${path}/${database}${beside}`, `${path}/${database}${movedSuffix}${beside}`)
      const lines = Object.entries(moved).map(
        ([name, { tables, rows, again }]) =>
          `${name}: ${rows} rows of ${tables} tables, each compared${again ? '; an earlier copy was of another state and was made anew' : ''}`,
      )
      return {
        json: { moved },
        text: lines.length > 0 ? lines.join('\n') : 'nothing lies in files any more',
      }
    },
  },
}

function settingsOf(values: Values): StoreSettings {
  return checkStoreSettings({
    url: text(values, 'url'),
    ...(values['password-file'] !== undefined && { passwordFile: text(values, 'password-file') }),
    ...(values['ca'] !== undefined && { ca: text(values, 'ca') }),
    ...(values['connections'] !== undefined && { connections: integer(values, 'connections', 2, 200) }),
  })
}

function locksOf({ name, lock, paired }: ServiceModule): string[] {
  return paired ? [lock, `${name}-backup.lock`] : [lock]
}

async function moveOne(stores: Stores, module: ServiceModule, path: string) {
  const { openDatabase } = await import('../adapters/database.ts')
  const { hostMigrations } = await import('../service/tables.ts')
  const { migrate } = await import('../storage/migrate.ts')
  const { moveDatabase } = await import('../storage/move.ts')
  const migrations = await module.migrations?.()
  if (!migrations) throw new Problem('config.invalid', `${module.name} does not say what its tables are`)
  const sets = [hostMigrations, { set: module.name, migrations }]
  const from = openDatabase(`${stores.folder}/${path}`)
  try {
    const to = await stores.openOwnSchema(path)
    try {
      for (const database of [from, to]) await migrate(database, sets, systemPorts.clock.now())
      let told = ''
      return await moveDatabase({
        from,
        to,
        progress: ({ table, doing, rows }) => {
          // A line for each table, and one for every so many rows.
          const step = `${path} ${table} ${doing} ${Math.floor(rows / 20_000)}`
          if (step !== told) console.error(`${path}: ${table}: ${rows} rows ${doing}`)
          told = step
        },
      })
    } finally {
      await to.close()
    }
  } finally {
    await from.close()
  }
}
