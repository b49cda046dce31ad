/** The first whole way through real protocol stacks (D2, S10, S17): what `npm run demo -- --board hil` shows. */
import { rm } from 'node:fs/promises'
import t from 'tap'
import { quietLog } from '../testkit/log.ts'
import { runHilDemo } from './demo.ts'

t.setTimeout(240_000)

t.test('D2 S10 S17: a photo by Firmata, PC/SC and ffmpeg is kept in two places and comes out by IPP', async (t) => {
  const { checks, folder } = await runHilDemo({ log: quietLog, tell: () => undefined })
  t.equal(checks.length, 5)
  for (const { what, ok, figure } of checks) t.ok(ok, `${what} [${figure}]`)
  await rm(folder, { recursive: true, force: true })
})
