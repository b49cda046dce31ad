/** The site's registry for commands that run beside the gateway, or without it. */
import { openDatabase } from '../adapters/database.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { migrate } from '../storage/migrate.ts'
import { telemetryMigrations } from '../telemetry/tables.ts'
import { gatewayMigrations } from './tables.ts'

/** Opens the registry in a site's folder, brings it up to date, and closes it again. @throws {Problem} `database.newer`, `storage.*` */
export async function withRegistry<T>(
  path: string,
  work: (database: ReturnType<typeof openDatabase>) => Promise<T>,
): Promise<T> {
  await systemPorts.files.makeDirectory(path)
  const database = openDatabase(`${path}/gateway.db`)
  try {
    await migrate(database, [gatewayMigrations, telemetryMigrations], systemPorts.clock.now())
    return await work(database)
  } finally {
    await database.close()
  }
}
