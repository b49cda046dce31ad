import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { runSettlementDemo } from './demo.ts'

t.test(
  'P1–P9 S13 S14 the whole way of settlement, over real MQTT, with bank and card company as processes',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const report = await runSettlementDemo({ folder, log: quietLog, tell: (line) => t.comment(line) })
    for (const { id, what, ok, figure } of report.checks) t.ok(ok, `${id} ${what} [${figure}]`)
    t.ok(report.checks.length >= 23)
    t.equal(report.documents.length, 9)
    for (const { path } of report.documents) t.ok(existsSync(path), path)
    t.strictSame(
      report.trialBalance.map(({ difference }) => difference),
      [0],
    )
  },
)
