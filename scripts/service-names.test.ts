/** Outside `services/` nothing knows a service by its name: everything follows from the list (decision 16). */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { services } from '@azukari/gateway/services/index'
import t from 'tap'
import ts from 'typescript'

const root = resolve(import.meta.dirname, '..')
const sources = 'gateway/src'
const names = services.map(({ name }) => name as string)

/** A name that is an ordinary word, too: in a sentence it is the word, alone or between slashes the service. */
const ordinary: ReadonlySet<string> = new Set(['work'])

function isNamed(text: string): boolean {
  const alone = text.split('/').filter((part) => ordinary.has(part))
  const words = text.split(/[^A-Za-z]+/).map((word) => word.toLowerCase())
  return [...alone, ...words.filter((word) => !ordinary.has(word))].some((word) => names.includes(word))
}
/** HTTP's own names, of which `content` is a part and no service. */
const headerNames = /\b(x-)?content-[a-z-]+/gi

/** Literals of a source that name a service, alone or as a word of a path or a text, by line; import paths are among them. */
function namesIn(path: string, text: string): string[] {
  if (!names.some((name) => text.includes(name))) return []
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest)
  const found: string[] = []
  const look = (node: ts.Node): void => {
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)
    if (isText && isNamed(node.text.replace(headerNames, '')))
      found.push(`${path}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1}: ${node.text}`)
    ts.forEachChild(node, look)
  }
  look(source)
  return found
}

t.test('D4: no import path and no literal outside services/ is a service’s name', (t) => {
  const files = readdirSync(join(root, sources), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('services/'))
    // Tests and what they are written with speak of real services.
    .filter((path) => !/(\.test\.ts|(^|\/)test-[a-z-]+\.ts)$/.test(path))
    .map((path) => join(sources, path))
  t.comment(`${files.length} files read, services: ${names.join(', ')}`)
  t.ok(files.length > 150 && names.length >= 2, 'it looked where sources are')
  t.same(
    files.flatMap((path) => namesIn(path, readFileSync(join(root, path), 'utf8'))),
    [],
  )
  t.end()
})

t.test('D4: it sees names in quotes, paths, templates and imports, and not in comments and longer words', (t) => {
  const [name = ''] = names
  const text = [
    `// '${name}'`,
    `open('${name}')`,
    `open(\`\${folder}/${name}/\${file}\`)`,
    `import { x } from './services/${name}/main.ts'`,
    `const ${name}Key = '${name}s'`,
    `throw new Error('does not work')`,
    `open('work/work.db')`,
    `header('content-type')`,
  ].join('\n')
  t.same(
    namesIn('made-up.ts', text).map((line) => line.split(':')[1]),
    ['2', '3', '4', '7'],
  )
  t.end()
})

t.test('D4: services that run apart on one host have ports of their own, as has the gateway by its documents', (t) => {
  const manual = readFileSync(join(root, 'docs/operators.md'), 'utf8')
  const listeners = [
    ...new Set([...manual.matchAll(/(?:gateway run .*--peer|--https)-port (\d+)/g)].map(([, port]) => Number(port))),
  ]
  const ports = [...services.map(({ port }) => port), ...listeners]
  t.ok(listeners.length >= 2, listeners.join(', '))
  t.equal(new Set(ports).size, ports.length, ports.join(', '))
  t.end()
})
