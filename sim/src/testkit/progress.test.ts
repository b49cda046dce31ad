import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { QuietTime, watchProgress } from './progress.ts'

t.test('D4: on a busy machine time counts less', (t) => {
  let now = 0
  let busy = 0.5
  const time = new QuietTime(
    () => now,
    () => busy,
  )
  now = 1_000
  t.equal(time.ms, 1_000)
  busy = 5
  now = 6_000
  t.equal(time.ms, 2_000)
  t.end()
})

t.test('D4: who works is waited for, who hangs is found', async (t) => {
  const start = (source: string) => spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  const limitMs = 400
  const working = start('const end = Date.now() + 3000; while (Date.now() < end); console.log("ready")')
  let isStalled = false
  {
    using _ = watchProgress(working.pid!, limitMs, () => {
      isStalled = true
    })
    await once(working.stdout, 'data')
  }
  t.notOk(isStalled, 'many times the limit, and it worked all the while')
  const hanging = start('setInterval(() => undefined, 1e6)')
  await new Promise<void>((found) => void watchProgress(hanging.pid!, limitMs, found))
  hanging.kill('SIGKILL')
  await once(hanging, 'exit')
  t.pass('found')
})
