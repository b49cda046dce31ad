/** Printers in the loop: our IPP driver against CUPS's reference IPP Everywhere printer. */
import { IppPrinter } from '@azukari/boards/ipp-printer'
import { testPage } from '@azukari/device/conformance/printer'
import { fails } from '@azukari/device/conformance/suite'
import { decodePicture } from '@azukari/device/picture'
import { systemClock } from '@azukari/protocol/adapters/clock'
import t from 'tap'
import { ReferencePrinter } from './ipp-printer.ts'

t.setTimeout(180_000)
const reference = await ReferencePrinter.start()
t.teardown(() => reference.stop())
const limit = () => AbortSignal.timeout(30_000)
const make = async () => new IppPrinter({ url: reference.url, clock: systemClock, pollMs: 100, warnedMs: 300 })
const page = { page: testPage(120, 80), title: '写真 / test', copies: 1 }

t.test('S10: the page that comes out is the page that was sent', async (t) => {
  const printer = await make()
  const before = (await reference.pages()).length
  await printer.print({ ...page, copies: 2 }, limit())
  const pages = (await reference.pages()).slice(before)
  t.equal(pages.length, 2)
  const out = decodePicture(pages[0]!)
  t.same([out.width, out.height], [120, 80])
  const error = out.rgba.reduce((sum, value, i) => sum + Math.abs(value - page.page.rgba[i]!), 0) / out.rgba.length
  t.ok(error < 24, `mean difference ${error.toFixed(1)} of 255, from the JPEG`)
  await printer.close()
})

t.test('S17: out of paper and jams are told in time, the job is cancelled, and it goes on when mended', async (t) => {
  const printer = await make()
  for (const [reason, code] of [
    ['media-empty', 'printer.out-of-paper'],
    ['media-jam', 'printer.jam'],
  ] as const) {
    await reference.trouble(reason)
    const before = (await reference.pages()).length
    await t.rejects(printer.print(page, limit()), { code, data: { copies: 0 } }, reason)
    await reference.trouble(undefined)
    await printer.print(page, limit())
    t.equal((await reference.pages()).length, before + 1, 'the cancelled page did not come out later')
  }
  await printer.close()
})

t.test('S17: a printer that lies about completion, one that is not there, and one that is no printer', async (t) => {
  const printer = await make()
  await reference.lie(true)
  await t.rejects(printer.print(page, limit()), { code: 'part.failed' })
  await reference.lie(false)
  await printer.print(page, limit())
  await printer.close()
  const nobody = new IppPrinter({ url: 'ipp://127.0.0.1:3/ipp/print', clock: systemClock })
  await t.rejects(nobody.attributes(limit()), { code: 'printer.offline' })
  const web = new IppPrinter({ url: reference.url.replace('/ipp/print', '/'), clock: systemClock })
  await fails(t, 'printer', web.print(page, limit()))
})
