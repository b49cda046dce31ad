import type { Printer, PrintProgress, PrintRequest, Raster } from '../drivers.ts'
import { aborted, type Checks, caught, fails, limit, type Stalled, stalledEnds } from './suite.ts'

export interface PrinterHarness {
  make(): Promise<Printer>
  /** A printer of which no page comes out. */
  stalled: Stalled<Printer>
  /** The pages that came out so far, as pixels; none for a printer on paper. */
  printed?(printer: Printer): Promise<Raster[]>
  takePaper?(printer: Printer): Promise<void>
  jam?(printer: Printer): Promise<void>
  /** Puts right what `takePaper` or `jam` did. */
  mend?(printer: Printer): Promise<void>
}

const request = (copies = 1): PrintRequest => ({
  page: testPage(40, 30),
  title: 'A title / with: odd ../ signs',
  copies,
})

/** A page on which no two pixels in a row are alike. */
export function testPage(width: number, height: number): Raster {
  const rgba = new Uint8Array(width * height * 4)
  for (let i = 0; i < width * height; i++) rgba.set([(i * 7) & 255, (i * 13) & 255, (i * 29) & 255, 255], i * 4)
  return { width, height, rgba }
}

/** S10, S17: what every printer driver does. */
export async function printerConforms(t: Checks, fixture: PrinterHarness): Promise<void> {
  await t.test('S17: attributes say what it can print', {}, async (t) => {
    const printer = await fixture.make()
    const attributes = await printer.attributes(limit())
    t.equal(attributes.ready, true)
    t.ok(attributes.media.length > 0 && attributes.maxWidth > 0 && attributes.maxHeight > 0)
    await printer.close()
  })
  await t.test('S10: it resolves when all copies are out, and says how far it is', {}, async (t) => {
    const printer = await fixture.make()
    const progress: PrintProgress[] = []
    await printer.print(request(2), limit(), (step) => progress.push(step))
    t.same(progress.at(-1), { stage: 'printed', copies: 2 })
    t.ok(
      progress.every((step, i) => i === 0 || step.copies >= progress[i - 1]!.copies),
      'progress never goes back',
    )
    if (fixture.printed) {
      const pages = await fixture.printed(printer)
      t.equal(pages.length, 2)
      for (const page of pages)
        t.ok(Buffer.from(page.rgba).equals(testPage(40, 30).rgba), 'the page has the very pixels')
    }
    await printer.close()
  })
  await t.test('S17: an aborted print throws the reason and prints nothing', {}, async (t) => {
    const printer = await fixture.make()
    const { signal, reason } = aborted()
    t.equal(await caught(printer.print(request(), signal)), reason)
    if (fixture.printed) t.equal((await fixture.printed(printer)).length, 0)
    await printer.print(request(), limit())
    await printer.close()
  })
  await t.test('S17: what it cannot print it refuses', {}, async (t) => {
    const printer = await fixture.make()
    await fails(t, 'printer', printer.print({ ...request(), media: 'papyrus' }, limit()), 'printer.unsupported')
    await fails(t, 'printer', printer.print(request(0), limit()), 'printer.unsupported')
    await fails(
      t,
      'printer',
      printer.print({ ...request(), page: { width: 10, height: 10, rgba: new Uint8Array(5) } }, limit()),
      'printer.unsupported',
    )
    await printer.close()
  })
  for (const [what, code, stimulus] of [
    ['run out of paper', 'printer.out-of-paper', fixture.takePaper],
    ['jam', 'printer.jam', fixture.jam],
  ] as const) {
    // A part that cannot be made to do it has nothing to show here.
    if (!stimulus || !fixture.mend) continue
    await t.test(`S17: when made to ${what} it says so, and goes on when mended`, {}, async (t) => {
      const printer = await fixture.make()
      await stimulus!(printer)
      t.equal((await printer.attributes(limit())).ready, false)
      await fails(t, 'printer', printer.print(request(), limit()), code)
      await fixture.mend!(printer)
      await printer.print(request(), limit())
      await printer.close()
    })
  }
  await stalledEnds(t, 'printer', fixture.stalled, (printer, signal) => printer.print(request(), signal))
  await t.test('S17: closing twice is harmless, and then there is no printer', {}, async (t) => {
    const printer = await fixture.make()
    await printer.close()
    await printer.close()
    await fails(t, 'printer', printer.print(request(), limit()))
  })
}
