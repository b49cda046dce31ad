import t from 'tap'
import { run } from './command.ts'
import { runWhole } from './whole.ts'

t.test(
  'D3 S4 S10: over the real MQTT client and broker, 8 seeds with faults and cuts keep all that was promised',
  async (t) => {
    const report = await run({ seeds: 8, hours: 1, wire: true })
    t.same(report.failed, [], report.failures.map(({ message }) => message).join('\n'))
    t.ok(report.kept > 40, `${report.kept} pictures were kept`)
    t.ok(report.printed > 2, `${report.printed} pages came out`)
    t.ok((report.faults['network.cut'] ?? 0) > 5 && (report.faults['line.break'] ?? 0) > 0, 'lines were cut and broke')
  },
)

t.test('a seed on the wire replays exactly, and leaves the timers of this thread as they were', async (t) => {
  const timers = [setTimeout, setInterval, clearTimeout, clearInterval, Date.now]
  const options = { seed: 4, hours: 0.6, wire: true }
  const first = await runWhole(options)
  t.same(await runWhole(options), first)
  t.same([setTimeout, setInterval, clearTimeout, clearInterval, Date.now], timers)
  t.not((await runWhole({ ...options, wire: false })).digest, first.digest)
})
