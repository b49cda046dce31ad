import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { stepsOf } from './walkthrough.ts'

const document = `# For operators

## First

**On here and there** something is typed:

\`\`\`sh
one --two    # says three
\`\`\`

**On here** again, after prose:

\`\`\`sh
four

five # six
\`\`\`

## Second

\`\`\`sh
nobody knows where
\`\`\`
`

t.test('D1: the commands of a document, each with its hosts', async (t) => {
  t.same(stepsOf(document, 'First'), [
    { hosts: ['here', 'there'], lines: ['one --two'] },
    { hosts: ['here'], lines: ['four', 'five'] },
  ])
  t.throws(() => stepsOf(document, 'Second'), { code: 'config.invalid' }, 'a block that no host types')
  t.throws(() => stepsOf(document, 'Third'), { code: 'config.invalid' })
})

t.test('D1: every block of the walk in docs/operators.md says its hosts', async (t) => {
  const operators = await readFile(join(import.meta.dirname, '../../../docs/operators.md'), 'utf8')
  const steps = stepsOf(operators, 'From bare hosts to the first print')
  t.ok(steps.length >= 6)
  t.ok(steps.flatMap(({ lines }) => lines).length >= 18)
})
