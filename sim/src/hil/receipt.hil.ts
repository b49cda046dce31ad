/** Receipt printers in the loop: ESC/POS over the real serial port to a pty, the bytes made a picture again. */
import { EscposPrinter } from '@azukari/boards/escpos-printer'
import { greyOf } from '@azukari/boards/one-bit'
import { fails, limit } from '@azukari/device/conformance/suite'
import type { Raster } from '@azukari/device/drivers'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import t from 'tap'
import { until } from '../site/wait.ts'
import { drawScene } from '../testkit/boards/scene.ts'
import { quietLog } from '../testkit/log.ts'
import { SeededRandom } from '../testkit/world/chance.ts'
import { PtyPair } from './pty.ts'
import { ReceiptPrinter } from './receipt-printer.ts'

t.setTimeout(120_000)
// Waits of drivers keep no process alive, as the boards' own line does.
const alive = setInterval(() => undefined, 1_000)
t.teardown(() => clearInterval(alive))
const pair = await PtyPair.open()
t.teardown(() => pair.close())
let far = new ReceiptPrinter(pair.far)
const dots = 192
const printer = new EscposPrinter({ path: pair.path, clock, log: quietLog, dots, againMs: 100, pageMs: 5_000 })
t.teardown(() => printer.close())
const request = (page: Raster, copies = 1) => ({ page, copies, title: '写真' })
const scene = drawScene(new SeededRandom(4), 96, 120)
const ready = () =>
  until('the printer', async () => (await printer.attributes(limit()).catch(() => undefined))?.ready, 5_000)

t.test('S10 S17: what comes out looks like what was sent: upright, of the paper’s width, in its greys', async (t) => {
  await ready()
  await printer.print(request(scene), limit())
  const out = far.pages.at(-1)!
  t.same([out.width, out.height], [dots, 240])
  // Seen from afar, black and white dots are greys again.
  const [near, was] = [greyOf(out, 24, 30), greyOf(scene, 24, 30)]
  const error = near.reduce((sum, value, i) => sum + Math.abs(value - was[i]!), 0) / near.length
  t.ok(error < 12, `mean difference ${error.toFixed(1)} of 255`)
})

t.test('S17: paper that ends and a cover that is open are told; nothing comes out later', async (t) => {
  await ready()
  const before = far.pages.length
  far.hasPaper = false
  t.match(await printer.attributes(limit()), { ready: false, reason: 'out-of-media' })
  await fails(t, 'printer', printer.print(request(scene), limit()), 'printer.out-of-paper')
  far.hasPaper = true
  far.isCoverOpen = true
  await fails(t, 'printer', printer.print(request(scene), limit()), 'printer.jam')
  far.isCoverOpen = false
  await printer.print(request(scene, 2), limit())
  t.equal(far.pages.length, before + 2)
})

t.test('S17: a printer that never says that it printed, one that is mute, and garbage on the line', async (t) => {
  await ready()
  far.isForgetful = true
  await fails(t, 'printer', printer.print(request(scene), limit()), 'printer.offline')
  far.isForgetful = false
  far.isMute = true
  await fails(t, 'printer', printer.attributes(limit()), 'printer.offline')
  far.isMute = false
  await ready()
  for (let i = 0; i < 20; i++) far.garbage(Uint8Array.from({ length: 97 }, (_, at) => (at * 31 + i * 7) & 255))
  await ready()
  await printer.print(request(scene), limit())
})

t.test('S17: unplugged while it prints, and plugged in again: told at once, works within five seconds', async (t) => {
  await ready()
  const long = drawScene(new SeededRandom(5), 96, 2_000)
  const printing = printer.print(request(long), limit())
  const failing = fails(t, 'printer', printing, 'printer.offline')
  await pair.unplug()
  await failing
  await pair.plug()
  far = new ReceiptPrinter(pair.far)
  await ready()
  await printer.print(request(scene), limit())
  t.equal(far.pages.length, 1)
})
