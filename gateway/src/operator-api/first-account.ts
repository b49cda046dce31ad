/** The first account of a site, with every role, made while nothing runs there. */
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { isProblem } from '@azukari/protocol/problem'
import { openDatabase } from '../adapters/database.ts'
import type { SitePorts } from '../site-folder.ts'
import { migrate } from '../storage/migrate.ts'
import { Accounts } from './accounts.ts'
import { roles } from './role-list.ts'
import { operatorMigrations } from './tables.ts'

const name = 'admin'

/** Undefined when there are accounts already, or the gateway runs. @throws {Problem} `database.newer`, `storage.*` */
export async function firstAccount(
  folder: string,
  ports: SitePorts,
): Promise<{ name: string; password: string } | undefined> {
  let held: Disposable
  try {
    held = holdFolder(`${folder}/gateway.lock`)
  } catch (error) {
    if (isProblem(error, 'folder.in-use')) return undefined
    throw error
  }
  using _ = held
  const database = openDatabase(`${folder}/operators.db`)
  try {
    await migrate(database, [operatorMigrations], ports.clock.now())
    const accounts = new Accounts(database, ports)
    if ((await accounts.count()) > 0) return undefined
    const password = accounts.newPassword()
    await accounts.add(name, roles, password)
    return { name, password }
  } finally {
    await database.close()
  }
}
