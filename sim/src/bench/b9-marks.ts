/**
 * B9: marks in pictures: what is seen of them, which copies they are read from, how long it takes. Pictures are those of
 * `AZUKARI_BENCH_PHOTOS`, a folder, or else drawn scenes; a figure of drawn scenes says less than one of photographs. Beside it decoding and encoding
 * of the same picture alone.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openPicture } from '@azukari/gateway/services/rights/marks/picture-file'
import { gridOf, saleKey, saleSigns, signsByTile } from '@azukari/gateway/services/rights/marks/sale-key'
import { trace } from '@azukari/gateway/services/rights/marks/trace'
import { embedMarks } from '@azukari/protocol/marks/embed'
import type { MarkPicture } from '@azukari/protocol/marks/plane'
import { readPublicMark } from '@azukari/protocol/marks/read'
import { isProblem } from '@azukari/protocol/problem'
import sharp, { type Sharp } from 'sharp'
import { drawScene } from '../testkit/boards/scene.ts'
import { SeededRandom } from '../testkit/world/chance.ts'
import { attacks } from './mark-attacks.ts'
import { type BenchContext, median, microsecondsSince, type Row, rounded, spread } from './row.ts'
import { ssim } from './ssim.ts'

const work = 0x0123456789abcdefn
const sale = 0xaan
const master = new Uint8Array(32).fill(3)
const impostors = 200

interface Named extends MarkPicture {
  name: string
}

export async function run({ quick, tell }: BenchContext): Promise<Row[]> {
  const pictures = await picturesOf(quick ? 2 : 12)
  const sales = [sale, ...Array.from({ length: impostors }, (_, i) => BigInt(i + 0x1000))]
  const read = new Map<string, { work: number; sale: number; of: number }>()
  const seen = { psnr: [] as number[], ssim: [] as number[] }
  const times = { embed: [] as number[], codec: [] as number[], detect: [] as number[], search: [] as number[] }
  let wrong = 0
  let highestOther = 0
  for (const picture of pictures) {
    const grid = gridOf(picture)
    const signs = signsByTile(saleSigns(saleKey(master, work, sale), sale, grid), grid)
    const megapixels = (picture.width * picture.height) / 1e6
    let before = process.cpuUsage()
    const marked = embedMarks(picture, { work, keyed: signs })
    times.embed.push(microsecondsSince(before) / 1000 / megapixels)
    before = process.cpuUsage()
    await pixelsOf(sharp(await sharpOf(picture).jpeg({ quality: 92 }).toBuffer()))
    times.codec.push(microsecondsSince(before) / 1000 / megapixels)
    seen.psnr.push(psnr(picture, marked))
    seen.ssim.push(ssim(picture, marked))
    before = process.cpuUsage()
    if (readPublicMark(picture)) wrong++
    times.search.push(microsecondsSince(before) / 1000)
    for (const [name, attack] of Object.entries(attacks)) {
      const copy = await pixelsOf(sharp(await attack(sharpOf(marked), picture.width, picture.height)))
      before = process.cpuUsage()
      const found = readPublicMark(copy)
      if (name === 'none') times.detect.push(microsecondsSince(before) / 1000)
      if (found && found.work !== work) wrong++
      const entry = read.get(name) ?? { work: 0, sale: 0, of: 0 }
      entry.of++
      if (found?.work === work) entry.work++
      const traced = tracedOf(picture, copy, found, sales)
      if (traced.accused.includes(sale)) entry.sale++
      wrong += traced.accused.filter((one) => one !== sale).length
      highestOther = Math.max(highestOther, traced.other)
      read.set(name, entry)
    }
    tell(`${picture.name}: ${seen.psnr.at(-1)!.toFixed(1)} dB`)
  }
  for (const [name, { work, sale, of }] of read) tell(`${name.padEnd(28)} work ${work}/${of}  sale ${sale}/${of}`)
  return rowsOf({ pictures: pictures.length, read, seen, times, wrong, highestOther })
}

function tracedOf(
  original: MarkPicture,
  suspect: MarkPicture,
  found: ReturnType<typeof readPublicMark>,
  sales: readonly bigint[],
): { accused: bigint[]; other: number } {
  try {
    const { accused, next } = trace({ original, suspect, geometry: found?.geometry, master, work, sales })
    return { accused: accused.map((one) => one.sale), other: next && next.sale !== sale ? next.score : 0 }
  } catch (error) {
    if (isProblem(error, 'mark.no-match')) return { accused: [], other: 0 }
    throw error
  }
}

interface Measured {
  pictures: number
  read: Map<string, { work: number; sale: number; of: number }>
  seen: { psnr: number[]; ssim: number[] }
  times: { embed: number[]; codec: number[]; detect: number[]; search: number[] }
  wrong: number
  highestOther: number
}

function rowsOf({ pictures, read, seen, times, wrong, highestOther }: Measured): Row[] {
  const all = [...read.values()]
  const tries = all.reduce((sum, { of }) => sum + of, 0)
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const row = (what: string, value: number, unit: string, target: string, met: boolean, note: string): Row => ({
    row: 'B9',
    what,
    value,
    unit,
    peer: null,
    ratio: null,
    target,
    met,
    note,
  })
  const share = (mark: 'work' | 'sale') => all.reduce((sum, entry) => sum + entry[mark], 0) / tries
  const misses = (mark: 'work' | 'sale') =>
    [...read]
      .filter(([, entry]) => entry[mark] < entry.of)
      .map(([name, entry]) => `${name} ${entry[mark]}/${entry.of}`)
      .join(', ')
  const embed = median(times.embed)
  const codec = median(times.codec)
  const lowest = Math.min(...seen.ssim).toFixed(4)
  return [
    row(
      'both marks, mean PSNR',
      rounded(mean(seen.psnr), 1),
      'dB',
      '≥ 43 dB',
      mean(seen.psnr) >= 43,
      `${pictures} pictures, ${spread(seen.psnr, 1)}`,
    ),
    row(
      'both marks, mean SSIM',
      rounded(mean(seen.ssim), 4),
      '',
      '≥ 0.99',
      mean(seen.ssim) >= 0.99,
      `lowest ${lowest}`,
    ),
    row(
      `work id read, ${read.size} attacks`,
      rounded(share('work'), 3),
      '',
      '≥ 0.95',
      share('work') >= 0.95,
      `not all: ${misses('work') || '–'}`,
    ),
    row(
      `sale traced, ${read.size} attacks`,
      rounded(share('sale'), 3),
      '',
      '≥ 0.95',
      share('sale') >= 0.95,
      `not all: ${misses('sale') || '–'}`,
    ),
    row(
      'wrong ids and accusations',
      wrong,
      '',
      '0',
      wrong === 0,
      `${tries} copies against ${impostors} other sales, highest score ${highestOther.toFixed(2)}`,
    ),
    {
      ...row(
        'embed, processor time',
        rounded(embed, 1),
        'ms/MP',
        '≤ 40 ms/MP',
        embed <= 40,
        `${spread(times.embed)}; beside it JPEG encode and decode`,
      ),
      peer: rounded(codec, 1),
      ratio: rounded(embed / codec),
    },
    row(
      'read, processor time',
      Math.round(median(times.detect)),
      'ms',
      '≤ 30 ms',
      median(times.detect) <= 30,
      `${spread(times.detect)} for a whole picture; ${spread(times.search)} for one without a mark`,
    ),
  ]
}

async function picturesOf(scenes: number): Promise<Named[]> {
  const folder = process.env['AZUKARI_BENCH_PHOTOS']
  if (folder === undefined)
    return Array.from({ length: scenes }, (_, i) => {
      const { width, height, rgba } = drawScene(new SeededRandom(i + 1), 1200, 800)
      return { name: `scene ${i + 1}`, width, height, rgba }
    })
  const found: Named[] = []
  for (const name of readdirSync(folder).sort()) {
    try {
      found.push({ name, ...(await openPicture(readFileSync(join(folder, name)))) })
    } catch (error) {
      // What is damaged or of another kind is no photograph to measure with.
      if (!isProblem(error)) throw error
    }
  }
  return found
}

function sharpOf({ width, height, rgba }: MarkPicture): Sharp {
  return sharp(rgba, { raw: { width, height, channels: 4 } }).removeAlpha()
}

async function pixelsOf(picture: Sharp): Promise<MarkPicture> {
  const { data, info } = await picture.ensureAlpha().raw().toBuffer({ resolveWithObject: true })
  return { width: info.width, height: info.height, rgba: new Uint8Array(data) }
}

function psnr(a: MarkPicture, b: MarkPicture): number {
  let squares = 0
  for (let i = 0; i < a.rgba.length; i++) squares += (a.rgba[i]! - b.rgba[i]!) ** 2
  return 10 * Math.log10((255 * 255 * 3 * a.width * a.height) / squares)
}
