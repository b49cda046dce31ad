/**
 * Queries typed and compiled by Kysely once, when the program starts, and run by the store's own thin executor
 * (ARCHITECTURE §5; Kysely's own execution is a third as fast). One text serves both engines: it keeps to what both speak,
 * and the PostgreSQL executor numbers the placeholders.
 */
import { type Compilable, DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import type { Sql, SqlValue } from './database.ts'

/** A compiled query with named parameters. */
export interface Query<P, R> {
  readonly sql: string
  run(sql: Sql, parameters: P): Promise<{ changes: number }>
  get(sql: Sql, parameters: P): Promise<R | undefined>
  all(sql: Sql, parameters: P): Promise<R[]>
}

class Parameter {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/** A builder of queries over the tables of type `Tables`. */
export function queries<Tables>() {
  const kysely = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
  /**
   * Compiles `build(db, p)`, where `p.x` stands for the parameter `x`.
   * @example const find = query<{ id: Uint8Array }>()((db, p) => db.selectFrom('devices').selectAll().where('id', '=', p.id))
   */
  return <P extends Record<string, SqlValue>>() =>
    <R>(build: (db: Kysely<Tables>, p: P) => Compilable<R>): Query<P, R> => {
      const markers = new Proxy({}, { get: (_, name) => new Parameter(String(name)) }) as P
      const compiled = build(kysely, markers).compile()
      const order = compiled.parameters.map((value) =>
        value instanceof Parameter ? { name: value.name } : { value: value as SqlValue },
      )
      const bind = (parameters: P): SqlValue[] =>
        order.map((slot) => (slot.name === undefined ? slot.value : parameters[slot.name]!))
      return {
        sql: compiled.sql,
        run: (sql, parameters) => sql.run(compiled.sql, ...bind(parameters)),
        get: (sql, parameters) => sql.get<R>(compiled.sql, ...bind(parameters)),
        all: (sql, parameters) => sql.all<R>(compiled.sql, ...bind(parameters)),
      }
    }
}
