/** A service's store for slow work, which one of its processes does at a time (docs/decisions/0034). */
import type { Duty, Row, SqlValue } from '../storage/database.ts'
import { soleDuty } from '../storage/duty.ts'
import type { OwnContext, ServiceStore } from './service.ts'

type Work<T> = (context: OwnContext) => Promise<T> | T

/** The same store, whose transactions look first whose turn it is; reading is free. */
export function onDuty(store: ServiceStore, duty: Duty): ServiceStore {
  if (duty === soleDuty) return store
  const checked =
    <T>(work: Work<T>): Work<T> =>
    async (context) => {
      await duty.check(context.sql)
      return work(context)
    }
  const { sql } = store
  return {
    transaction: (work) => store.transaction(checked(work)),
    commit: (work) => store.commit(checked(work)),
    sql: {
      engine: sql.engine,
      run: (text, ...parameters: SqlValue[]) =>
        store.transaction(checked((context) => context.sql.run(text, ...parameters))),
      get: <T = Row>(text: string, ...parameters: SqlValue[]) => sql.get<T>(text, ...parameters),
      all: <T = Row>(text: string, ...parameters: SqlValue[]) => sql.all<T>(text, ...parameters),
    },
  }
}
