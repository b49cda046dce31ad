/**
 * Fuzz target: the walk over a JPEG's markers, EXIF, the decoders, and the rebuilding of files without their place (D8,
 * S10). Sound files are damaged at random: a picture or a file comes out, or a coded problem, in bounded time.
 */
import { crc32, deflateSync } from 'node:zlib'
import { decodePicture, encodeJpeg, readExif } from '@azukari/device/picture'
import * as files from '@azukari/device/place/test-files'
import { sourceOf, withoutPlace } from '@azukari/device/place/without-place'
import { isProblem } from '@azukari/protocol/problem'

export interface FuzzReport {
  runs: number
  /** How often each problem came; `sound` when none did. */
  outcomes: Record<string, number>
  slowestMs: number
  /** Memory of the process at the end, above the start. */
  grownBytes: number
}

/** A run that takes longer than this is a hang. */
const hangMs = 10_000

export const name = 'jpeg'

/** @throws {Error} at the first crash or hang, with the seed and the number of the run */
export async function run(seed: number, seconds: number): Promise<FuzzReport> {
  const random = xorshift(seed)
  const corpus = soundFiles()
  const report: FuzzReport = { runs: 0, outcomes: {}, slowestMs: 0, grownBytes: 0 }
  const startBytes = process.memoryUsage().rss
  const endMs = performance.now() + seconds * 1_000
  while (performance.now() < endMs) {
    const bytes = damaged(corpus, random)
    const startMs = performance.now()
    try {
      await one(bytes, report)
    } catch (cause) {
      throw new Error(`seed ${seed}, run ${report.runs}: ${Buffer.from(bytes).toString('base64')}`, { cause })
    }
    const tookMs = performance.now() - startMs
    report.slowestMs = Math.max(report.slowestMs, tookMs)
    if (tookMs > hangMs) throw new Error(`seed ${seed}, run ${report.runs}: ${tookMs} ms`)
    report.runs++
  }
  report.grownBytes = process.memoryUsage().rss - startBytes
  return report
}

async function one(bytes: Uint8Array, { outcomes }: FuzzReport): Promise<void> {
  const count = (what: string) => {
    outcomes[what] = (outcomes[what] ?? 0) + 1
  }
  readExif(bytes)
  try {
    const { width, height, rgba } = decodePicture(bytes)
    if (rgba.length !== width * height * 4) throw new Error('a picture without all its pixels')
    count('decode sound')
  } catch (error) {
    if (!isProblem(error)) throw error
    count(`decode ${error.code}`)
  }
  try {
    const { pieces } = await withoutPlace(sourceOf(bytes))
    const parts: Uint8Array[] = []
    for await (const piece of pieces) parts.push(Uint8Array.from(piece))
    const clean = Buffer.concat(parts)
    // What came out is a file of that kind: it goes through once more, and holds no EXIF position.
    if (readExif(clean).position) throw new Error('a position is left')
    if (clean.length > 0) for await (const _ of (await withoutPlace(sourceOf(clean))).pieces);
    count('place sound')
  } catch (error) {
    if (!isProblem(error)) throw error
    count(`place ${error.code}`)
  }
}

function soundFiles(): Uint8Array[] {
  const rgba = Uint8Array.from({ length: 40 * 24 * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 7) % 251))
  const jpeg = encodeJpeg({ width: 40, height: 24, rgba }, 80)
  const line = Buffer.concat([Uint8Array.of(0), Buffer.alloc(8)])
  const png = Buffer.concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    files.pngChunk('IHDR', Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 2, 8, 6, 0, 0, 0), crc32),
    files.pngChunk('IDAT', deflateSync(Buffer.concat([line, line])), crc32),
    files.pngChunk('IEND', new Uint8Array(0), crc32),
  ])
  return [
    jpeg,
    ...Object.values(files.jpegsWithPlace(jpeg)),
    ...Object.values(files.pngsWithPlace(png, crc32)),
    files.movieWithPlace(),
    files.pdfWithPlace(jpeg, { width: 40, height: 24 }),
    files.webpWithPlace(),
    files.heifWithPlace(),
  ]
}

/** One file of the corpus with bytes changed, left out, doubled, or taken from another. */
function damaged(corpus: readonly Uint8Array[], random: (below: number) => number): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(corpus[random(corpus.length)]!)
  for (let left = 1 + random(3); left > 0 && bytes.length > 0; left--) {
    const at = random(bytes.length)
    const length = random(Math.min(64, bytes.length - at)) + 1
    const kind = random(9)
    if (kind < 2) bytes[at] = random(256)
    else if (kind < 5) bytes[at] = bytes[at]! ^ (1 << random(8))
    else if (kind === 5) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    else if (kind === 6) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    else if (kind === 7) bytes.fill([0, 0xff, 0x7f, 0x80][random(4)]!, at, at + Math.min(length, 8))
    else {
      const other = corpus[random(corpus.length)]!
      bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length)), bytes.subarray(at)])
    }
  }
  return bytes
}

function xorshift(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}
