import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import ts from 'typescript'
import { hostMigrations } from '../service/tables.ts'
import { services } from '../services/index.ts'
import { testEngines } from '../test-database.ts'
import type { Database } from './database.ts'
import { migrate } from './migrate.ts'
import { postgresSchema, postgresText, statementsOf } from './postgres-text.ts'

const root = resolve(import.meta.dirname, '..')
const files = globSync('{service,services}/**/*.ts', { cwd: root }).filter(
  (name) => !/test|\/centre\/|bank\/release/.test(name),
)

for (const [engine, open] of Object.entries(testEngines()))
  t.test(`D5 ${engine}: every statement that stands in the sources of services is understood`, async (t) => {
    const schemas: Database[] = []
    for (const { name: set, migrations: load } of services) {
      const migrations = (await load?.()) ?? []
      const database = await open()
      t.teardown(() => database.close())
      await migrate(database, [hostMigrations, { set, migrations }], 1)
      schemas.push(database)
    }
    const wrong: string[] = []
    let whole = 0
    let parts = 0
    for (const name of files)
      for (const { sql, line, isPart } of statementsIn(readFileSync(resolve(root, name), 'utf8'))) {
        if (isPart) {
          parts++
          continue
        }
        whole++
        const failures = await Promise.all(schemas.map((database) => refusal(database, sql)))
        if (failures.every((failure) => failure !== undefined)) wrong.push(`${name}:${line} ${failures.join('; ')}`)
      }
    t.same(wrong, [])
    t.comment(`${whole} statements of ${files.length} files; ${parts} are put together at run time`)
    t.ok(whole > 200)
  })

/**
 * What engines of PostgreSQL's wire lack that are distributed, so that a site can move to one (decision 12). Sources, read in
 * November 2026: cockroachlabs.com/docs/stable/postgresql-compatibility, cockroachlabs.com/docs/stable/advisory-locks (accepted, without
 * effect), docs.yugabyte.com/stable/explore/ysql-language-features/postgresql-compatibility. Neither was run here.
 */
const lackedElsewhere: Readonly<Record<string, RegExp>> = {
  'table locks': /\bLOCK TABLE\b/i,
  events: /\b(LISTEN|NOTIFY|UNLISTEN|pg_notify)\b/i,
  'advisory locks': /\bpg_(try_)?advisory/i,
  inheritance: /\bINHERITS\b/i,
  'exclusion constraints': /\bEXCLUDE\s+(USING|\()/i,
  'deferrable constraints': /\bDEFERRABLE\b/i,
  'transactions in two phases': /\bPREPARE TRANSACTION\b/i,
  domains: /\bCREATE DOMAIN\b/i,
  rules: /\bCREATE (OR REPLACE )?RULE\b/i,
  'XML functions': /\bxml(element|parse|agg|forest)\b/i,
  'GiST indexes': /\bUSING gist\b/i,
  'rights by column': /\bGRANT\s+\w+\s*\(/i,
  'unlogged and temporary tables': /\bCREATE (UNLOGGED|TEMP|TEMPORARY)\b/i,
  'large objects': /\blo_(create|import|export)\b/i,
  'rows by their place': /\b(ctid|xmin|tableoid)\b/,
}

function lacked(sql: string): string | undefined {
  return Object.entries(lackedElsewhere).find(([, pattern]) => pattern.test(sql))?.[0]
}

t.test('D5: no statement of services needs what the distributed engines lack', async (t) => {
  const wrong: string[] = []
  for (const name of files)
    for (const { sql, line } of statementsIn(readFileSync(resolve(root, name), 'utf8'))) {
      const what = lacked(postgresText(sql))
      if (what) wrong.push(`${name}:${line} ${what}`)
    }
  const ofServices = await Promise.all(services.map(async ({ migrations }) => (await migrations?.()) ?? []))
  for (const { number, up } of [...hostMigrations.migrations, ...ofServices.flat()])
    for (const step of typeof up === 'string' ? statementsOf(up) : []) {
      const what = lacked(postgresSchema(step))
      if (what) wrong.push(`migration ${number}: ${what}`)
    }
  t.same(wrong, [])
  t.equal(lacked('SELECT pg_advisory_xact_lock(1)'), 'advisory locks')
  t.equal(lacked('LOCK TABLE saves'), 'table locks')
})

/** What the engine says against a statement, which is planned and not carried out. */
async function refusal(database: Database, sql: string): Promise<string | undefined> {
  const places = [...sql.matchAll(/\?(\d*)/g)].map(([, n], i) => Number(n || i + 1))
  try {
    await database.transaction(async (inside) => {
      if (database.engine === 'postgres') await inside.script(`PREPARE tried AS ${sql}; DEALLOCATE tried`)
      else await inside.all(`EXPLAIN ${sql}`, ...Array.from({ length: Math.max(0, ...places) }, () => null))
      throw new Error('enough')
    })
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    return !isProblem(error) && said === 'enough' ? undefined : said
  }
  return undefined
}

/** Finds the SQL of a source: strings that are statements, as they stand. */
interface SourceStatement {
  sql: string
  line: number
  /** It is put together from parts, so `sql` is only the first of them. */
  isPart: boolean
}

const beginning = /^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s/

function statementsIn(text: string): SourceStatement[] {
  const file = ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true)
  const found: SourceStatement[] = []
  const visit = (node: ts.Node): void => {
    const isPart = ts.isTemplateExpression(node)
    const sql = isPart ? node.head.text : ts.isStringLiteralLike(node) ? node.text : undefined
    if (sql !== undefined && beginning.test(sql))
      found.push({
        sql,
        isPart: isPart || /WHERE \w+$/.test(sql),
        line: file.getLineAndCharacterOfPosition(node.getStart()).line + 1,
      })
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}
