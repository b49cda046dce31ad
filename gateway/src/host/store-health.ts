/** What is shown to operators of a process's databases. Each service's figures bear its name, since those apart stand beside them. */
import type { PostgresDatabase } from '../adapters/postgres.ts'
import type { Stores } from '../adapters/stores.ts'
import type { Database } from '../storage/database.ts'
import { gaugesOf } from './gauges.ts'
import type { ServiceHealth } from './service-module.ts'

export function storeHealth(stores: Stores): ServiceHealth {
  return {
    facts: async () =>
      Object.fromEntries(
        stores.opened.map(([name, database]) => {
          const { engine } = database
          if (!isPostgres(database)) return [`${name}Store`, { engine }]
          const { connections, conflicts, failures, workEpoch } = database
          const facts = { engine, ...connections, conflicts, failures }
          return [`${name}Store`, workEpoch === undefined ? facts : { ...facts, workEpoch }]
        }),
      ),
    metrics: (registry) => {
      const { gauge, totals } = gaugesOf(registry)
      for (const [name, database] of stores.opened) {
        if (!isPostgres(database)) continue
        gauge(`${name}_store_connections`, 'Connections to PostgreSQL', () => database.connections.open)
        gauge(`${name}_store_idle`, 'Connections that nobody uses', () => database.connections.idle)
        gauge(`${name}_store_waiting`, 'What waits for a connection', () => database.connections.waiting)
        totals(`${name}_store`, 'Requests that met a conflict and ran again; that no server answered', 'what', () => ({
          conflicts: database.conflicts,
          failures: database.failures,
        }))
      }
    },
  }
}

function isPostgres(database: Database): database is PostgresDatabase {
  return database.engine === 'postgres' && 'connections' in database
}
