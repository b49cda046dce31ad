/** The leader's database as settlement sees it (P9): every transaction goes into the centre's log, and only while it leads. */
import type { Database, FollowedDatabase, Transaction } from '../../../storage/database.ts'
import { CentreLog } from './log.ts'

/**
 * @param database with the centre's tables
 * @param committed called after every commit, before it returns; throws when the commit cannot be told as done
 */
export function ledDatabase(
  database: FollowedDatabase,
  committed: (log: CentreLog) => Promise<void> | void = () => {},
): Database {
  const log = new CentreLog(database)
  const transaction = async <T>(work: (sql: Transaction) => Promise<T> | T): Promise<T> => {
    const result = await log.write(work)
    await committed(log)
    return result
  }
  return {
    engine: database.engine,
    transaction,
    run: (sql, ...parameters) => transaction((inside) => inside.run(sql, ...parameters)),
    get: (sql, ...parameters) => database.get(sql, ...parameters),
    all: (sql, ...parameters) => database.all(sql, ...parameters),
    script: (sql) => database.script(sql),
    backup: (label) => database.backup(label),
    close: () => database.close(),
  }
}
