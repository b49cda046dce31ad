/** Pages of PDF in the loop: what poppler makes of them is what was sent, where it should be on the paper. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FolderPrinter } from '@azukari/boards/folder-printer'
import { greyOf } from '@azukari/boards/one-bit'
import { marginMm } from '@azukari/boards/pdf'
import { printerConforms } from '@azukari/device/conformance/printer'
import { limit } from '@azukari/device/conformance/suite'
import type { Raster } from '@azukari/device/drivers'
import { systemFiles } from '@azukari/protocol/adapters/files'
import t from 'tap'
import { decodePng } from '../testkit/boards/index.ts'
import { drawScene } from '../testkit/boards/scene.ts'
import { SeededRandom } from '../testkit/world/chance.ts'

t.setTimeout(120_000)
const folders: string[] = []
t.teardown(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))
const make = async () => {
  folders.push(await mkdtemp(join(tmpdir(), 'azukari-pdf-')))
  return new FolderPrinter({ files: systemFiles(), directory: folders.at(-1)!, format: 'pdf' })
}
/** Ten pixels to the millimetre. */
const dpi = 254
const onPaper = (file: string): Raster => {
  const png = execFileSync('pdftoppm', ['-r', String(dpi), '-png', file], { maxBuffer: 1 << 28 })
  return decodePng(Uint8Array.from(png))
}
const part = ({ width, rgba }: Raster, x: number, y: number, w: number, h: number): Raster => {
  const out = new Uint8Array(w * h * 4)
  for (let row = 0; row < h; row++)
    out.set(rgba.subarray(((y + row) * width + x) * 4, ((y + row) * width + x + w) * 4), row * w * 4)
  return { width: w, height: h, rgba: out }
}

t.test('S17: PDF', (t) => printerConforms(t, { make, stalled: undefined }))

for (const [what, width, height, media, paper] of [
  ['upright on A4', 300, 400, 'iso_a4_210x297mm', [2100, 2970]],
  ['across on A4', 400, 300, 'iso_a4_210x297mm', [2970, 2100]],
  ['a wide one on a postcard', 600, 200, 'jpn_hagaki_100x148mm', [1480, 1000]],
] as const)
  t.test(`S10 S17: a picture ${what}: paper, place, margins, proportions, and what is on it`, async (t) => {
    const printer = await make()
    const scene = drawScene(new SeededRandom(7), width, height)
    await printer.print({ page: scene, title: '写真 桜の下で', copies: 1, media }, limit())
    const file = join(folders.at(-1)!, (await readdir(folders.at(-1)!))[0]!)
    t.match(execFileSync('pdfinfo', [file], { encoding: 'utf8' }), /Title: +写真 桜の下で\nProducer: +Azukari\n/)
    const sheet = onPaper(file)
    t.ok(
      Math.abs(sheet.width - paper[0]) <= 1 && Math.abs(sheet.height - paper[1]) <= 1,
      `${sheet.width} × ${sheet.height}`,
    )
    const scale = Math.min((paper[0] - 20 * marginMm) / width, (paper[1] - 20 * marginMm) / height)
    const [w, h] = [Math.floor(width * scale), Math.floor(height * scale)]
    const [x, y] = [Math.round((paper[0] - w) / 2), Math.round((paper[1] - h) / 2)]
    t.ok(x >= 10 * marginMm - 1 && y >= 10 * marginMm - 1, 'within the margins')
    for (const border of [part(sheet, 0, 0, sheet.width, y - 2), part(sheet, 0, 0, x - 2, sheet.height)])
      t.ok(
        border.rgba.every((value) => value === 255),
        'nothing is printed beside it',
      )
    const [near, was] = [greyOf(part(sheet, x, y, w, h), 40, 40), greyOf(scene, 40, 40)]
    const error = near.reduce((sum, value, i) => sum + Math.abs(value - was[i]!), 0) / near.length
    t.ok(error < 4, `upright and whole: mean difference ${error.toFixed(1)} of 255`)
  })
