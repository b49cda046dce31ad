/** The leader's database as settlement sees it (P9): every transaction goes into the centre's log, and only while it leads. */
import type { Database, FollowedDatabase, Row, Sql, SqlValue } from '../../../storage/database.ts'
import { CentreLog } from './log.ts'

/**
 * @param database with the centre's tables
 * @param committed called after every commit, before it returns; throws when the commit cannot be told as done
 */
export function ledDatabase(database: FollowedDatabase, committed: (log: CentreLog) => void = () => {}): Database {
  const log = new CentreLog(database)
  let inside = false
  const transaction = <T>(work: (sql: Sql) => T): T => {
    inside = true
    let result: T
    try {
      result = log.write(work)
    } finally {
      inside = false
    }
    committed(log)
    return result
  }
  return {
    transaction,
    run: (sql: string, ...parameters: SqlValue[]) =>
      inside ? database.run(sql, ...parameters) : transaction(() => database.run(sql, ...parameters)),
    get: <T = Row>(sql: string, ...parameters: SqlValue[]) => database.get<T>(sql, ...parameters),
    all: <T = Row>(sql: string, ...parameters: SqlValue[]) => database.all<T>(sql, ...parameters),
    script: (sql) => database.script(sql),
    savepoint: (work) => database.savepoint(work),
    backup: (label) => database.backup(label),
    close: () => database.close(),
  }
}
