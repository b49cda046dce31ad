/** A contract's name stands in its definition and nowhere else: everything else takes it from there (ARCHITECTURE §3). */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { contracts } from '@azukari/protocol/contracts/all'
import t from 'tap'
import ts from 'typescript'

const root = resolve(import.meta.dirname, '..')
const folders = ['protocol/src', 'device/src', 'boards/src', 'gateway/src', 'sim/src', 'scripts']
/** Here they are defined. */
const definitions = 'protocol/src/contracts'

const names: ReadonlySet<string> = new Set(contracts.flatMap(({ name, id }) => [name, id]))

/** Literals of a source that are the name or the id of a contract, by line. */
function namesIn(path: string, text: string): string[] {
  if (!contracts.some(({ name }) => text.includes(name))) return []
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest)
  const found: string[] = []
  const look = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) && names.has(node.text))
      found.push(`${path}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1}: ${node.text}`)
    ts.forEachChild(node, look)
  }
  look(source)
  return found
}

t.test('D4: no source but its definition writes the name of a contract', (t) => {
  const files = folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    )
    .filter((path) => /\.(ts|js|mjs)$/.test(path) && !path.includes('node_modules'))
    .filter((path) => relative(definitions, path).startsWith('..'))
  t.comment(`${files.length} files read, ${contracts.length} contracts`)
  t.ok(files.length > 400 && contracts.length > 60, 'it looked where sources are')
  t.same(
    files.flatMap((path) => namesIn(path, readFileSync(join(root, path), 'utf8'))),
    [],
  )
  t.end()
})

t.test('D4: it sees names in quotes, in templates and as property names, and not in comments', (t) => {
  const [contract] = contracts
  const text = `// '${contract!.name}'\nsend('${contract!.name}')\nsend(\`${contract!.id}\`)\nconst by = { '${contract!.id}': 1 }`
  t.same(namesIn('made-up.ts', text), [
    `made-up.ts:2: ${contract!.name}`,
    `made-up.ts:3: ${contract!.id}`,
    `made-up.ts:4: ${contract!.id}`,
  ])
  t.end()
})
