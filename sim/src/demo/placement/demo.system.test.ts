import { rm } from 'node:fs/promises'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { runPlacementDemo } from './demo.ts'

t.test('S5, S9, S11, S12, S14, S16, D8: every check of the placement demo holds on a running site', async (t) => {
  const { checks, folder } = await runPlacementDemo({ log: quietLog, tell: (line) => t.comment(line) })
  for (const { id, what, ok, figure } of checks) t.ok(ok, `${id}: ${what} [${figure}]`)
  for (const id of ['S5', 'S9', 'S11', 'S12', 'S14', 'S16', 'D8'])
    t.ok(
      checks.some((check) => check.id === id),
      `${id} is shown`,
    )
  await rm(folder, { recursive: true, force: true })
})
