import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { runContentDemo } from './demo.ts'

t.test('C1–C5 C7–C9 C13 C14 content, from its provider to members and a player, by commands', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const report = await runContentDemo({ folder, log: quietLog, tell: (line) => t.comment(line) })
  for (const { id, what, ok, figure } of report.checks) t.ok(ok, `${id} ${what} [${figure}]`)
  const ids = new Set(report.checks.map(({ id }) => id))
  t.same([...ids].sort(), ['C1', 'C13', 'C14', 'C2', 'C3', 'C4', 'C5', 'C7', 'C8', 'C9'])
  t.equal(report.deliveries.length, 5)
})
